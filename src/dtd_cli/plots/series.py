"""What the Taylor series leaves, degree by degree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables, has_rows, is_recursive
from dtd_cli.records.limits import adds_up

_WIDTH = 2.9
_LINEAR_UP_TO = 20.0
"""Beyond so many times f(x) a panel has a logarithmic scale."""


def series(tables: Tables) -> Figure | None:
    """The ledger's remainder, as a share of f(x), against the degree of the expansions.

    A panel a layer, a line a recursion: the median of the samples, in a band between their
    quartiles. Degree 0 is before anything is distributed; a series that converges ends at zero.
    """
    if not has_rows(tables.layers) or "degree" not in tables.layers:
        return None
    f = {sample.number: sample.f for sample in tables.explained}
    shares = remainder_shares(tables.layers, f)
    layers = sorted(shares["layer"].unique(), reverse=True)
    rows, columns = style.shape(len(layers), _WIDTH)
    picture = style.figure(
        style.total_width(columns, _WIDTH),
        0.9 + 2.3 * rows,
        "What degrees up to K leave of f(x)"
        + (f", median and quartiles of {len(f)} samples" if len(f) > 1 else "")
        + tables.left_out,
    )
    grid = style.panels(picture, rows, columns, len(layers), "remainder / f(x)")
    methods = [str(method) for method in shares["method"].unique()]
    colours = style.colours(methods, style.METHOD_COLOURS)
    for axes, layer in zip(grid, layers, strict=True):
        doubt = "unsettled" if tables.may_be_wrong(methods, layer) else ""
        style.name_marks(axes, [doubt])
        title = style.marked(f"layer {layer}", doubt)
        axes.set_title(title, fontsize=style.TITLE, color=style.INK, loc="left")
        here = shares[shares["layer"] == layer]
        for method, width in zip(methods, style.nested(len(methods)), strict=True):
            line = here[here["method"] == method]
            axes.fill_between(
                line["degree"],
                line["low"],
                line["high"],
                color=colours[method],
                alpha=0.15,
                linewidth=0,
            )
            axes.plot(
                line["degree"],
                line["middle"],
                "o-",
                color=colours[method],
                linewidth=width,
                markersize=2.5 + 1.5 * width,
                label=style.words(method),
                zorder=3,
            )
        if here[["low", "high"]].abs().to_numpy().max() > _LINEAR_UP_TO:
            axes.set_yscale("symlog", linthresh=1.0)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(value)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("degree K", fontsize=style.LABEL)
    if len(methods) > 1 or any(tables.may_be_wrong(methods, layer) for layer in layers):
        style.legend_below(picture, grid)
    return picture


def remainder_shares(layers: pd.DataFrame, f: dict[int, float]) -> pd.DataFrame:
    """``remainder / f`` over the samples: method, layer, degree, low, middle, high (quartiles)."""
    rows = layers[layers["sample"].isin(list(f)) & is_recursive(layers) & adds_up(layers)]
    first = rows[rows["degree"] == 1]
    before = first.assign(
        degree=0, remainder=first["upper_sum"] - first["zero_order"] - first["unresolved"]
    )
    rows = pd.concat([before, rows])
    share = rows["remainder"] / rows["sample"].map(f)
    groups = share.groupby([rows["method"], rows["layer"], rows["degree"]])
    quartiles = {name: groups.quantile(q) for name, q in _QUARTILES.items()}
    return pd.DataFrame(quartiles).replace([np.inf, -np.inf], np.nan).reset_index()


_QUARTILES = {"low": 0.25, "middle": 0.5, "high": 0.75}
