"""The exact recursion: relevance as a function of the activation, decomposed again and again.

``R_L(a) = a`` for the explained output and, below it,
``R_l(a) = Σ_j ∇⁺h_j(ã_j(a)) ⊙ (a - ã_j(a))`` with ``h_j(a) = [R_{l+1}(f_{l+1}(a))]_j``
(theory, section 2). Nothing is detached: the derivative of ``R_{l+1}`` contains that of its own
roots and of its own gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from dtd_cli.inputs.domain import Domain
from dtd_cli.networks.mlp import MLP
from dtd_cli.numerics import policy
from dtd_cli.regions.region import Regions
from dtd_cli.relevance.factor_layer import FactorLayer
from dtd_cli.relevance.factors import FactorPath
from dtd_cli.relevance.one_sided import Above, nudged, one_sided
from dtd_cli.roots.closed_form import ClosedForm
from dtd_cli.roots.contract import Place, RootFinder, RootProblem, Roots
from dtd_cli.roots.implicit import moving_roots
from dtd_cli.rules.rule import Rule


@dataclass(frozen=True, eq=False)
class Step:
    """How the relevance of one layer is decomposed onto the layer below it."""

    rule: Rule
    finder: RootFinder
    domain: Domain
    generator: torch.Generator
    label: str
    """What tables call the strategy."""


class Expansion(NamedTuple):
    """The Taylor expansions of one layer at the N pairs (anchor, unit) that have a root."""

    anchor: Tensor
    """(N,), the row of the anchor."""
    unit: Tensor
    """(N,), the unit of the upper layer."""
    value: Tensor
    """(N,), ``h_j(ã_j)`` on the branch of the anchor."""
    slope: Tensor
    """(N, d), ``∇⁺h_j(ã_j)``."""
    share: Tensor
    """(N, d), what the pair gives to each unit of the lower layer."""
    limit: Tensor
    """(N,), whether the one-sided limit was taken, at the root or above it."""

    def relevance(self, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (B, d): the sum of the shares of all units."""
        return torch.zeros_like(a).index_add(0, self.anchor, self.share)


