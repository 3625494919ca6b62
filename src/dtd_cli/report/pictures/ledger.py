"""Where f(x) goes, layer by layer, for every configuration."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from dtd_cli.plots import style, wording
from dtd_cli.report.pictures import bands

_PARTS = {
    "relevance_sum_share": "passed on (ΣR)",
    "zero_order_share": "degree 0",
    "unresolved_share": "unresolved (no root)",
    "remainder_share": "remainder (higher terms)",
}
_LINEAR_UP_TO = 20.0


def ledger(figures: pd.DataFrame) -> Figure | None:
    """The ledger's four entries as shares of f: a row a method, a column an entry.

    A line is a configuration; its value for a run is the mean over the samples. The panels of a
    row have one scale.
    """
    figures = figures[figures["quantity"].isin(list(_PARTS))]
    if figures.empty:
        return None
    methods = list(figures["method"].unique())
    configurations = bands.shown(figures)
    depth = int(figures["layer"].max())
    picture = style.figure(
        11.0,
        1.2 + 2.1 * len(methods),
        f"The ledger: what becomes of f(x); means of the samples, {bands.seeds_in_words(figures)}",
    )
    grid = picture.subplots(len(methods), len(_PARTS), squeeze=False, sharex=True, sharey="row")
    for method, row in zip(methods, grid, strict=True):
        book = figures[figures["method"] == method]
        for axes, (part, words) in zip(row, _PARTS.items(), strict=True):
            style.plain(axes, words if method == methods[0] else "")
            style.zero_line(axes)
            _draw(axes, book[book["quantity"] == part], configurations)
            bands.layer_axis(axes, depth, named=method == methods[-1])
        row[0].axhline(1.0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        row[0].set_ylabel(f"{wording.words(method)}\nshare of f(x)", fontsize=style.LABEL)
        _scale(row[0], book)
    bands.legend_below(picture, grid[0][0], figures)
    return picture


def finding(figures: pd.DataFrame) -> str:
    """How much of f(x) arrives in the input, by each method, in words."""
    rows = figures[(figures["quantity"] == "relevance_sum_share") & (figures["layer"] == 0)]
    texts = []
    for method, book in rows.groupby("method", sort=False):
        medians = book.groupby("configuration", sort=False)["value"].median()
        shown = medians[: bands.MOST_CONFIGURATIONS]
        texts.append(
            f"{wording.words(str(method))} "
            + ", ".join(f"{wording.number(share)} ({name})" for name, share in shown.items())
        )
    return (
        "Of f(x) arrives in the input, as the mean over the samples and the median over the seeds: "
        f"{'; '.join(texts)}."
    )


def _draw(axes: Axes, figures: pd.DataFrame, configurations: list[str]) -> None:
    widths = style.nested(len(configurations))
    lines = bands.over_seeds(figures, configurations)
    for line, look, width in zip(lines, bands.looks(configurations), widths, strict=True):
        layer = line.index.to_numpy(dtype=float)
        axes.fill_between(
            layer, line["low"], line["high"], color=look["color"], alpha=0.15, linewidth=0
        )
        axes.plot(layer, line["middle"], linewidth=width, markersize=3 + 1.2 * width, **look)


def _scale(axes: Axes, book: pd.DataFrame) -> None:
    """Beyond so many times f(x) a logarithmic scale, which is linear around zero."""
    if np.nanmax(np.abs(book["value"].to_numpy()), initial=0.0) > _LINEAR_UP_TO:
        axes.set_yscale("symlog", linthresh=1.0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.number(value)))
