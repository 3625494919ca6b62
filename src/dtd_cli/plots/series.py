"""What the Taylor series leaves, degree by degree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.tables import Tables, has_rows, is_recursive
from dtd_cli.records.limits import adds_up

_WIDTH = 2.9
_LINEAR_UP_TO = 20.0
"""Beyond so many times f(x) a panel has a logarithmic scale."""


def series(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The ledger's remainder, as a share of f(x), against the degree of the expansions.

    A panel a layer, a line a recursion: the median of the samples, in a band between their
    quartiles, or with the samples as points where they are few. Degree 0 is before anything is
    distributed; a series that converges ends at zero.
    """
    if not has_rows(tables.layers) or "degree" not in tables.layers:
        return None
    f = {sample.number: sample.f for sample in tables.explained}
    shares = remainder_shares(tables.layers, f)
    layers = sorted(shares["layer"].unique(), reverse=True)
    rows, columns = style.shape(len(layers), _WIDTH, plots)
    few = len(f) < style.FEW
    spread = "the points are the samples" if few else "the band is between the quartiles"
    picture = style.figure(
        style.total_width(columns, _WIDTH),
        0.9 + 2.3 * rows,
        "What degrees up to K leave of f(x)"
        + (f", median of {len(f)} samples" if len(f) > 1 else "")
        + tables.left_out,
        "The remainder of the ledger after the expansion to degree K, as a share of f(x); degree 0 "
        "is before anything is distributed." + f" n = {len(f)}; {spread}." * (len(f) > 1),
        plots,
    )
    grid = style.panels(picture, rows, columns, len(layers), "remainder / f(x)")
    methods = [str(method) for method in shares["method"].unique()]
    for axes, layer in zip(grid, layers, strict=True):
        doubt = "unsettled" if tables.may_be_wrong(methods, layer) else ""
        doubt_marks.name_marks(axes, [doubt])
        title = doubt_marks.marked(f"layer {layer}", doubt)
        axes.set_title(title, fontsize=style.TITLE, color=style.INK, loc="left")
        here = shares[shares["layer"] == layer]
        for method, width in zip(methods, style.nested(len(methods)), strict=True):
            of_method = here[here["method"] == method]
            samples = of_method.pivot(index="sample", columns="degree", values="share")
            degree, quartiles = (
                samples.columns.to_numpy(),
                samples.quantile([0.25, 0.75]).to_numpy(),
            )
            style.scatter_or_band(
                axes, degree, samples.to_numpy(), quartiles, tables.colours[method]
            )
            axes.plot(
                degree,
                samples.median(),
                "o-",
                color=tables.colours[method],
                linewidth=width,
                markersize=2.5 + 1.5 * width,
                label=wording.words(method),
                zorder=3,
            )
        if here["share"].abs().max() > _LINEAR_UP_TO:
            axes.set_yscale("symlog", linthresh=1.0)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.number(value)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("degree K", fontsize=style.LABEL)
    if len(methods) > 1 or any(tables.may_be_wrong(methods, layer) for layer in layers):
        legends.legend_below(picture, grid)
    return picture


def remainder_shares(layers: pd.DataFrame, f: dict[int, float]) -> pd.DataFrame:
    """``remainder / f`` of each sample: columns method, sample, layer, degree, share."""
    rows = layers[layers["sample"].isin(list(f)) & is_recursive(layers) & adds_up(layers)]
    first = rows[rows["degree"] == 1]
    before = first.assign(
        degree=0, remainder=first["upper_sum"] - first["zero_order"] - first["unresolved"]
    )
    rows = pd.concat([before, rows])
    share = rows["remainder"] / rows["sample"].map(f)
    shares = rows[["method", "sample", "layer", "degree"]].assign(share=share)
    return shares.replace([np.inf, -np.inf], np.nan)
