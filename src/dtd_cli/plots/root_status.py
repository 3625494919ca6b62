"""What became of the roots."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.owners import searches_named
from dtd_cli.plots.tables import Tables, has_rows

_ROOM_FOR_A_NUMBER = 0.06
_KINDS = {"admissible": style.GREEN, "same_region": style.PURPLE}
_KIND_NAMES = {"admissible": "in the domain", "same_region": "in the anchor's region"}
_GROUP = ["layer", "finder"]


def root_status(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The share of units with each status of their roots.

    One bar for each layer and finder, over all samples and units. The thin bars below it are the
    shares whose root is admissible, and whose root lies in the anchor's region. At its right end
    stands how many, that no root was to be found where all are inactive, and how many of the roots
    have limits that are in doubt.
    """
    if not has_rows(tables.roots):
        return None
    counts, kinds = status_counts(tables.roots), kind_counts(tables.roots)
    totals = counts.sum(axis=1).to_numpy()
    picture = style.figure(
        7.0,
        1.25 + 0.42 * len(counts),
        "What became of the roots",
        "Shares of all units of all samples, by layer and root search; n is how many. An "
        "inactive unit has no relevance, so that no root of it is to be found. Thin bars: "
        "the shares that have a root, found or approximate, which lies in the domain of its layer, "
        "and one which lies in the linear region of its anchor.",
        plots,
    )
    axes = picture.subplots()
    style.plain(axes)
    rows, start = np.arange(len(counts)), np.zeros(len(counts))
    for status in counts.columns:
        share = counts[status].to_numpy() / totals
        colour = style.STATUS_COLOURS[status]
        axes.barh(rows - 0.12, share, 0.5, start, color=colour, label=wording.words(status))
        ink = "white" if status in ("found", "not_found") else style.INK
        for row in np.flatnonzero(share >= _ROOM_FOR_A_NUMBER).tolist():
            axes.text(
                start[row] + share[row] / 2,
                row - 0.12,
                f"{share[row]:.0%}",
                ha="center",
                va="center",
                fontsize=style.SMALL,
                color=ink,
            )
        start = start + share
    for offset, (kind, colour) in zip((0.2, 0.31), _KINDS.items(), strict=True):
        share = kinds[kind].to_numpy() / totals
        axes.barh(rows + offset, share, 0.1, color=colour, label=_KIND_NAMES[kind])
    _number(axes, tables.roots, counts)
    names = [f"layer {layer}, {wording.words(finder)}" for layer, finder in counts.index]
    axes.set_yticks(rows, names, fontsize=style.LABEL)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
    legends.legend_below(picture, [axes], ncols=2 if plots.narrow else 4)
    return picture


def _number(axes: Axes, roots: pd.DataFrame, counts: pd.DataFrame) -> None:
    marks = limit_counts(roots).reindex(counts.index, fill_value=0)
    totals = counts.sum(axis=1)
    nothing = counts.get("inactive", 0 * totals) == totals
    for row, total in enumerate(totals):
        text = (
            f"n = {total}"
            + ", nothing to find" * bool(nothing.iloc[row])
            + "".join(
                f", {marks[state].iloc[row]} {mark}"
                for state, mark in doubt_marks.MARKS.items()
                if marks[state].iloc[row]
            )
        )
        axes.text(1.01, row, text, va="center", fontsize=style.SMALL, color=style.MUTED)
    doubt_marks.name_marks(axes, [state for state in doubt_marks.MARKS if marks[state].any()])


def limit_counts(roots: pd.DataFrame) -> pd.DataFrame:
    """How many roots have limits that are in doubt: as :func:`status_counts`, a column a state."""
    limits = roots["limit"] if "limit" in roots else pd.Series("none", roots.index)
    doubtful = searches_named(roots).assign(limit=limits)[limits.isin(doubt_marks.MARKS)]
    counts = doubtful.groupby([*_GROUP, "limit"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(doubt_marks.MARKS), fill_value=0)


def status_counts(roots: pd.DataFrame) -> pd.DataFrame:
    """How many roots have each status: a row a (layer, finder), output first, a column a status.

    Statuses that do not occur have no column.
    """
    counts = searches_named(roots).groupby([*_GROUP, "status"]).size().unstack(fill_value=0)
    counts = counts[[status for status in style.STATUS_COLOURS if status in counts.columns]]
    return counts.sort_index(level=_GROUP, ascending=[False, True])


def kind_counts(roots: pd.DataFrame) -> pd.DataFrame:
    """How many roots are admissible, and in their anchor's region: as :func:`status_counts`."""
    is_point = roots["status"].isin(("found", "approximate"))
    kinds = {
        kind: is_point & roots[kind].astype("boolean").fillna(False).astype(bool) for kind in _KINDS
    }
    counts = searches_named(roots).assign(**kinds).groupby(_GROUP)[list(_KINDS)].sum()
    return counts.sort_index(level=_GROUP, ascending=[False, True])
