"""What a root search saw along its line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.owners import OF_F, owners, told_apart, unit_name
from dtd_cli.plots.tables import Tables, has_rows

_MOST_UNITS, _WIDTH = 12, 2.5
_UNIT = ["finder", "neuron"]


def search_lines(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The relevance of a unit from the far end of its search line to the anchor, root marked.

    The first explained sample that was searched, in its lowest searched layer; one panel a unit,
    one colour a finder. A dot is a root; where there is none the panel's title says why.
    """
    if not has_rows(tables.search_lines) or not has_rows(tables.search_roots):
        return None
    lines, roots = told_apart(tables.search_lines), told_apart(tables.search_roots)
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
    rows, columns = style.shape(len(units), _WIDTH, plots)
    picture = style.figure(
        style.total_width(columns, _WIDTH),
        0.9 + rows * (1.75 + 0.13 * len(finders)),
        f"Relevance along the search lines of {owners(units, layer + 1)}, {tables.title(sample)}",
        "From the far end of a search line (0) to the anchor (1); a dot is the root that was "
        f"found. The {len(units)} strongest units of n = 1 sample; each panel has its own scale.",
        plots,
    )
    grid = style.panels(picture, rows, columns, len(units), "relevance h")
    for axes, unit in zip(grid, units, strict=True):
        doubt = "" if unit == OF_F else tables.doubt("recursive", sample, layer + 1)
        outcome = [doubt_marks.marked(unit_name(unit), doubt)]
        doubt_marks.name_marks(axes, [doubt])
        for finder, width in zip(finders, style.nested(len(finders)), strict=True):
            line = _rows_of(lines, finder, unit).sort_values("position")
            name = wording.words(finder)
            axes.plot(
                line["position"],
                line["relevance"],
                color=tables.colours[finder],
                linewidth=width,
                label=name,
                zorder=2,
            )
            status, position = _outcome(_rows_of(roots, finder, unit))
            if position is not None and len(line):
                height = float(np.interp(position, line["position"], line["relevance"]))
                _mark(axes, position, height, tables.colours[finder], width)
                status = f"{status} at {wording.number(position)}"
            outcome.append(f"{name}: {status}")
        axes.set_title("\n".join(outcome), fontsize=style.LABEL, color=style.INK, loc="left")
        if (lines.loc[lines["neuron"] == unit, "relevance"] == 0).all():
            axes.set(ylim=(-0.1, 1.0), yticks=[0])
        axes.set_xlim(-0.04, 1.04)
        axes.set_xticks([0, 0.5, 1], ["0\nfar end", "0.5", "1\nanchor"])
    if len(finders) > 1 or tables.doubt("recursive", sample, layer + 1):
        legends.legend_below(picture, grid)
    return picture


def _strongest(lines: pd.DataFrame) -> list[int]:
    """The units with the largest |relevance| at the anchor, in the order of their numbers."""
    anchors = lines.loc[lines.groupby(_UNIT)["position"].idxmax()]
    strength = anchors["relevance"].abs().groupby(anchors["neuron"]).max()
    return sorted(int(n) for n in strength.nlargest(_MOST_UNITS, keep="first").index)


def _rows_of(table: pd.DataFrame, finder: str, unit: int) -> pd.DataFrame:
    return table[(table["finder"] == finder) & (table["neuron"] == unit)]


def _outcome(root: pd.DataFrame) -> tuple[str, float | None]:
    """What became of a search, in words, and where on its line the root is, if there is one."""
    if root.empty:
        return "no search", None
    position = float(root["position"].iloc[0])
    return wording.words(str(root["status"].iloc[0])), position if np.isfinite(position) else None


def _mark(axes: Axes, position: float, height: float, colour: str, width: float) -> None:
    axes.axvline(position, color=colour, linewidth=0.8, linestyle=":", zorder=1)
    axes.plot(
        [position],
        [height],
        "o",
        color=colour,
        markeredgecolor="white",
        markersize=4 + 2 * width,
        zorder=4,
    )