@dataclass(frozen=True, eq=False)
class Recursion:
    """The relevance functions of one output of a network.

    ``steps[l]`` decomposes layer l + 1 onto layer l. ``max_points`` bounds the root points that
    are held in memory together, as far as one root's own tree of nested roots allows. Without
    ``factored`` every derivative goes the general path, by automatic differentiation.
    """

    network: MLP
    steps: tuple[Step, ...]
    max_points: int
    output: int = 0
    factored: bool = True

    @cached_property
    def explained(self) -> MLP:
        """The network without its other outputs."""
        return self.network.explaining(self.output)

    @cached_property
    def factors(self) -> FactorPath:
        """The layers from the output down whose relevance carries the factor of its activation."""
        layers: dict[int, FactorLayer] = {}
        for start, step in reversed(list(enumerate(self.steps))):
            if not (step.rule.carries_factor and isinstance(step.finder, ClosedForm)):
                break
            layers[start] = FactorLayer.of(self.explained.layers[start], step.rule, step.domain)
        return FactorPath(self.explained, layers, self.max_points, self._limits)

    def relevance(self, start: int, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (N, d_l), l = ``start``; keeps the graph if one is kept."""
        return self._relevance(start, a).relevance

    def upper(self, start: int, a: Tensor) -> Tensor:
        """``h``: (N, d_l) -> (N, d_{l+1}), the relevance of the units above layer ``start``."""
        return self.relevance(start + 1, self.explained.layers[start](a))

    def problem(self, start: int, a: Tensor) -> RootProblem:
        """The search for roots of all units of layer ``start + 1``, anchors ``a`` (B, d)."""
        step = self.steps[start]
        layer = self.explained.layers[start]
        relevance = torch.no_grad()(partial(self.upper, start))
        last = start + 1 == self.network.depth
        own = torch.tensor([self.output]) if last else torch.arange(len(layer.bias))
        regions = Regions(self.network, start, start + 1, own.to(a.device))
        return RootProblem(a, layer, relevance, step.domain, step.rule, step.generator, regions)

    def expand(self, start: int, a: Tensor, roots: Roots) -> Expansion:
        """The expansion at every root that contributes; keeps the graph if one is kept."""
        anchor, unit = roots.contributes.nonzero(as_tuple=True)
        if torch.is_grad_enabled():
            return self._expand_pairs(start, a, roots, anchor, unit)
        size = max(1, self.max_points // (1 + self.tree_size(start + 1)))
        parts = [
            self._expand_pairs(start, a, roots, *pairs)
            for pairs in zip(anchor.split(size), unit.split(size), strict=True)
        ]
        return Expansion(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def tree_size(self, start: int) -> int:
        """Root points below one anchor of layer ``start``: its units' roots, theirs, and so on."""
        if start == self.explained.depth:
            return 0
        return self.explained.widths[start + 1] * (1 + self.tree_size(start + 1))

    def rows(self, start: int) -> int:
        """How many anchors of layer ``start`` are decomposed together, at least 1."""
        units = self.explained.widths[start + 1]
        searched = self.steps[start].finder.evaluations(units)
        return max(1, self.max_points // max(searched, self.tree_size(start)))

    def _relevance(self, start: int, a: Tensor) -> _Relevance:
        if start == self.explained.depth:
            return _Relevance(a, torch.zeros_like(a[:, 0], dtype=torch.bool))
        if self.factored and self.factors.knows(start) and not torch.is_grad_enabled():
            return _Relevance(*self.factors.relevance(start, a))
        # Without a graph a chunk's memory is free when the next one starts.
        rows = len(a) if torch.is_grad_enabled() else self.rows(start)
        parts = []
        for chunk in a.split(max(rows, 1)):
            roots = self.steps[start].finder(self.problem(start, chunk))
            expansion = self.expand(start, chunk, roots)
            limit = torch.zeros_like(chunk[:, 0], dtype=torch.bool)
            limit[expansion.anchor[expansion.limit]] = True
            parts.append(_Relevance(expansion.relevance(chunk), limit))
        return _Relevance(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _expand_pairs(
        self, start: int, a: Tensor, roots: Roots, anchor: Tensor, unit: Tensor
    ) -> Expansion:
        anchors, points = a[anchor], roots.points[anchor, unit]

        def slope(anchors: Tensor, points: Tensor) -> Tensor:
            return self._one_sided(start, anchors, points, unit, roots.place).slope

        if torch.is_grad_enabled() and roots.line is not None:
            line = roots.line
            far_ends, positions = line.far_ends[anchor, unit], line.positions[anchor, unit]
            points = moving_roots(anchors, far_ends, positions, slope)
        value, gradient, limit = self._one_sided(start, anchors, points, unit, roots.place)
        share = gradient * (anchors - points)
        return Expansion(anchor, unit, value, gradient, share, limit)

    def _one_sided(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place
    ) -> _Derivative:
        """Value and one-sided slope of ``h_unit`` at the roots (N, d), on the anchors' branch."""
        hinge = place is Place.HINGE and self.factors.knows(start + 1)
        if torch.is_grad_enabled() or not (self.factored and hinge):
            return self._differentiated(start, anchors, roots, unit, place)
        value, slope, limit, doubtful = self.factors.slopes(start, anchors, roots, unit)
        if doubtful.any():
            index = doubtful.nonzero().squeeze(1)
            known = self._limits(start, anchors[index], roots[index], unit[index])
            value, slope = (
                column.index_copy(0, index, decided)
                for column, decided in zip((value, slope), known, strict=True)
            )
        return _Derivative(value, slope, limit)

    def _limits(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Value and one-sided slope at roots on the hinges of their units, the general path."""
        size = max(1, self.max_points // (1 + self.tree_size(start + 1)))
        chunks = zip(anchors.split(size), roots.split(size), unit.split(size), strict=True)
        parts = [self._differentiated(start, *chunk, Place.HINGE) for chunk in chunks]
        return torch.cat([part.value for part in parts]), torch.cat([part.slope for part in parts])

    def _differentiated(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place
    ) -> _Derivative:
        """The same by automatic differentiation: the general path."""
        above = None
        if start + 1 < self.explained.depth:
            step = self.steps[start + 1]
            above = Above(step.rule, step.domain)
        at = one_sided(self.explained, start, anchors, roots, unit, place, above)
        here = self._differentiate(start, at.points, at.open_gates, unit)
        value = _extrapolated(here, at.points, roots)
        limit = here.limit | at.limit
        doubtful = here.limit.nonzero().squeeze(1)
        if not len(doubtful):
            return _Derivative(value, here.slope, limit)
        # A limit was taken at a root above, which may lie on other kinks on the way to the
        # anchor: then the slope near the root is another.
        near = self._approached(start, anchors, roots, unit, doubtful, policy(roots.dtype).outer)
        moved = ~_same(here.slope[doubtful], near.slope)
        if not moved.any():
            return _Derivative(value, here.slope, limit)
        # The inner limit comes first: a step beside which its own is small is the judge.
        # Of the two slopes the one closer to it is right.
        doubtful, near = doubtful[moved], near.rows(moved)
        judge = self._approached(start, anchors, roots, unit, doubtful, policy(roots.dtype).judge)
        gap = (near.slope - judge.slope).norm(dim=1)
        nearer = gap < (here.slope[doubtful] - judge.slope).norm(dim=1)
        index, near = doubtful[nearer], near.rows(nearer)
        return _Derivative(
            value.index_copy(0, index, near.value),
            here.slope.index_copy(0, index, near.slope),
            limit,
        )

    def _approached(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor, rows: Tensor, step: float
    ) -> _Derivative:
        """Value and slope at some of the roots (N, d), from points a step towards their anchors."""
        roots, unit = roots[rows], unit[rows]
        points = nudged(anchors[rows], roots, step)
        width = self.explained.widths[start + 1]
        closed = torch.zeros(len(unit), width, dtype=torch.bool, device=unit.device)
        there = self._differentiate(start, points, closed, unit)
        return there._replace(value=_extrapolated(there, points, roots))

    def _differentiate(
        self, start: int, points: Tensor, open_gates: Tensor, unit: Tensor
    ) -> _Derivative:
        """Value and slope of ``h_unit`` at the points (N, d), with the given gates held open."""
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            if not points.requires_grad:
                points = points.detach().requires_grad_()
            layer = self.explained.layers[start]
            z = layer.preactivation(points)
            activation = torch.where(open_gates, z, layer.activation(z))
            relevance, limit = self._relevance(start + 1, activation)
            value = relevance.gather(1, unit.unsqueeze(1)).squeeze(1)
            (slope,) = torch.autograd.grad(
                value.sum(), points, create_graph=keep, materialize_grads=True
            )
        return _Derivative(value if keep else value.detach(), slope, limit)


class _Relevance(NamedTuple):
    relevance: Tensor
    """(N, d), ``R_l`` at the anchors."""
    limit: Tensor
    """(N,), whether the one-sided limit was taken at a root of the anchor, or above it."""


class _Derivative(NamedTuple):
    value: Tensor
    slope: Tensor
    limit: Tensor
    """(N,), whether the one-sided limit was taken, at the root or above it."""

    def rows(self, index: Tensor) -> _Derivative:
        """Some of the derivatives."""
        return _Derivative(*(column[index] for column in self))


def _extrapolated(there: _Derivative, points: Tensor, roots: Tensor) -> Tensor:
    """h at the roots, along the branch on which it was differentiated nearby, (N,)."""
    return there.value - (there.slope * (points - roots)).sum(1)


def _same(first: Tensor, second: Tensor) -> Tensor:
    """Whether two slopes (N, d) are of one branch, but for its curvature."""
    gap: Tensor = (first - second).norm(dim=1)
    size: Tensor = first.norm(dim=1) + second.norm(dim=1)
    return gap <= policy(first.dtype).jump * size
