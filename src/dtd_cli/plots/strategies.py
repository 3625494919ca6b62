"""Root searches side by side: what they find, how far away, and at what cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dtd_cli.config.plots import Plots
from dtd_cli.plots import legends, style, wording
from dtd_cli.plots.owners import of_f, searches_named
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables, has_rows

_SHARES = {
    "root_share": ("a root", style.SKY),
    "admissible_share": ("an admissible root", style.BLUE),
    "admissible_same_region_share": ("an admissible root in the anchor's region", style.DARK),
}
_Z = 1.96
"""How many standard deviations of a normal distribution enclose 95 % of it."""


def strategies(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """For the lowest layer with several strategies: shares of units, distance, evaluations.

    Shares have 95 % intervals. A zero is written as 0, and what is not known as a dash.
    """
    if not has_rows(tables.strategies):
        return None
    several = tables.strategies.groupby("layer").filter(lambda rows: len(rows) > 1)
    if several.empty:
        return None
    layer = int(several["layer"].min())
    rows = several[several["layer"] == layer]
    left_out = int(rows["left_out"].max())
    what, number = _searched(rows, layer)
    draw, distances = [_draw_shares, _draw_cost], ""
    if rows["distance_ratio_median"].notna().any():
        draw.insert(1, _draw_distances)
        distances = (
            "Distances are divided by that of the certified nearest root, from the median (point) "
            "to the largest. "
        )
    # One above the other they are lower, and lowest those with a single mark for each search.
    single = 0.6 + 0.22 * len(rows)
    heights = [0.5 + 0.36 * len(rows), *[single] * (len(draw) - 1)]
    picture = style.figure(
        9.0,
        1.1 + (sum(heights) if plots.narrow else 0.5 + 0.52 * len(rows)),
        f"Root searches for {what}"
        + (f", without {left_out} where it is unbounded" if left_out else ""),
        f"n = {number}. Lines on the bars: 95 % intervals (Wilson's) of the shares, as if units "
        f"were independent. {distances}0 is none; – is not known.",
        plots,
    )
    if plots.narrow:
        grid = picture.subplots(len(draw), 1, sharey=True, height_ratios=heights)
    else:
        grid = picture.subplots(1, len(draw), sharey=True, width_ratios=(2, 1, 1)[: len(draw)])
    for panel, axes in zip(draw, grid, strict=True):
        panel(axes, rows)
    share = grid[0]
    share.set_yticks(
        range(len(rows)), [wording.words(name) for name in searches_named(rows)["finder"]]
    )
    share.invert_yaxis()
    legends.legend_below(picture, [share], ncols=1 if plots.narrow else 3)
    return picture


def _searched(rows: pd.DataFrame, layer: int) -> tuple[str, str]:
    """Whose roots were searched, and of how many: units, samples for roots of f itself, or both."""
    what, numbers = [], []
    units, samples = rows.loc[~of_f(rows), "units"], rows.loc[of_f(rows), "units"]
    if len(units):
        counted = wording.counted(int(units.iloc[0]), "unit")
        what.append(f"the {counted} with relevance, layer {layer}")
        numbers.append(f"{counted} of all samples")
    if len(samples):
        counted = wording.counted(int(samples.iloc[0]), "sample")
        what.append(f"f, {counted}")
        numbers.append(f"{counted} for f")
    return ", and ".join(what), ", ".join(numbers)


def interval(share: Vector, count: Vector) -> Vector:
    """Wilson's 95 % interval of a share of so many units, (2, shares)."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = np.sqrt(share * (1 - share) / count + (_Z / (2 * count)) ** 2)
    reach = _Z * reach / (1 + _Z**2 / count)
    bounds: Vector = np.clip(np.stack([middle - reach, middle + reach]), 0, 1)
    return bounds


def _draw_shares(axes: Axes, rows: pd.DataFrame) -> None:
    style.plain(axes, "share of units with")
    height = 0.8 / len(_SHARES)
    count = rows["units"].to_numpy(dtype=np.float64)
    for number, (column, (words, colour)) in enumerate(_SHARES.items()):
        places = np.arange(len(rows)) + (number - (len(_SHARES) - 1) / 2) * height
        share = rows[column].to_numpy(dtype=np.float64)
        axes.barh(places, share, height * 0.92, color=colour, label=words)
        low, high = interval(share, count)
        axes.hlines(places, low, high, color=style.VERMILLION, linewidth=1.0)
        without = ~(share > 0)
        _write(axes, places[without], share[without], np.where(np.isnan(high), 0, high)[without])
    axes.set_xlim(0, 1)


def _draw_distances(axes: Axes, rows: pd.DataFrame) -> None:
    style.plain(axes, "distance / certified nearest,\nmedian and largest")
    places, median = np.arange(len(rows)), rows["distance_ratio_median"]
    axes.hlines(places, median, rows["distance_ratio_largest"], color=style.GRAY)
    axes.scatter(median, places, color=style.BLUE, s=24, zorder=3)
    axes.set_xscale("log")
    axes.axvline(1, color=style.MUTED, linewidth=0.8, zorder=1)
    for place in places[median.isna()]:
        axes.annotate(
            "–", (0.02, place), xycoords=("axes fraction", "data"), va="center",
            fontsize=style.LABEL, color=style.INK,
        )  # fmt: skip


def _draw_cost(axes: Axes, rows: pd.DataFrame) -> None:
    style.plain(axes, "evaluations of the relevance\nfor one unit")
    places = np.arange(len(rows))
    axes.barh(places, rows["evaluations"], 0.5, color=style.GRAY)
    axes.set_xscale("symlog", linthresh=1)
    evaluations = rows["evaluations"].to_numpy(dtype=np.float64)
    _write(axes, places, evaluations, np.nan_to_num(evaluations))
    axes.margins(x=0.25)


def _write(axes: Axes, places: ArrayLike, values: Vector, ends: Vector) -> None:
    """Write the values at the ends of what is drawn for them, a dash for what is not known."""
    for place, value, end in zip(np.asarray(places), values.tolist(), ends, strict=True):
        axes.annotate(
            wording.number(value) if np.isfinite(value) else "–", (end, place), (3, 0),
            textcoords="offset points", va="center", fontsize=style.SMALL, color=style.INK,
        )  # fmt: skip
