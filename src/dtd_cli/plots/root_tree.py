"""The tree of the roots visited: which unit's root led to which."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.tables import Tables, has_rows

MOST_NODES = 100
"""Of a tree with more roots the strongest are drawn."""

_WIDEST = 8.0
_THINNEST = 0.6
_ROOM_FOR_NUMBERS = 60
_NAMED = 0.02
"""Where there is no room for all, roots through which this share of the widest passes are named."""


def root_tree(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The first sample's tree: x at the left, then the roots of its units, then theirs.

    A branch is as wide as the relevance that passes, gray where none does; of the study of nested
    roots, as the relevance of the unit. A unit without a root ends its branch. A ring marks a root
    at which the derivative is a limit. Where no finite relevance exists all branches are gray. Of
    a large tree the strongest branches are drawn.
    """
    table = tables.root_tree
    if not has_rows(table):
        if not has_rows(tables.nested_roots):
            return None
        table = tables.nested_roots
        table = table.assign(passed=table["relevance"], epsilon=np.nan)
        table = table[table["status"] != "inactive"]
        if table.empty:
            return None
    sample = int(table["sample"].iloc[0])
    whole = table[table["sample"] == sample].set_index("node")
    doubt = tables.doubt("recursive", sample, 0)
    limits = whole["limits"] if "limits" in whole else pd.Series("none", whole.index)
    # What has no finite relevance has no width, and sets none.
    endless = (limits == "unbounded") | (doubt == "unbounded")
    whole = whole.assign(limits=limits, passed=whole["passed"].mask(endless, 0.0))
    tree = strongest(whole)
    places = heights(tree)
    leaves = len(tree) - tree["parent"].dropna().nunique()
    some = f", the {len(tree)} strongest of {len(whole)}" if len(tree) < len(whole) else ""
    picture = style.figure(
        8.6,
        min(10.0, 1.6 + 0.17 * max(leaves, 6)),
        doubt_marks.marked(f"Roots within roots, {tables.title(sample)}{some}", doubt),
        "The sample x at the left, then the roots of the units of layer 1, and in each of these "
        "the roots of the units above. A branch is as wide as the relevance that passes, on one "
        "scale, and gray where there is none. Numbers are units. n = 1 sample.",
        plots,
    )
    axes = picture.subplots()
    style.plain(axes)
    _draw_branches(axes, tree, places)
    widest = tree["passed"].abs().max()
    named = (tree["passed"].abs() > _NAMED * widest) | (leaves <= _ROOM_FOR_NUMBERS)
    _draw_roots(axes, tree, places, named.to_numpy())
    for mark in doubt_marks.MARKS:
        nodes = tree[tree["limits"] == mark]
        doubt_marks.mark_points(axes, mark, nodes["layer"], [places[node] for node in nodes.index])
    depth = int(tree["layer"].max()) + 1
    names = [f"roots in layer {n}\nof units of layer {n + 1}" for n in range(depth)]
    axes.set_xticks(range(-1, depth), ["x", *names])
    axes.set(xlim=(-1.1, depth - 0.8), ylim=(-1, leaves), yticks=[])
    axes.invert_yaxis()
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)
    _legend(picture, tree, doubt, plots)
    return picture


def strongest(tree: pd.DataFrame) -> pd.DataFrame:
    """The nodes through which the most relevance passes, with all that they are nested in.

    A tree with at most :data:`MOST_NODES` nodes is whole.
    """
    if len(tree) <= MOST_NODES:
        return tree
    parents = tree["parent"].dropna().astype(int).to_dict()
    passed = tree["passed"].abs().sort_values(ascending=False, kind="stable")
    kept: set[int] = set()
    for node in passed.index[(passed > 0) | (passed.max() == 0)].tolist():
        above, at = [], node
        while at is not None and at not in kept:
            above.append(at)
            at = parents.get(at)
        if len(kept) + len(above) > MOST_NODES:
            break
        kept.update(above)
    return tree[tree.index.isin(kept)]


def heights(tree: pd.DataFrame) -> dict[int, float]:
    """The height of each node: leaves one below the other, a parent amid its children.

    The tree itself has the height under the key -1.
    """
    children: dict[int, list[int]] = {}
    for node, parent in zip(tree.index, tree["parent"].fillna(-1).astype(int), strict=True):
        children.setdefault(parent, []).append(int(node))
    places: dict[int, float] = {}
    free = 0
    # Depth first, each node again after its children.
    stack = [(-1, False)]
    while stack:
        node, seen = stack.pop()
        below = children.get(node, [])
        if not below:
            places[node] = float(free)
            free += 1
        elif seen:
            places[node] = (places[below[0]] + places[below[-1]]) / 2
        else:
            stack += [(node, True), *((child, False) for child in reversed(below))]
    return places


def _draw_branches(axes: Axes, tree: pd.DataFrame, places: dict[int, float]) -> None:
    passed = tree["passed"].to_numpy(dtype=np.float64)
    scale = np.abs(passed).max() or 1.0
    parents = tree["parent"].fillna(-1).astype(int)
    curves = [
        style.ribbon(layer - 1, places[parent], places[node])
        for node, parent, layer in zip(tree.index, parents, tree["layer"], strict=True)
    ]
    colours = np.select([passed > 0, passed < 0], [style.POSITIVE, style.NEGATIVE], style.FAINT)
    widths = np.maximum(_THINNEST, _WIDEST * np.abs(passed) / scale)
    order = np.argsort(widths, kind="stable")
    axes.add_collection(
        LineCollection(
            [curves[n] for n in order], linewidths=widths[order], colors=colours[order], alpha=0.6
        )
    )


def _draw_roots(
    axes: Axes, tree: pd.DataFrame, places: dict[int, float], named: NDArray[np.bool_]
) -> None:
    column = tree["layer"]
    height = np.array([places[node] for node in tree.index])
    axes.scatter(-1, places[-1], s=70, marker="*", color=style.INK, zorder=4)
    expanded = tree["epsilon"].notna().to_numpy()
    colours = tree["status"].map(style.STATUS_COLOURS).to_numpy()
    limit = (tree["epsilon"] > 0).to_numpy()
    size = np.select([named & expanded, named, expanded], [110, 60, 14], 9)
    edge = np.select([limit, named], [style.INK, "white"], "none")
    axes.scatter(
        column, height, s=size, c=list(colours), edgecolors=list(edge), linewidths=1.2, zorder=3
    )
    numbers = zip(column, height, tree["neuron"], tree["status"], named, strict=True)
    for x, y, neuron, status, shown in numbers:
        if shown:
            ink = "white" if status in ("found", "not_found") else style.INK
            axes.text(
                x, y, str(neuron), ha="center", va="center_baseline",
                fontsize=6, color=ink, zorder=4,
            )  # fmt: skip


def _legend(picture: Figure, tree: pd.DataFrame, doubt: str, plots: Plots) -> None:
    marks = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=wording.words(status))
        for status, colour in style.STATUS_COLOURS.items()
        if (tree["status"] == status).any()
    ]
    if (tree["epsilon"] > 0).any():
        marks.append(
            Line2D(
                [],
                [],
                marker="o",
                linestyle="",
                markerfacecolor="white",
                markeredgecolor=style.INK,
                label="derivative is a limit",
            )
        )
    marks += legends.signs(tree["passed"])
    marks += doubt_marks.marks([doubt, *(set(tree["limits"]) & set(doubt_marks.MARKS))])
    picture.legend(
        handles=marks,
        loc="outside lower center",
        ncols=2 if plots.narrow else 5,
        fontsize=style.LABEL,
        frameon=False,
    )
