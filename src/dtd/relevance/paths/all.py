"""The relevance of each path (i ← j ← k ← … ← ξ) through the network.

``R_l`` is linear in the relevance function above it, and so are the derivatives of all orders
in it. Before the sums over j, k, … are taken, every term belongs to a path: split
``h_j = Σ_p h_{j,p}`` by the upper paths p = (k, …, ξ) of j, and expand each part at the root of
the whole, ``R_{l,i,j,p}(a) = ∂_i⁺h_{j,p}(ã_j) (a_i - ã_ji)`` (theory, section 5.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.gradients import slopes
from dtd.relevance.limits.limits import Way
from dtd.relevance.limits.visits import Along
from dtd.relevance.methods.train_free import redistribute
from dtd.relevance.paths.factored import FactoredPaths
from dtd.relevance.paths.paths import EnumeratedPaths, Paths
from dtd.relevance.problem import Problem
from dtd.relevance.recursion import Recursion
from dtd.relevance.root_tree import Level, RootTree, lineage, root_tree
from dtd.relevance.slopes.slope import Pairs


def path_count(network: Network, start: int = 0) -> int:
    """The number of paths from layer ``start`` to one output."""
    return prod(network.widths[start:-1])


def recursive_paths(problem: Problem, start: int = 0) -> Iterator[EnumeratedPaths]:
    """The paths of ``R_l`` by the exact recursion, l = ``start``, some samples at a time."""
    # Paths add up to what automatic differentiation gives, also where limits are approximate.
    recursion = replace(problem, series=None, forward_passes=False).recursion
    for activations in _chunks(problem, recursion.batching.tree_size(start)):
        tree = root_tree(recursion, start, activations[start])
        yield EnumeratedPaths(_along_tree(recursion, tree), tree)


def train_free_paths(problem: Problem, start: int = 0) -> Iterator[FactoredPaths]:
    """The paths of the train-free relevance of layer ``start``, some samples at a time.

    Its layers are matrices: the path (i ← j ← …) has the product of their entries, times f.
    """
    network, rules, domains = problem.explained, problem.scheme.rules, problem.scheme.domains
    most = max(lower * upper for lower, upper in pairwise(network.widths[start:]))
    for *lower, f in _chunks(problem, most):
        matrices = []
        parts = zip(network.layers, lower, rules, domains, strict=True)
        for layer, a, rule, domain in list(parts)[start:]:
            units = layer.units
            each = torch.eye(units, dtype=a.dtype, device=a.device).repeat(len(a), 1)
            repeated = a.repeat_interleave(units, 0)
            shares, _ = redistribute(repeated, layer, rule, domain, each)
            matrices.append(shares.view(len(a), units, -1).mT)
        yield FactoredPaths(matrices, f.squeeze(1))


PATHS: dict[str, Callable[[Problem], Iterator[Paths]]] = {
    "recursive": recursive_paths,
    "train_free": train_free_paths,
}
"""The methods whose relevance is a sum over paths."""


def _chunks(problem: Problem, size: int) -> Iterator[list[Tensor]]:
    """The activations of some samples at a time, each of which needs ``size`` points."""
    chunks = problem.x.split(max(1, problem.max_points // size))
    return (problem.explained.activations(x) for x in problem.track(chunks, "samples"))


@torch.no_grad()
def _along_tree(recursion: Recursion, tree: RootTree) -> Tensor:
    """The relevance of all paths of the B anchors of the tree, (B, d_l, …, d_{L-1})."""
    first, samples = tree[0], len(tree[0].anchors)
    widths = recursion.explained.widths[first.start : -1]
    # The bottom unit last: the paths of one line of roots differ in it alone.
    paths = first.anchors.new_zeros(samples, *widths[1:], widths[0])
    line = lineage(tree)
    if recursion.limits.way(first.start) is not Way.EXTRAPOLATED:
        limited = _limited(tree, line)
        _add_limits(recursion, first, limited.nonzero().squeeze(1), paths)
        plain = ~limited[line[0]]
        line = [level[plain] for level in line]
    chunks = torch.arange(len(line[0]), device=line[0].device).split(_rows(recursion, first))
    for rows in recursion.track(chunks, "paths"):
        nodes = [level[rows] for level in line]
        units = [level.unit[node] for level, node in zip(tree[:-1], nodes, strict=False)]
        sample = first.anchor[nodes[0]]
        shares = _shares(recursion, tree, nodes, first.anchors[sample], graph=False)
        paths.index_put_((sample, *units), shares, accumulate=True)
    return paths.movedim(-1, 1)


def _limited(tree: RootTree, line: list[Tensor]) -> Tensor:
    """Whether a limit is to be taken in many digits at a root of the first level, or above it.

    At a root itself every limit further up is a limit there as well.
    """
    needed, above = (torch.zeros_like(line[0], dtype=torch.bool) for _ in range(2))
    for level, nodes in reversed(list(zip(tree, line, strict=True))):
        beside, limited = level.stencil.epsilon[nodes] > 0, level.limited[nodes]
        needed |= limited | (above & ~beside)
        above |= beside
    limited = tree[0].limited.clone()
    limited[line[0][needed]] = True
    return limited


def _add_limits(recursion: Recursion, level: Level, nodes: Tensor, paths: Tensor) -> None:
    """Add the paths through roots of the first level where a limit is needed.

    ``paths`` has the shape (B, d_{l+1}, …, d_{L-1}, d_l).
    """
    upper = [torch.arange(width, device=nodes.device) for width in paths.shape[2:-1]]
    every = torch.cartesian_prod(*upper).view(-1, len(upper)) if upper else nodes.new_zeros(1, 0)
    for node in recursion.track(nodes.unsqueeze(1).unbind(), "roots"):
        same = node.expand(len(every))
        anchor, unit = level.anchor[same], level.unit[same]
        # Every path is an expansion of its own.
        alone = torch.arange(len(every), device=nodes.device)
        pairs = Pairs(level.anchors[anchor], level.roots.points[anchor, unit], unit, alone)
        along = Along(level.start + 1, [*every.unbind(1), torch.zeros_like(alone)])
        shares = recursion.limits.at(level.start, pairs, graph=False, visits=along).shares
        paths.index_put_((anchor, unit, *every.unbind(1)), shares.squeeze(1), accumulate=True)


def _rows(recursion: Recursion, first: Level) -> int:
    """How many lines of roots are followed together, at least 1."""
    return max(1, recursion.max_points // recursion.batching.tree_size(first.start))


def _shares(
    recursion: Recursion, tree: RootTree, nodes: list[Tensor], a: Tensor, graph: bool
) -> Tensor:
    """What each of N lines of points gives to the units of its first layer, (N, d).

    Row n decomposes the anchor ``a[n]`` (d,) along the points ``nodes[0][n]``, ``nodes[1][n]``, …
    of the levels of the tree, and along these alone.
    """
    if not tree:
        return a
    (level, *upper), (node, *rest) = tree, nodes
    unit, stencil = level.unit[node], level.stencil
    pairs = _pairs(recursion, level, node, a, graph)

    def share(points: Tensor) -> Tensor:
        activation = recursion.open_layer(level.start, points, stencil.open_gates[node])
        shares = _shares(recursion, tuple(upper), rest, activation, graph=True)
        return shares.gather(1, unit.unsqueeze(1)).squeeze(1)

    slope = slopes(share, pairs.points(stencil.epsilon[node].unsqueeze(1)), graph)
    return stencil.weight[node].unsqueeze(1) * slope * (a - pairs.roots)


def _pairs(recursion: Recursion, level: Level, node: Tensor, a: Tensor, graph: bool) -> Pairs:
    """The anchors (N, d) with the tree's roots; with ``graph`` these have one of their own."""
    anchor, unit, roots = level.anchor[node], level.unit[node], level.roots
    if graph and roots.formula:
        points = recursion.roots(level.start, a).points
        return Pairs(a, points[torch.arange(len(unit), device=unit.device), unit], unit, anchor)
    return recursion.moved(level.start, a, roots, anchor, unit, graph)
