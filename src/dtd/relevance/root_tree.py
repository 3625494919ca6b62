"""The tree of roots: which unit's root led to which.

The relevance of a unit at its root is decomposed in its turn: the image of the root in the next
layer is an anchor there, with roots of its own. The recursion goes through this tree depth first
and forgets it; here it is written down, level by level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.relevance.concatenate import concatenate
from dtd.relevance.one_sided.approach import Approach
from dtd.relevance.one_sided.side import nudged
from dtd.relevance.recursion import Recursion
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
    roots: Roots
    follows: bool
    """Whether the roots' points are a formula of the anchors."""
    anchor: Tensor
    """(N,), the anchor whose root is expanded from each point."""
    unit: Tensor
    """(N,), and the unit."""
    approach: Approach
    """The points (N,); its rows are the roots that are expanded."""

    @property
    def nearest(self) -> Tensor:
        """Of each root that is expanded the nearest point, by its number."""
        row = self.approach.row
        last = torch.ones_like(row, dtype=torch.bool)
        last[:-1] = row[1:] != row[:-1]
        return last.nonzero().squeeze(1)


RootTree = tuple[Level, ...]
"""From the layer that receives the relevance up to the last one below the output."""


@torch.no_grad()
def root_tree(recursion: Recursion, start: int, a: Tensor) -> RootTree:
    """All roots that ``R_l`` at the anchors ``a`` (B, d_l) depends on, l = ``start``."""
    levels = []
    for layer in range(start, recursion.explained.depth):
        levels.append(_level(recursion, layer, a))
        a = _images(recursion, levels[-1])
    return tuple(levels)


def lineage(tree: RootTree) -> list[Tensor]:
    """For each point of the last level the points that led to it, level by level, each (N,)."""
    points = torch.arange(len(tree[-1].unit), device=tree[-1].unit.device)
    line = [points]
    for level in reversed(tree[1:]):
        line.insert(0, level.anchor[line[0]])
    return line


def _level(recursion: Recursion, start: int, a: Tensor) -> Level:
    found = [_search(recursion, start, chunk) for chunk in a.split(recursion.rows(start))]
    roots = concatenate([roots for roots, _ in found])
    anchor, unit = roots.contributes.nonzero(as_tuple=True)
    size = recursion.together(start)
    parts = [
        recursion.approach(start, a[n], roots.points[n, j], j, roots.place).moved(index * size)
        for index, (n, j) in enumerate(zip(anchor.split(size), unit.split(size), strict=True))
    ]
    approach = Approach(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    relevance = recursion.upper(start, a)
    follows = found[0][1]
    row = approach.row
    return Level(start, a, relevance, roots, follows, anchor[row], unit[row], approach)


def _search(recursion: Recursion, start: int, a: Tensor) -> tuple[Roots, bool]:
    """The roots at the anchors (M, d) without a graph, and whether they are a formula of them."""
    with torch.enable_grad():
        roots = recursion.roots(start, a.detach().requires_grad_())
    follows = roots.line is None and roots.points.requires_grad
    return replace(roots, points=roots.points.detach()), follows


def _images(recursion: Recursion, level: Level) -> Tensor:
    """The activations of the next layer at the points of this one, (N, J)."""
    roots = level.roots.points[level.anchor, level.unit]
    points = nudged(level.anchors[level.anchor], roots, level.approach.step.unsqueeze(1))
    return recursion.open_layer(level.start, points, level.approach.open_gates)
