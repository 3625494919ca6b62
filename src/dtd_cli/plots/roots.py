"""An input and its roots, coordinate by coordinate."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.owners import OF_F, owners, told_apart, unit_name
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables, by_index, has_rows

_MOST_FEATURES, _MOST_UNITS, _MOST_ROWS = 12, 12, 6
_LETTER, _LINE, _BAR = 0.07, 0.13, 0.045
"""Inches: how wide a letter of a panel's title is, how high a line, and how wide a bar."""
_IS_A_POINT = ("found", "approximate")


def roots(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """How far from x its roots lie: x, its closed-form root and its searched roots side by side.

    The first explained sample that has roots at the input; one panel a unit of the first hidden
    layer, and one for f if it is decomposed at once. A finder that has no root there has
    no bars, and the title says why. Units for which no finder has one have no panel, and of many
    the strongest have one: as many as fit on a page.
    """
    features = tables.features
    if not has_rows(tables.roots) or not has_rows(tables.root_points):
        return None
    table, points = (told_apart(t[t["layer"] == 0]) for t in (tables.roots, tables.root_points))
    have = set(table["sample"])
    sample = next((s.number for s in tables.explained if s.number in have), None)
    if sample is None or len(features) > _MOST_FEATURES:
        return None
    table, points = (t[t["sample"] == sample] for t in (table, points))
    finders = sorted((str(f) for f in table["finder"].unique()), key=lambda f: f != "closed_form")
    h = table.groupby("neuron")["relevance"].first().fillna(0.0)
    rooted = table.loc[table["status"].isin(_IS_A_POINT), "neuron"].unique()
    width = max(2.5, 0.6 + len(features) * (0.16 + _BAR * (1 + len(finders))))
    _, columns = style.shape(_MOST_UNITS, width, plots)
    room = min(_MOST_UNITS, _MOST_ROWS * columns)
    strongest = h[h.index.isin(rooted)].abs().nlargest(room, keep="first").index
    units = sorted(map(int, strongest))
    if not units:
        return None
    others = f", {len(units)} of {len(h)}" if len(units) < len(h) else ""

    rows, columns = style.shape(len(units), width, plots)
    outcomes = {unit: _outcomes(table, finders, unit) for unit in units}
    doubts = {unit: "" if unit == OF_F else tables.doubt("recursive", sample, 1) for unit in units}
    titles = {
        unit: [
            doubt_marks.marked(
                f"{unit_name(unit)}, h(x) = {wording.number(h[unit])}", doubts[unit]
            ),
            *_told(outcomes[unit], int(width / _LETTER)),
        ]
        for unit in units
    }
    picture = style.figure(
        style.total_width(columns, width),
        0.9 + rows * (1.75 + _LINE * max(map(len, titles.values()))),
        f"The input x and its roots for {owners(units, layer=1)}{others}, {tables.title(sample)}",
        f"A panel a unit, with its relevance h(x) and what each search found; of {len(h)} units "
        f"the {len(units)} strongest that have a root. n = 1 sample; all panels have one scale.",
        plots,
    )
    grid = style.panels(picture, rows, columns, len(units), "value", sharey=True)
    colours = {"x": style.GRAY, **tables.colours}
    thickness = 0.84 / (1 + len(finders))
    for axes, unit in zip(grid, units, strict=True):
        doubt_marks.name_marks(
            axes, [doubts[unit], *(doubt for _, doubt in outcomes[unit].values())]
        )
        bars = {"x": tables.values(sample)}
        for finder, (status, _) in outcomes[unit].items():
            bars[finder] = _point(points, finder, unit, len(features), status)
        for i, (name, heights) in enumerate(bars.items()):
            axes.bar(
                np.arange(len(features)) + (i - (len(bars) - 1) / 2) * thickness,
                heights,
                thickness * 0.94,
                color=colours[name],
                label=wording.words(name),
                zorder=2,
            )
        axes.set_title("\n".join(titles[unit]), fontsize=style.LABEL, color=style.INK, loc="left")
        style.name_features(axes, features)
    legends.legend_below(picture, grid, ncols=2 if plots.narrow else 5)
    return picture


def _outcomes(table: pd.DataFrame, finders: list[str], unit: int) -> dict[str, tuple[str, str]]:
    """What became of the root of each finder that looked for it, and its limit if in doubt."""
    rows = table[table["neuron"] == unit].drop_duplicates("finder").set_index("finder")
    limits = rows["limit"] if "limit" in rows else pd.Series("", rows.index)
    return {
        finder: (str(rows["status"][finder]), limit if limit in doubt_marks.MARKS else "")
        for finder in finders
        if finder in rows.index
        for limit in [str(limits[finder])]
    }


def _told(outcomes: dict[str, tuple[str, str]], letters: int) -> list[str]:
    """A status with its finders, on lines of so many letters."""
    by_status: dict[str, list[str]] = {}
    for finder, (status, doubt) in outcomes.items():
        # No line ends within a name.
        name = doubt_marks.marked(wording.words(finder), doubt).replace(" ", "\N{NO-BREAK SPACE}")
        by_status.setdefault(status, []).append(name)
    return [
        line
        for status, names in by_status.items()
        for line in textwrap.wrap(f"{wording.words(status)}: {', '.join(names)}", letters)
    ]


def _point(points: pd.DataFrame, finder: str, unit: int, size: int, status: str) -> Vector:
    """The coordinates of a root; NaN where the finder has none to show."""
    rows = points[(points["finder"] == finder) & (points["neuron"] == unit)]
    if status not in _IS_A_POINT:
        rows = rows.iloc[:0]
    return by_index(rows["index"], rows["value"], size)
