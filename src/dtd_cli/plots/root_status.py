"""What became of the roots."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables, has_rows, searches_named

_ROOM_FOR_A_NUMBER = 0.06


def root_status(tables: Tables) -> Figure | None:
    """The share of found, approximate, inactive, degenerate and missing roots.

    One bar for each layer and finder, over all samples and units. At its right end stands how many,
    and how many of the roots have limits that are in doubt.
    """
    if not has_rows(tables.roots):
        return None
    counts = status_counts(tables.roots)
    totals = counts.sum(axis=1).to_numpy()
    picture = style.figure(7.0, 1.15 + 0.34 * len(counts), "What became of the roots")
    axes = picture.subplots()
    style.plain(axes)
    rows, start = np.arange(len(counts)), np.zeros(len(counts))
    for status in counts.columns:
        share = counts[status].to_numpy() / totals
        colour = style.STATUS_COLOURS[status]
        axes.barh(rows, share, 0.68, start, color=colour, label=style.words(status))
        ink = "white" if status in ("found", "not_found") else style.INK
        for row in np.flatnonzero(share >= _ROOM_FOR_A_NUMBER).tolist():
            axes.text(
                start[row] + share[row] / 2,
                row,
                f"{share[row]:.0%}",
                ha="center",
                va="center",
                fontsize=style.SMALL,
                color=ink,
            )
        start = start + share
    marks = limit_counts(tables.roots).reindex(counts.index, fill_value=0)
    for row, total in enumerate(totals):
        text = f"n = {total}" + "".join(
            f", {marks[state].iloc[row]} {mark}"
            for state, mark in style.MARKS.items()
            if marks[state].iloc[row]
        )
        axes.text(1.01, row, text, va="center", fontsize=style.SMALL, color=style.MUTED)
    style.name_marks(axes, [state for state in style.MARKS if marks[state].any()])
    names = [f"layer {layer}, {style.words(finder)}" for layer, finder in counts.index]
    axes.set_yticks(rows, names, fontsize=style.LABEL)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
    style.legend_below(picture, [axes])
    return picture


def limit_counts(roots: pd.DataFrame) -> pd.DataFrame:
    """How many roots have limits that are in doubt: as :func:`status_counts`, a column a state."""
    limits = roots["limit"] if "limit" in roots else pd.Series("none", roots.index)
    doubtful = searches_named(roots).assign(limit=limits)[limits.isin(style.MARKS)]
    counts = doubtful.groupby(["layer", "finder", "limit"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(style.MARKS), fill_value=0)


def status_counts(roots: pd.DataFrame) -> pd.DataFrame:
    """How many roots have each status: a row a (layer, finder), output first, a column a status.

    Statuses that do not occur have no column.
    """
    counts = (
        searches_named(roots).groupby(["layer", "finder", "status"]).size().unstack(fill_value=0)
    )
    counts = counts[[status for status in style.STATUS_COLOURS if status in counts.columns]]
    return counts.sort_index(level=["layer", "finder"], ascending=[False, True])
