"""Root searches side by side: what they find, how far away, and at what cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables, has_rows, searches_named

_SHARES = {
    "root_share": ("a root", style.SKY),
    "admissible_share": ("an admissible root", style.BLUE),
    "admissible_same_region_share": ("an admissible root in the anchor's region", style.DARK),
}


def strategies(tables: Tables) -> Figure | None:
    """For the lowest layer with several strategies: shares of units, distance, evaluations."""
    if not has_rows(tables.strategies):
        return None
    several = tables.strategies.groupby("layer").filter(lambda rows: len(rows) > 1)
    if several.empty:
        return None
    layer = int(several["layer"].min())
    rows = several[several["layer"] == layer]
    left_out = int(rows["left_out"].max())
    picture = style.figure(
        style.MOST_WIDTH,
        1.6 + 0.52 * len(rows),
        f"Root searches for the {int(rows['units'].iloc[0])} units with relevance, layer {layer}"
        + (f", without {left_out} where it is unbounded" if left_out else ""),
    )
    draw = [_draw_shares, _draw_cost]
    if rows["distance_ratio_median"].notna().any():
        draw.insert(1, _draw_distances)
    grid = picture.subplots(1, len(draw), sharey=True, width_ratios=(2, 1, 1)[: len(draw)])
    for panel, axes in zip(draw, grid, strict=True):
        panel(axes, rows)
    share = grid[0]
    share.set_yticks(
        range(len(rows)), [style.words(name) for name in searches_named(rows)["finder"]]
    )
    share.invert_yaxis()
    style.legend_below(picture, [share])
    return picture


def _draw_shares(axes: Axes, rows: pd.DataFrame) -> None:
    style.plain(axes, "share of units with")
    height = 0.8 / len(_SHARES)
    for number, (column, (words, colour)) in enumerate(_SHARES.items()):
        offset = (number - (len(_SHARES) - 1) / 2) * height
        axes.barh(
            np.arange(len(rows)) + offset, rows[column], height * 0.92, color=colour, label=words
        )
    axes.set_xlim(0, 1)


def _draw_distances(axes: Axes, rows: pd.DataFrame) -> None:
    style.plain(axes, "distance / certified nearest,\nmedian and largest")
    places = np.arange(len(rows))
    axes.hlines(
        places, rows["distance_ratio_median"], rows["distance_ratio_largest"], color=style.GRAY
    )
    axes.scatter(rows["distance_ratio_median"], places, color=style.BLUE, s=24, zorder=3)
    axes.set_xscale("log")
    axes.axvline(1, color=style.MUTED, linewidth=0.8, zorder=1)


def _draw_cost(axes: Axes, rows: pd.DataFrame) -> None:
    style.plain(axes, "evaluations of the relevance\nfor one unit")
    places = np.arange(len(rows))
    axes.barh(places, rows["evaluations"], 0.5, color=style.GRAY)
    axes.set_xscale("symlog", linthresh=1)
    for place, count in zip(places, rows["evaluations"], strict=True):
        axes.annotate(
            f"{count:.0f}", (count, place), (3, 0), textcoords="offset points",
            va="center", fontsize=style.SMALL, color=style.INK,
        )  # fmt: skip
    axes.margins(x=0.25)
