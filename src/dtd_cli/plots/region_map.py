"""The linear regions of a plane: f, its gradient, and the roots of every strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from dtd_cli.config.plots import Plots
from dtd_cli.plots import legends, style, wording
from dtd_cli.plots.owners import searches_named
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables, has_rows

_MOST_ARROWS = 150
_PANEL, _AROUND, _SHAPES = 3.3, 1.1, (0.4, 1.6)
"""Inches: a panel's width, what is above and below it; and how flat or high panels are."""
_COLOURS = 256
_LIGHT = ListedColormap(colormaps["Purples"](np.linspace(0, 0.6, _COLOURS)))
"""No darker than that dark arrows show."""
_MARKERS = "osD^vPX<>*"


def region_map(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """Three maps of one plane through a sample: f, ∇f region by region, and the roots in it.

    In a space of more than two dimensions the roots are projected onto the plane.
    """
    if not has_rows(tables.regions):
        return None
    table = tables.regions
    sample, i, k = (int(table[name].iloc[0]) for name in ("sample", "i", "k"))
    outcomes = (one.outcome[0] for one in tables.explained if one.number == sample)
    outcome = next(outcomes, f"output {table['output'].iloc[0]}")
    cells = [cell for _, cell in table.groupby("region")]
    flat = len(tables.features) == 2
    rooted = bool(_root_points(tables, sample))
    low, high = table[["x_i", "x_k"]].min().to_numpy(), table[["x_i", "x_k"]].max().to_numpy()
    height = _PANEL * np.clip((high[1] - low[1]) / (high[0] - low[0]), *_SHAPES)
    picture = style.figure(
        style.MOST_WIDTH,
        _AROUND
        + (3 * height if plots.narrow else height * (plots.inches or 12) / style.MOST_WIDTH),
        f"{len(cells)} linear regions"
        + ("" if flat else f" in the plane through sample {sample}")
        + f", {outcome}",
        "Thin gray or white lines are edges of regions. Arrows are directions of the gradient, its "
        "length is the colour. Dashed lines lead from the sample x to its roots"
        + ("." if flat else ", which are projected onto the plane.")
        + f" n = 1 sample, number {sample}.",
        plots,
    )
    shape = (3, 1) if plots.narrow else (1, 3)
    first, second, third = picture.subplots(*shape, sharex=True, sharey=True)
    for axes, title in (
        (first, "f"),
        (second, "gradient of f, and its length"),
        (third, f"roots of the units of layer 1, sample {sample}" + ": none" * (not rooted)),
    ):
        style.plain(axes, title)
        axes.set_xlabel(wording.literal(tables.features[i]), fontsize=style.LABEL)
        axes.set_aspect("equal", "box")
        axes.locator_params(nbins=5)
    first.set_ylabel(wording.literal(tables.features[k]), fontsize=style.LABEL)
    first.set_xlim(low[0], high[0])
    first.set_ylim(low[1], high[1])
    _draw_f(first, table, cells)
    _draw_gradient(second, cells)
    _draw_roots(third, tables, sample, cells, (i, k))
    legends.legend_below(picture, [third])
    return picture


def _outlines(cells: list[pd.DataFrame], **look: Any) -> PolyCollection:
    return PolyCollection([cell[["x_i", "x_k"]].to_numpy() for cell in cells], **look)


def _draw_f(axes: Axes, table: pd.DataFrame, cells: list[pd.DataFrame]) -> None:
    # f is affine on a triangle, and so bands of equal f are exact. Colours are not: between those
    # of its corners they would pass through some that stand for no value at all.
    starts = np.cumsum([0, *(len(cell) for cell in cells[:-1])])
    fans = [
        (start, start + n, start + n + 1)
        for start, cell in zip(starts, cells, strict=True)
        for n in range(1, len(cell) - 1)
    ]
    ordered = pd.concat(cells)
    mesh = Triangulation(ordered["x_i"], ordered["x_k"], fans)
    low, high = ordered["f"].min(), ordered["f"].max()
    if low == high:
        high += 1.0
    scale = ScalarMappable(Normalize(low, high), "viridis")
    bands = np.linspace(low, high, _COLOURS + 1)
    axes.tricontourf(mesh, ordered["f"], bands, norm=scale.norm, cmap=scale.cmap)
    axes.add_collection(
        _outlines(cells, facecolor="none", edgecolor="white", linewidth=0.4, alpha=0.6)
    )
    style.colour_bar(axes, scale)


def _draw_gradient(axes: Axes, cells: list[pd.DataFrame]) -> None:
    gradients = np.array([cell[["gradient_i", "gradient_k"]].iloc[0] for cell in cells])
    length = np.hypot(*gradients.T)
    patches = _outlines(cells, cmap=_LIGHT, edgecolor=style.FAINT, linewidth=0.4)
    patches.set_array(length)
    patches.set_clim(0, length.max() or 1)
    axes.add_collection(patches)
    style.colour_bar(axes, patches)
    areas = np.array([_area(cell) for cell in cells])
    alive = np.flatnonzero(length > 0)
    shown = alive[np.argsort(-areas[alive], kind="stable")[:_MOST_ARROWS]]
    centres = np.array([cells[n][["x_i", "x_k"]].mean() for n in shown]).reshape(-1, 2)
    if len(shown):
        # Directions only: the length is the colour.
        axes.quiver(
            *centres.T,
            *(gradients[shown] / length[shown, None]).T,
            color=style.INK, pivot="mid", scale=24, width=0.005,
        )  # fmt: skip


def _area(cell: pd.DataFrame) -> float:
    x, y = cell["x_i"].to_numpy(), cell["x_k"].to_numpy()
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)


def _draw_roots(
    axes: Axes, tables: Tables, sample: int, cells: list[pd.DataFrame], shown: tuple[int, int]
) -> None:
    axes.add_collection(_outlines(cells, facecolor="white", edgecolor=style.FAINT, linewidth=0.7))
    x = tables.values(sample)[list(shown)]
    for number, ((name, finder), roots) in enumerate(_root_points(tables, sample).items()):
        colour = tables.colours[finder]
        ends = roots[:, list(shown)]
        for end in ends:
            axes.plot(*np.stack([x, end]).T, color=colour, linewidth=1.1, linestyle=(0, (3, 2)))
        axes.scatter(
            ends[:, 0],
            ends[:, 1],
            s=22,
            marker=_MARKERS[number % len(_MARKERS)],
            color=colour,
            label=wording.words(name),
            zorder=3,
            linewidth=0,
        )
    axes.scatter(x[0], x[1], s=70, marker="*", color=style.INK, label="x", zorder=4)


def _root_points(tables: Tables, sample: int) -> dict[tuple[str, str], Vector]:
    """The roots (N, d) of the units of layer 1, by the name of the search and its finder."""
    if not has_rows(tables.root_points):
        return {}
    points = tables.root_points.assign(name=searches_named(tables.root_points)["finder"])
    points = points[(points["layer"] == 0) & (points["sample"] == sample)]
    wide = points.pivot(index=["name", "finder", "neuron"], columns="index", values="value")
    groups = wide.groupby(level=["name", "finder"], sort=False)
    return {(str(name), str(finder)): rows.to_numpy() for (name, finder), rows in groups}
