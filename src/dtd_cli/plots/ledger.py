"""Where f(x) goes on its way from the output to the input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.tables import Tables, has_rows, is_recursive, whole_ledger
from dtd_cli.records.limits import adds_up

PARTS = {
    "relevance_sum": ("passed on (ΣR)", style.BLUE),
    "zero_order": ("degree 0 (h at the root)", style.SKY),
    "unresolved": ("unresolved (no root)", style.VERMILLION),
    "remainder": ("remainder (higher terms)", style.GRAY),
}
"""The ledger's columns that add up to what came from the layer above, and how they look.

No colour is that of a method, which stands for something else in the same picture, but for blue:
what is passed on is the relevance of the recursion.
"""

_MARKERS = "osD^vP*X"
_NOTHING = 1e-9
"""An entry with less of f(x) in every layer is rounding, and is not drawn."""
_LINEAR_UP_TO = 20.0
"""Beyond so many times f(x) the lines stand on a logarithmic scale."""


def ledger(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """ΣR per layer as a share of f(x), and where the rest of it went.

    Means over the samples. Above: a line for each method, in a band of one standard deviation to
    both sides, or with the samples as points where they are few; a method that conserves f stays
    at 1. Below, for each method with roots: the ledger's four entries, stacked, those below zero
    downwards; the diamond is their sum, which is what the layer above had to give. Where sampled
    paths estimate it, ΣR has an error bar. What is not finite is left out, and layers are marked in
    which a limit may be wrong.
    """
    relevance = tables.finite_relevance
    if not has_rows(relevance) or not tables.explained:
        return None
    f = {sample.number: sample.f for sample in tables.explained}
    shares = relevance_shares(relevance, f)
    if shares.empty:
        return None
    books = {} if not has_rows(tables.layers) else ledger_shares(tables.layers, f)

    depth = int(shares["layer"].max())
    rows = 1 + len(books)
    several = len(f) > 1
    band = "Bands: one standard deviation." if len(f) >= style.FEW else "Points: the samples."
    picture = style.figure(
        min(12.0, 6.2 + 0.35 * depth),
        0.7 + 2.5 * rows,
        "The ledger: what becomes of f(x)",
        "Shares of f(x)"
        + f", means of n = {len(f)} samples{tables.left_out}. {band}" * several
        + "." * (not several)
        + " The dashed line is a method that conserves f(x). Stacked: what each layer passed on, "
        "and what it did not; the diamond is what came from the layer above.",
        plots,
    )
    grid = list(picture.subplots(rows, 1, sharex=True, squeeze=False).ravel())
    title = f", mean of {len(f)} samples" * several + tables.left_out
    style.plain(grid[0], f"Relevance that each layer holds{title}")
    _draw_lines(grid[0], tables, shares)
    doubts = ["unsettled" * tables.may_be_wrong(tables.methods, n) for n in range(depth + 1)]
    doubt_marks.name_marks(grid[0], doubts)
    for axes, (method, book) in zip(grid[1:], books.items(), strict=True):
        style.plain(axes, f"Where it went: {wording.words(method)}{title}")
        _draw_stack(axes, book)
    if plots.narrow:
        legends.legend_below(picture, grid, ncols=2)
    else:
        _legend(grid[0], grid[:1])
        if books:
            _legend(grid[1], grid[1:])
    grid[-1].set_xlim(depth + 0.5, -0.5)
    grid[-1].set_xticks(
        range(depth + 1), [_layer(n, depth, doubt) for n, doubt in enumerate(doubts)]
    )
    grid[-1].set_xlabel("layer", fontsize=style.LABEL)
    return picture


def relevance_shares(relevance: pd.DataFrame, f: dict[int, float]) -> pd.DataFrame:
    """``ΣR_l / f`` of each sample: columns method, sample, layer, share."""
    rows = relevance[relevance["sample"].isin(list(f))]
    sums = rows.groupby(["method", "sample", "layer"])["relevance"].sum(min_count=1).reset_index()
    return sums.assign(share=sums["relevance"] / sums["sample"].map(f)).drop(columns="relevance")


def ledger_shares(layers: pd.DataFrame, f: dict[int, float]) -> dict[str, pd.DataFrame]:
    """For each method with roots the mean share of f of each entry, a row a layer.

    Samples whose entries are not finite are left out.
    """
    columns = ["upper_sum", *PARTS]
    if "relevance_sum_stderr" in layers:
        # Samples share their random numbers, so their errors may be alike. The mean of standard
        # errors is an upper bound on the standard error of the mean, whatever they share.
        columns.append("relevance_sum_stderr")
    rows = whole_ledger(layers[layers["sample"].isin(list(f)) & adds_up(layers)])
    shares = rows[columns].div(rows["sample"].map(f), axis=0).assign(layer=rows["layer"])
    with_roots = is_recursive(rows) | (rows["method"] == "simple_taylor")
    methods = rows.loc[with_roots, "method"].unique()
    return {str(m): shares[rows["method"] == m].groupby("layer").mean() for m in methods}


def _draw_lines(axes: Axes, tables: Tables, shares: pd.DataFrame) -> None:
    methods = tables.methods
    style.zero_line(axes)
    axes.axhline(1.0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    widths = style.nested(len(methods))
    bounds: list[ArrayLike] = []
    for i, method in enumerate(methods):
        of_method = shares[shares["method"] == method]
        samples = of_method.pivot(index="sample", columns="layer", values="share")
        colour, layer = tables.colours[method], samples.columns.to_numpy()
        mean, spread = samples.mean(), samples.std()
        band = np.stack([mean - spread, mean + spread])
        style.scatter_or_band(axes, layer, samples.to_numpy(), band, colour)
        bounds += [mean] if len(samples) == 1 else [*band]
        axes.plot(
            layer,
            mean,
            color=colour,
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=3.0 + 1.6 * widths[i],
            linewidth=widths[i],
            label=wording.words(method),
            zorder=3,
        )
    reached = np.concatenate([*map(np.asarray, bounds)])
    low, high = np.nanmin(reached, initial=0.0), np.nanmax(reached, initial=1.0)
    if max(-low, high) > _LINEAR_UP_TO:
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(_decade(low), _decade(high))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.number(value)))
    axes.set_ylabel("ΣR / f(x)", fontsize=style.LABEL)


def _draw_stack(axes: Axes, book: pd.DataFrame) -> None:
    layer = book.index.to_numpy()
    above, below = np.zeros(len(book)), np.zeros(len(book))
    for name, (label, colour) in PARTS.items():
        share = book[name].fillna(0.0).to_numpy()
        if np.abs(share).max() < _NOTHING:
            continue
        start = np.where(share >= 0, above, below)
        axes.bar(layer, share, 0.56, start, color=colour, label=label, zorder=2)
        above, below = above + share.clip(min=0), below + share.clip(max=0)
    if "relevance_sum_stderr" in book:
        style.error_bars(axes, layer, book["relevance_sum"], book["relevance_sum_stderr"])
    axes.plot(
        layer,
        book["upper_sum"],
        "D",
        color="white",
        markeredgecolor=style.INK,
        markersize=5,
        label="from the layer above",
        zorder=4,
    )
    style.zero_line(axes)
    # Bars end at the frame unless told otherwise, and would cut the marks.
    axes.use_sticky_edges = False
    axes.margins(y=0.06)
    axes.set_ylabel("share of f(x)", fontsize=style.LABEL)


def _legend(axes: Axes, panels: Iterable[Axes]) -> None:
    """A legend beside a panel that says what is drawn in some."""
    entries, handles = legends.entries(panels)
    axes.legend(
        handles, entries, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=style.LABEL,
        frameon=False,
    )  # fmt: skip


def _decade(value: float) -> float:
    """The next power of ten away from zero, or a little past zero."""
    exponent = np.ceil(np.log10(max(abs(value), 1.0)))
    return float(np.sign(value) * 10.0**exponent) if abs(value) >= 1 else -0.2


def _layer(layer: int, depth: int, doubt: str) -> str:
    ends = {depth: "\noutput", 0: "\ninput"}
    return f"{doubt_marks.marked(str(layer), doubt)}{ends.get(layer, '')}"
