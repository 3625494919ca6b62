"""The tree of roots: which unit's root led to which.

The relevance of a unit at its root is decomposed in its turn: the image of the root in the next
layer is an anchor there, with roots of its own. The recursion goes through this tree depth first
and forgets it; here it is written down, level by level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd_cli.relevance.concatenate import concatenate
from dtd_cli.relevance.one_sided import nudged
from dtd_cli.relevance.recursion import Recursion
from dtd_cli.roots.contract import Roots


@dataclass(frozen=True, eq=False)
class Level:
    """The roots in one layer: of the J units above it, for M anchors; N of them are expanded.

    Anchor m is sample m in the first level, and the image of root m of the level before in the
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
    """(N,), the anchor of each root that is expanded."""
    unit: Tensor
    """(N,), and its unit."""
    step: Tensor
    """(N,), how far from the root towards its anchor the expansion is taken; 0 at the root."""
    open_gates: Tensor
    """(N, J), true where a unit's ReLU is replaced by the identity there."""


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
    """For each root of the last level the roots that led to it, level by level, each (N,)."""
    roots = torch.arange(len(tree[-1].unit), device=tree[-1].unit.device)
    line = [roots]
    for level in reversed(tree[1:]):
        line.insert(0, level.anchor[line[0]])
    return line


def _level(recursion: Recursion, start: int, a: Tensor) -> Level:
    found = [_search(recursion, start, chunk) for chunk in a.split(recursion.rows(start))]
    roots = concatenate([roots for roots, _ in found])
    anchor, unit = roots.contributes.nonzero(as_tuple=True)
    size = max(1, recursion.max_points // (1 + recursion.tree_size(start + 1)))
    branches = [
        recursion.branch(start, a[n], roots.points[n, j], j, roots.place)
        for n, j in zip(anchor.split(size), unit.split(size), strict=True)
    ]
    step, open_gates = (torch.cat(columns) for columns in zip(*branches, strict=True))
    relevance = recursion.upper(start, a)
    follows = found[0][1]
    return Level(start, a, relevance, roots, follows, anchor, unit, step, open_gates)


def _search(recursion: Recursion, start: int, a: Tensor) -> tuple[Roots, bool]:
    """The roots at the anchors (M, d) without a graph, and whether they are a formula of them."""
    with torch.enable_grad():
        roots = recursion.roots(start, a.detach().requires_grad_())
    follows = roots.line is None and roots.points.requires_grad
    return replace(roots, points=roots.points.detach()), follows


def _images(recursion: Recursion, level: Level) -> Tensor:
    """The activations of the next layer where the roots of this one are expanded, (N, J)."""
    roots = level.roots.points[level.anchor, level.unit]
    points = nudged(level.anchors[level.anchor], roots, level.step.unsqueeze(1))
    return recursion.open_layer(level.start, points, level.open_gates)
