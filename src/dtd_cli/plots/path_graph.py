"""The network as a graph, its edges as wide as the relevance that passes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables, has_rows

_MOST_SAMPLES, _MOST_EDGES = 3, 24
_WIDEST, _THINNEST = 13.0, 0.3
_UNSEEN = 0.004
"""Edges with less than this share of the widest are not drawn."""
_ROOM_FOR_ALL = 16
"""Of a layer with more units only those are drawn that have an edge."""
_LONGEST_NAME = 14


def path_graph(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """For the first samples and each method: the sums of the paths through each pair of units.

    Of each layer the strongest edges are drawn. Widths are on one scale for all methods of a
    sample; colour is the sign, of a unit that of the relevance that passes through it. Where no
    finite relevance exists nothing is drawn.
    """
    if not has_rows(tables.flows):
        return None
    flows = tables.flows
    samples, others = style.first(list(flows["sample"].unique()), _MOST_SAMPLES, plots)
    flows = flows[flows["sample"].isin(samples)]
    doubts = {
        (method, sample): tables.doubt(method, sample, 0)
        for method, sample in flows[["method", "sample"]].drop_duplicates().to_numpy()
    }
    states = pd.Series([doubts[key] for key in zip(flows["method"], flows["sample"], strict=True)])
    finite = flows[(states != "unbounded").to_numpy()]
    drawn = strongest_edges(finite)
    units = _units(flows, drawn)
    methods = list(flows["method"].unique())
    most = max(map(len, units))
    width, height = style.MOST_WIDTH / 2, min(6.0, 1.0 + 0.22 * most)
    rows = len(samples) * (len(methods) if plots.narrow else 1)
    hidden = sum(map(len, _units(flows, flows))) - sum(map(len, units))
    picture = style.figure(
        style.total_width(len(methods), width),
        0.7 + height * rows,
        f"Relevance from the output to the input{others}",
        f"Edges are as wide as the relevance that passes: the strongest {_MOST_EDGES} between two "
        "layers, on one scale for all methods of a sample. Units without relevance are white. "
        f"Units without such an edge, in layers of more than {_ROOM_FOR_ALL}, are left out "
        f"({hidden}). n = {wording.counted(len(samples), 'sample')}.",
        plots,
    )
    grid = picture.subplots(rows, -(-len(samples) * len(methods) // rows), squeeze=False)
    f = {sample.number: sample.f for sample in tables.explained}
    keys = [(sample, method) for sample in samples for method in methods]
    coloured: list[float] = []
    for axes, (sample, method) in zip(grid.ravel(), keys, strict=True):
        doubt = doubts.get((method, sample), "")
        if doubt == "unbounded":
            style.plain(axes, f"{wording.words(method)}, {tables.title(sample)}")
            doubt_marks.leave_empty(axes, doubt)
            continue
        own = finite[(finite["sample"] == sample) & (finite["method"] == method)]
        total = wording.number(own.loc[own["layer"] == 0, "relevance"].sum())
        of = f" of f = {wording.number(f[sample])}" if sample in f else ""
        title = f"{wording.words(method)}, {tables.title(sample)}:\nΣR = {total}{of}"
        style.plain(axes, doubt_marks.marked(title, doubt))
        scale = finite.loc[finite["sample"] == sample, "relevance"].abs().max() or 1.0
        coloured += _draw(
            axes, own, drawn.loc[drawn.index.intersection(own.index)], units, float(scale)
        )
        if axes.get_subplotspec().is_first_col():
            _name(axes, units[0], tables.features)
        if axes.get_subplotspec().is_last_row():
            ends = {0: "input", len(units) - 1: "output"}
            names = [ends.get(n, f"layer {n}") for n in range(len(units))]
            axes.set_xticks(range(len(units)), names)
    _legend(picture, coloured, list(doubts.values()))
    return picture


def strongest_edges(flows: pd.DataFrame) -> pd.DataFrame:
    """Of each sample, method and layer the edges with the most relevance, the widest last."""
    size = flows["relevance"].abs()
    scale = size.groupby(flows["sample"]).transform("max")
    rank = size.groupby([flows["sample"], flows["method"], flows["layer"]]).rank(
        ascending=False, method="first"
    )
    kept = flows[(rank <= _MOST_EDGES) & (size > _UNSEEN * scale)]
    return kept.loc[kept["relevance"].abs().sort_values().index]


def _draw(
    axes: Axes, own: pd.DataFrame, drawn: pd.DataFrame, units: list[list[int]], scale: float
) -> list[float]:
    """Draw edges and units; the relevances whose signs have a colour."""
    places = [_places(len(numbers)) for numbers in units]
    at = {
        (layer, unit): place
        for layer, numbers in enumerate(units)
        for unit, place in zip(numbers, places[layer], strict=True)
    }
    pairs = drawn[["layer", "lower", "upper"]].to_numpy(dtype=int).tolist()
    curves = [
        style.ribbon(layer, at[layer, lower], at[layer + 1, upper]) for layer, lower, upper in pairs
    ]
    axes.add_collection(
        LineCollection(
            curves,
            linewidths=np.maximum(_THINNEST, _WIDEST * drawn["relevance"].abs() / scale),
            colors=_colours(drawn["relevance"].to_numpy()),
            alpha=0.55,
            capstyle="butt",
            zorder=2,
        )
    )
    coloured = drawn["relevance"].tolist()
    for layer, numbers in enumerate(units):
        passing = _passing(own, layer, numbers)
        faint = np.abs(passing) <= _UNSEEN * scale
        _draw_units(axes, layer, numbers, places[layer], passing, faint)
        coloured += passing[~faint].tolist()
    axes.set(xlim=(-0.35, len(units) - 0.8), ylim=(-0.06, 1.06), xticks=[], yticks=[])
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)
    return coloured


def _draw_units(
    axes: Axes,
    layer: int,
    numbers: list[int],
    places: Vector,
    passing: Vector,
    faint: NDArray[np.bool_],
) -> None:
    face = np.where(faint, "white", _colours(passing))
    axes.scatter(
        np.full(len(numbers), layer), places, s=120, c=face,
        edgecolors=list(np.where(faint, style.GRAY, face)), linewidths=0.8, zorder=3,
    )  # fmt: skip
    for number, place, quiet in zip(numbers, places, faint, strict=True):
        axes.text(
            layer, place, str(number), ha="center", va="center_baseline", fontsize=6,
            color=style.MUTED if quiet else "white", zorder=4,
        )  # fmt: skip


def _name(axes: Axes, inputs: list[int], features: list[str]) -> None:
    """Write the names of the inputs beside them."""
    for unit, place in zip(inputs, _places(len(inputs)), strict=True):
        if unit < len(features):
            axes.annotate(
                wording.literal(features[unit], _LONGEST_NAME), (0, place), (-9, 0),
                textcoords="offset points", ha="right", va="center", fontsize=style.SMALL,
                color=style.INK,
            )  # fmt: skip


def _units(flows: pd.DataFrame, drawn: pd.DataFrame) -> list[list[int]]:
    """The units of every layer: all if there are few, else those with a drawn edge."""
    depth = int(flows["layer"].max()) + 1
    layers = []
    for layer in range(depth + 1):
        every, some = _touched(flows, layer), _touched(drawn, layer)
        layers.append(every if len(every) <= _ROOM_FOR_ALL else some or every[:1])
    return layers


def _touched(flows: pd.DataFrame, layer: int) -> list[int]:
    below = flows.loc[flows["layer"] == layer, "lower"]
    above = flows.loc[flows["layer"] == layer - 1, "upper"]
    return sorted({*below, *above})


def _passing(edges: pd.DataFrame, layer: int, numbers: list[int]) -> Vector:
    """The relevance that passes through each unit of a layer."""
    own, side = (edges["layer"] == layer, "lower")
    if not own.any():
        own, side = (edges["layer"] == layer - 1, "upper")
    sums = edges[own].groupby(side)["relevance"].sum()
    return np.nan_to_num(np.asarray(sums.reindex(numbers), dtype=np.float64))


def _places(count: int) -> Vector:
    """Heights from top to bottom for so many units."""
    return np.array([0.5]) if count == 1 else np.linspace(1, 0, count)


def _colours(values: Vector) -> Vector:
    return np.where(values < 0, style.NEGATIVE, style.POSITIVE)


def _legend(picture: Figure, coloured: list[float], doubts: list[str]) -> None:
    handles = [*legends.signs(coloured), *doubt_marks.marks(doubts)]
    if handles:
        picture.legend(
            handles=handles, loc="outside lower center", ncols=4, fontsize=style.LABEL,
            frameon=False,
        )  # fmt: skip
