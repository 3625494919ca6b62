"""The network as a graph, its edges as wide as the relevance that passes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables, Vector, has_rows

_MOST_SAMPLES = 3
_WIDEST, _THINNEST = 13.0, 0.3
_UNSEEN = 0.004
"""Edges with less than this share of the widest are not drawn."""
_ROOM_FOR_NUMBERS = 16


def path_graph(tables: Tables) -> Figure | None:
    """For the first samples and each method: the sums of the paths through each pair of units.

    Widths are on one scale for all methods of a sample; colour is the sign, of a unit that of
    the relevance that passes through it. Where no finite relevance exists nothing is drawn.
    """
    if not has_rows(tables.flows):
        return None
    flows = tables.flows
    samples, others = style.first(list(flows["sample"].unique()), _MOST_SAMPLES)
    methods = list(flows["method"].unique())
    widest = flows.groupby(["sample", "layer"])[["lower"]].nunique().to_numpy().max()
    width, height = style.MOST_WIDTH / 2, min(7.0, 1.6 + 0.24 * float(widest))
    picture = style.figure(
        style.total_width(len(methods), width),
        0.7 + height * len(samples),
        f"Relevance from the output to the input{others}",
    )
    grid = picture.subplots(len(samples), len(methods), squeeze=False)
    f = {sample.number: sample.f for sample in tables.explained}
    for row, sample in zip(grid, samples, strict=True):
        of_sample = flows[flows["sample"] == sample]
        doubts = {method: tables.doubt(method, sample, 0) for method in methods}
        finite = of_sample[of_sample["method"].map(doubts) != "unbounded"]
        scale = finite["relevance"].abs().max() or 1.0
        for axes, method in zip(row, methods, strict=True):
            title = f"{style.words(method)}, {tables.title(sample)}"
            if doubts[method] == "unbounded":
                style.plain(axes, title)
                style.leave_empty(axes, doubts[method])
                continue
            edges = finite[finite["method"] == method]
            total = style.number(edges.loc[edges["layer"] == 0, "relevance"].sum())
            of = f" of f = {style.number(f[sample])}" if sample in f else ""
            style.plain(axes, style.marked(f"{title}: ΣR = {total}{of}", doubts[method]))
            _draw(axes, edges, float(scale), tables.features)
    _legend(picture, [tables.doubt(method, sample, 0) for method in methods for sample in samples])
    return picture


def _draw(axes: Axes, edges: pd.DataFrame, scale: float, features: list[str]) -> None:
    units = _units(edges)
    places = {layer: _places(len(numbers)) for layer, numbers in enumerate(units)}
    at = {
        (layer, unit): place
        for layer, numbers in enumerate(units)
        for unit, place in zip(numbers, places[layer], strict=True)
    }
    # The widest last, on top of the others.
    drawn = edges[edges["relevance"].abs() > _UNSEEN * scale]
    drawn = drawn.loc[drawn["relevance"].abs().sort_values().index]
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
    for layer, numbers in enumerate(units):
        _draw_units(axes, layer, numbers, places[layer], _passing(edges, layer, numbers), scale)
    depth = len(units) - 1
    if 0 < len(features) <= _ROOM_FOR_NUMBERS:
        for name, place in zip(features, places[0], strict=True):
            axes.annotate(
                style.literal(name), (0, place), (-11, 0), textcoords="offset points",
                ha="right", va="center", fontsize=style.SMALL, color=style.INK,
            )  # fmt: skip
    ends = {0: "input", depth: "output"}
    axes.set_xticks(range(depth + 1), [ends.get(n, f"layer {n}") for n in range(depth + 1)])
    axes.set(xlim=(-0.35, depth + 0.2), ylim=(-0.06, 1.06), yticks=[])
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)


def _draw_units(
    axes: Axes, layer: int, numbers: list[int], places: Vector, passing: Vector, scale: float
) -> None:
    several = len(numbers) <= _ROOM_FOR_NUMBERS
    faint = np.abs(passing) <= _UNSEEN * scale
    face = np.where(faint, "white", _colours(passing))
    axes.scatter(
        np.full(len(numbers), layer), places, s=150 if several else 12, c=face,
        edgecolors=list(np.where(faint, style.GRAY, face)), linewidths=0.8, zorder=3,
    )  # fmt: skip
    for number, place, quiet in zip(numbers, places, faint, strict=True) if several else ():
        axes.text(
            layer, place, str(number), ha="center", va="center_baseline", fontsize=style.SMALL,
            color=style.MUTED if quiet else "white", zorder=4,
        )  # fmt: skip


def _units(edges: pd.DataFrame) -> list[list[int]]:
    """The numbers of the units of every layer; of the output the explained one alone."""
    depth = int(edges["layer"].max()) + 1
    lower = [sorted(edges.loc[edges["layer"] == n, "lower"].unique()) for n in range(depth)]
    return [*lower, sorted(edges.loc[edges["layer"] == depth - 1, "upper"].unique())]


def _passing(edges: pd.DataFrame, layer: int, numbers: list[int]) -> Vector:
    """The relevance that passes through each unit of a layer."""
    own, side = (edges["layer"] == layer, "lower")
    if not own.any():
        own, side = (edges["layer"] == layer - 1, "upper")
    sums = edges[own].groupby(side)["relevance"].sum()
    return np.asarray(sums.reindex(numbers), dtype=np.float64)


def _places(count: int) -> Vector:
    """Heights from top to bottom for so many units."""
    return np.array([0.5]) if count == 1 else np.linspace(1, 0, count)


def _colours(values: Vector) -> Vector:
    return np.where(values < 0, style.NEGATIVE, style.POSITIVE)


def _legend(picture: Figure, doubts: list[str]) -> None:
    handles = [
        Line2D([], [], color=colour, linewidth=4, alpha=0.6, label=label)
        for label, colour in (("positive relevance", style.POSITIVE), ("negative", style.NEGATIVE))
    ]
    handles += style.marks(doubts)
    picture.legend(
        handles=handles, loc="outside lower center", ncols=4, fontsize=style.LABEL, frameon=False
    )
