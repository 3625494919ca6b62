"""What a root search saw along its line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables, has_rows

_MOST_UNITS = 12
_UNIT = ["finder", "neuron"]


def search_lines(tables: Tables) -> Figure | None:
    """The relevance of a unit from the far end of its search line to the anchor, root marked.

    The first explained sample that was searched, in its lowest searched layer; one panel a unit,
    one colour a finder. A dot is a root; where there is none the panel's title says why.
    """
    if not has_rows(tables.search_lines) or not has_rows(tables.search_roots):
        return None
    lines, roots = tables.search_lines, tables.search_roots
    searched = set(lines["sample"])
    sample = next((s.number for s in tables.explained if s.number in searched), None)
    if sample is None:
        return None
    lines = lines[lines["sample"] == sample]
    layer = int(lines["layer"].min())
    lines = lines[lines["layer"] == layer]
    roots = roots[(roots["sample"] == sample) & (roots["layer"] == layer)]

    units = _strongest(lines)
    finders = [str(finder) for finder in lines["finder"].unique()]
    rows, columns = style.shape(len(units))
    picture = style.figure(
        max(5.0, 2.5 * columns),
        0.9 + rows * (1.75 + 0.13 * len(finders)),
        f"Relevance of the units of layer {layer + 1} along their search lines, sample {sample}",
    )
    grid = style.panels(picture, rows, columns, len(units), "relevance h")
    colours = style.colours(finders, style.FINDER_COLOURS)
    for axes, unit in zip(grid, units, strict=True):
        outcome = [f"unit {unit}"]
        for finder in finders:
            line = _rows_of(lines, finder, unit).sort_values("position")
            axes.plot(
                line["position"],
                line["relevance"],
                color=colours[finder],
                linewidth=1.5,
                label=style.words(finder),
                zorder=2,
            )
            root = _rows_of(roots, finder, unit)
            outcome.append(_mark_root(axes, line, root, finder, colours[finder]))
        axes.set_title("\n".join(outcome), fontsize=style.LABEL, color=style.INK, loc="left")
        axes.set_xlim(-0.04, 1.04)
        axes.set_xticks([0, 0.5, 1], ["0\nfar end", "0.5", "1\nanchor"])
    if len(finders) > 1:
        style.legend_below(picture, grid)
    return picture


def _strongest(lines: pd.DataFrame) -> list[int]:
    """The units with the largest |relevance| at the anchor, in the order of their numbers."""
    anchors = lines.loc[lines.groupby(_UNIT)["position"].idxmax()]
    strength = anchors["relevance"].abs().groupby(anchors["neuron"]).max()
    return sorted(int(n) for n in strength.nlargest(_MOST_UNITS, keep="first").index)


def _rows_of(table: pd.DataFrame, finder: str, unit: int) -> pd.DataFrame:
    return table[(table["finder"] == finder) & (table["neuron"] == unit)]


def _mark_root(axes: Axes, line: pd.DataFrame, root: pd.DataFrame, finder: str, colour: str) -> str:
    """Mark the root, if there is one, and say what became of the search."""
    name = style.words(finder)
    if root.empty:
        return f"{name}: no search"
    status, position = str(root["status"].iloc[0]), float(root["position"].iloc[0])
    if not np.isfinite(position):
        return f"{name}: {style.words(status)}"
    height = np.interp(position, line["position"], line["relevance"])
    axes.axvline(position, color=colour, linewidth=0.8, linestyle=":", zorder=1)
    axes.plot(
        [position], [height], "o", color=colour, markeredgecolor="white", markersize=7, zorder=4
    )
    return f"{name}: {style.words(status)} at {style.number(position)}"
