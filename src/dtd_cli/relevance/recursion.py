"""The exact recursion: relevance as a function of the activation, decomposed again and again.

``R_L(a) = a`` for the explained output and, below it,
``R_l(a) = Σ_j ∇⁺h_j(ã_j(a)) ⊙ (a - ã_j(a))`` with ``h_j(a) = [R_{l+1}(f_{l+1}(a))]_j``
(theory, section 2). Nothing is detached: the derivative of ``R_{l+1}`` contains that of its own
roots and of its own gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from dtd_cli.inputs.domain import Domain
from dtd_cli.networks.mlp import MLP
from dtd_cli.relevance.one_sided import one_sided
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
    """(N,), whether the one-sided limit was taken."""

    def relevance(self, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (B, d): the sum of the shares of all units."""
        return torch.zeros_like(a).index_add(0, self.anchor, self.share)


@dataclass(frozen=True, eq=False)
class Recursion:
    """The relevance functions of a network with one explained output.

    ``steps[l]`` decomposes layer l + 1 onto layer l. ``max_points`` bounds the root points that
    are held in memory together, as far as one root's own tree of nested roots allows.
    """

    network: MLP
    steps: tuple[Step, ...]
    max_points: int

    def relevance(self, start: int, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (N, d_l), l = ``start``; keeps the graph if one is kept."""
        if start == self.network.depth:
            return a
        if torch.is_grad_enabled():
            return self._relevance(start, a)
        # Without a graph a chunk's memory is free when the next one starts.
        return torch.cat([self._relevance(start, rows) for rows in a.split(self.rows(start))])

    def upper(self, start: int, a: Tensor, open_gates: Tensor | None = None) -> Tensor:
        """``h``: (N, d_l) -> (N, d_{l+1}), with the given gates (N, d_{l+1}) held open."""
        layer = self.network.layers[start]
        z = layer.preactivation(a)
        activation = layer.activation(z)
        if open_gates is not None:
            activation = torch.where(open_gates, z, activation)
        return self.relevance(start + 1, activation)

    def problem(self, start: int, a: Tensor) -> RootProblem:
        """The search for roots of all units of layer ``start + 1``, anchors ``a`` (B, d)."""
        step = self.steps[start]
        layer = self.network.layers[start]
        relevance = torch.no_grad()(partial(self.upper, start))
        return RootProblem(a, layer, relevance, step.domain, step.rule, step.generator)

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
        if start == self.network.depth:
            return 0
        return self.network.widths[start + 1] * (1 + self.tree_size(start + 1))

    def rows(self, start: int) -> int:
        """How many anchors of layer ``start`` are decomposed together, at least 1."""
        units = self.network.widths[start + 1]
        searched = self.steps[start].finder.evaluations(units)
        return max(1, self.max_points // max(searched, self.tree_size(start)))

    def _relevance(self, start: int, a: Tensor) -> Tensor:
        return self.expand(start, a, self.steps[start].finder(self.problem(start, a))).relevance(a)

    def _expand_pairs(
        self, start: int, a: Tensor, roots: Roots, anchor: Tensor, unit: Tensor
    ) -> Expansion:
        keep = torch.is_grad_enabled()
        anchors, points = a[anchor], roots.points[anchor, unit]

        def slope(anchors: Tensor, points: Tensor) -> Tensor:
            return self._differentiate(start, anchors, points, unit, roots.place).slope

        if keep and roots.line is not None:
            line = roots.line
            far_ends, positions = line.far_ends[anchor, unit], line.positions[anchor, unit]
            points = moving_roots(anchors, far_ends, positions, slope)
        value, gradient, limit = self._differentiate(start, anchors, points, unit, roots.place)
        share = gradient * (anchors - points)
        return Expansion(anchor, unit, value, gradient, share, limit)

    def _differentiate(
        self, start: int, anchors: Tensor, points: Tensor, unit: Tensor, place: Place
    ) -> _Derivative:
        """Value and one-sided slope of ``h_unit`` at the roots ``points`` (N, d)."""
        keep = torch.is_grad_enabled()
        at = one_sided(self.network, start, anchors, points, unit, place)
        with torch.enable_grad():
            where = at.points if at.points.requires_grad else at.points.requires_grad_()
            h = self.upper(start, where, at.open_gates)
            value = h.gather(1, unit.unsqueeze(1)).squeeze(1)
            (slope,) = torch.autograd.grad(
                value.sum(), where, create_graph=keep, materialize_grads=True
            )
        # Along the branch h is extrapolated from where the limit was taken back to the root.
        value = value - (slope * (where - points)).sum(1)
        return _Derivative(value if keep else value.detach(), slope, at.limit)


class _Derivative(NamedTuple):
    value: Tensor
    slope: Tensor
    limit: Tensor
