"""The tree of roots: which unit's root led to which.

The relevance of a unit at its root is decomposed in its turn: the image of the root in the next
layer is an anchor there, with roots of its own. The recursion goes through this tree depth first
and forgets it; here it is written down, level by level.

The recursion meets a root at the points from which its derivative is taken. A tree can be had of
the roots alone, too, which asks for no derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.relevance.concatenate import concatenate
from dtd.relevance.recursion import Recursion
from dtd.relevance.slopes.slope import Pairs
from dtd.relevance.slopes.stencil import Stencil
from dtd.roots.contract import Roots


@dataclass(frozen=True, eq=False)
class Level:
    """The roots in one layer, of the J units above it, for M anchors; they are expanded from N
    points.

    Anchor m is sample m in the first level, and the image of point m of the level before in the
    others.
    """

    start: int
    """The layer of the anchors and roots."""
    anchors: Tensor
    """(M, d)."""
    relevance: Tensor
    """``h_j`` at the anchors, (M, J)."""
    limit_error: Tensor
    """(M,), the largest relative error of a limit that these relevances depend on; NaN where none
    was needed."""
    roots: Roots
    anchor: Tensor
    """(N,), the anchor whose root is expanded from each point."""
    unit: Tensor
    """(N,), and the unit."""
    stencil: Stencil
    """The points (N,); its rows are the roots that are expanded."""
    limited: Tensor
    """(N,), whether the point stands for a limit that is taken in many digits."""

    @property
    def nearest(self) -> Tensor:
        """Of each root that is expanded the nearest point, by its number."""
        row = self.stencil.row
        last = torch.zeros_like(row[: int(row.amax()) + 1 if len(row) else 0])
        return last.scatter_reduce(0, row, torch.arange(len(row), device=row.device), "amax")


RootTree = tuple[Level, ...]
"""From the layer that receives the relevance up to the last one below the output."""


Points = Callable[[Recursion, int, Pairs, Roots], tuple[Stencil, Tensor]]
"""Which points of the segments of N pairs in a layer lead on to the next layer, and at which roots
(N,) a limit is taken in many digits."""


def of_derivatives(
    recursion: Recursion, l: int, pairs: Pairs, roots: Roots
) -> tuple[Stencil, Tensor]:
    """The points from which the recursion takes the derivatives."""
    return recursion.slopes.automatic.stencil(l, pairs, roots.location)


def of_roots(recursion: Recursion, l: int, pairs: Pairs, roots: Roots) -> tuple[Stencil, Tensor]:
    """The roots themselves, whose images are those of the network."""
    layer, none = recursion.explained.layers[l], torch.zeros_like(pairs.unit, dtype=torch.bool)
    closed = layer.held_open(none.unsqueeze(1).expand(-1, layer.units), pairs.anchors)
    return Stencil.beside(closed, torch.zeros_like(pairs.roots[:, 0])), none


@torch.no_grad()
def root_tree(
    recursion: Recursion, start: int, a: Tensor, points: Points = of_derivatives
) -> RootTree:
    """All roots that ``R_l`` at the anchors ``a`` (B, d_l) depends on, l = ``start``."""
    levels = []
    for layer in range(start, recursion.explained.depth):
        levels.append(_level(recursion, layer, a, points))
        a = _images(recursion, levels[-1])
    return tuple(levels)


def lineage(tree: RootTree) -> list[Tensor]:
    """For each point of the last level the points that led to it, level by level, each (N,)."""
    points = torch.arange(len(tree[-1].unit), device=tree[-1].unit.device)
    line = [points]
    for level in reversed(tree[1:]):
        line.insert(0, level.anchor[line[0]])
    return line


def _level(recursion: Recursion, l: int, a: Tensor, points: Points) -> Level:
    batching = recursion.batching
    roots = concatenate([recursion.roots(l, chunk) for chunk in a.split(batching.anchors(l))])
    anchor, unit = roots.contributing
    pairs = Pairs(a[anchor], roots.points[anchor, unit], unit, anchor)
    stencil, limited = points(recursion, l, pairs, roots)
    row, upper = stencil.row, recursion.upper_and_limits(l, a)
    return Level(
        l,
        a,
        upper.relevance,
        upper.limit_error,
        roots,
        anchor[row],
        unit[row],
        stencil,
        limited[row],
    )


def _images(recursion: Recursion, level: Level) -> Tensor:
    """The activations of the next layer at the points of this one, (N, J)."""
    roots = level.roots.points[level.anchor, level.unit]
    pairs = Pairs(level.anchors[level.anchor], roots, level.unit, level.anchor)
    points = pairs.points(level.stencil.epsilon.unsqueeze(1))
    return recursion.open_layer(level.start, points, level.stencil.open_gates)
