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

from dtd.networks.network import Network
from dtd.regions.region import Regions
from dtd.relevance.factors.layer import FactorLayer
from dtd.relevance.factors.path import FactorPath
from dtd.relevance.one_sided.approach import Approach
from dtd.relevance.one_sided.derivative import Derivative, OneSided
from dtd.relevance.one_sided.side import Above
from dtd.relevance.plan import Expansion, Plan
from dtd.relevance.series.series import Branches, Series
from dtd.roots.closed_form import ClosedForm
from dtd.roots.contract import Place, RootProblem, Roots
from dtd.roots.implicit import moving_roots


@dataclass(frozen=True, eq=False)
class Recursion:
    """The relevance functions of one output of a network.

    ``plans[l]`` decomposes layer l + 1 onto layer l. ``max_points`` bounds the root points that
    are held in memory together, as far as one root's own tree of nested roots allows. With
    ``moving_roots`` false the roots are constants: ``∂ã/∂a = 0``. ``series`` says what of each
    Taylor series is distributed; without one it is the linear term. Without ``factored`` every
    derivative goes the general path, by automatic differentiation.
    """

    network: Network
    plans: tuple[Plan, ...]
    max_points: int
    output: int = 0
    moving_roots: bool = True
    series: Series | None = None
    factored: bool = True

    @cached_property
    def explained(self) -> Network:
        """The network without its other outputs."""
        return self.network.explaining(self.output)

    @cached_property
    def factors(self) -> FactorPath:
        """The layers from the output down whose relevance carries the factor of its activation."""
        layers: dict[int, FactorLayer] = {}
        for start, step in reversed(list(enumerate(self.plans))):
            if not (step.rule.carries_factor and isinstance(step.finder, ClosedForm)):
                break
            layers[start] = FactorLayer.of(self.explained.layers[start], step.rule, step.domain)
        return FactorPath(self.explained, layers, self.max_points, self._limits)

    def has_factors(self, start: int) -> bool:
        """Whether ``R_l`` of the layer l = ``start`` may be had from factors, without derivatives.

        Factors are the linear terms at roots that move with their anchors.
        """
        linear = self.series is None and self.moving_roots
        return self.factored and linear and self.factors.knows(start)

    def relevance(self, start: int, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (N, d_l), l = ``start``; keeps the graph if one is kept."""
        return self._relevance(start, a).relevance

    def upper(self, start: int, a: Tensor) -> Tensor:
        """``h``: (N, d_l) -> (N, d_{l+1}), the relevance of the units above layer ``start``."""
        return self.relevance(start + 1, self.explained.layers[start](a))

    def problem(self, start: int, a: Tensor) -> RootProblem:
        """The search for roots of all units of layer ``start + 1``, anchors ``a`` (B, d)."""
        step = self.plans[start]
        layer = self.explained.layers[start]
        relevance = torch.no_grad()(partial(self.upper, start))
        last = start + 1 == self.network.depth
        own = torch.tensor([self.output]) if last else torch.arange(len(layer.bias))
        regions = Regions(self.network, start, start + 1, own.to(a.device))
        above = None if last else self.plans[start + 1]
        return RootProblem(
            a,
            layer,
            relevance,
            step.domain,
            step.rule,
            step.generator,
            regions,
            zero_at_hinge=above is None
            or (above.rule.carries_factor and above.finder.follows_rule),
        )

    def roots(self, start: int, a: Tensor) -> Roots:
        """The roots of all units of layer ``start + 1`` for the anchors ``a`` (B, d)."""
        roots = self.plans[start].finder(self.problem(start, a))
        return roots if self.moving_roots else roots.constant()

    def expand(self, start: int, a: Tensor, roots: Roots) -> Expansion:
        """The expansion at every root that contributes; keeps the graph if one is kept."""
        anchor, unit = roots.contributing
        if torch.is_grad_enabled():
            return self._expand_pairs(start, a, roots, anchor, unit)
        size = self.together(start)
        parts = [
            self._expand_pairs(start, a, roots, *pairs)
            for pairs in zip(anchor.split(size), unit.split(size), strict=True)
        ]
        return Expansion(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def tree_size(self, start: int) -> int:
        """Root points below one anchor of layer ``start``: its units' roots, theirs, and so on."""
        if start == self.explained.depth:
            return 0
        points = 1 if self.series is None else self.series.points()
        return self.explained.widths[start + 1] * (1 + points * self.tree_size(start + 1))

    def together(self, start: int) -> int:
        """How many points of layer ``start`` are differentiated together, at least 1."""
        return max(1, self.max_points // (1 + self.tree_size(start + 1)))

    def rows(self, start: int) -> int:
        """How many anchors of layer ``start`` are decomposed together, at least 1."""
        units = self.explained.widths[start + 1]
        searched = self.plans[start].finder.evaluations(units)
        return max(1, self.max_points // max(searched, self.tree_size(start)))

    def _relevance(self, start: int, a: Tensor) -> _Relevance:
        if start == self.explained.depth:
            return _Relevance(a, torch.zeros_like(a[:, 0], dtype=torch.bool))
        if self.has_factors(start) and not torch.is_grad_enabled():
            return _Relevance(*self.factors.relevance(start, a))
        # A chunk's memory is free when the next one starts: that of its search always, for no
        # search keeps a graph, and all of it where none is kept.
        parts = []
        for chunk in a.split(self.rows(start)):
            roots = self.roots(start, chunk)
            expansion = self.expand(start, chunk, roots)
            limit = torch.zeros_like(chunk[:, 0], dtype=torch.bool)
            limit[expansion.anchor[expansion.limit]] = True
            parts.append(_Relevance(expansion.relevance(chunk), limit))
        return _Relevance(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _expand_pairs(
        self, start: int, a: Tensor, roots: Roots, anchor: Tensor, unit: Tensor
    ) -> Expansion:
        anchors, points = a[anchor], roots.points[anchor, unit]
        if torch.is_grad_enabled() and roots.line is not None:
            points = self.on_line(start, anchors, roots, anchor, unit)
        delta = anchors - points
        if self.series is None:
            linear = self._one_sided(start, anchors, points, unit, roots.place)
            return Expansion(anchor, unit, *linear, (linear.slope * delta).unsqueeze(1))
        # A series has a graph of its own, and only has to be told the branch. Inside another
        # expansion its shares alone count.
        if self.series.at_roots or not torch.is_grad_enabled():
            with torch.no_grad():
                at = self._differentiated(start, anchors, points, unit, roots.place)
        else:
            at = Derivative.untaken(points, self.explained.widths[start + 1])
        shares = self.series.shares(self._branches(start, unit, points, delta, at))
        return Expansion(anchor, unit, at.value, at.slope, at.limit, shares)

    def on_line(
        self, start: int, anchors: Tensor, roots: Roots, anchor: Tensor, unit: Tensor
    ) -> Tensor:
        """The searched roots of N pairs, which move on their lines with the anchors (N, d)."""
        assert roots.line is not None

        def slope(anchors: Tensor, points: Tensor) -> Tensor:
            return self._one_sided(start, anchors, points, unit, roots.place).slope

        curve = roots.line.curve(anchor, unit)
        return moving_roots(anchors, roots.line.positions[anchor, unit], curve, slope)

    def approach(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place
    ) -> Approach:
        """Where the one-sided slopes of ``h_unit`` at the roots (N, d) are taken."""
        return self._differentiated(start, anchors, roots, unit, place).approach

    def open_layer(self, start: int, points: Tensor, open_gates: Tensor) -> Tensor:
        """The activations of layer ``start + 1`` at points (N, d), some gates held open (N, J)."""
        layer = self.explained.layers[start]
        z = layer.preactivation(points)
        return torch.where(open_gates, z, layer.activation(z))

    def branches(
        self, start: int, a: Tensor, roots: Roots, anchor: Tensor, unit: Tensor
    ) -> Branches:
        """The functions ``h_unit`` at the roots of N pairs, on the branches of the anchors."""
        anchors, points = a[anchor], roots.points[anchor, unit]
        at = self._differentiated(start, anchors, points, unit, roots.place)
        return self._branches(start, unit, points, anchors - points, at)

    def _branches(
        self, start: int, unit: Tensor, roots: Tensor, delta: Tensor, at: Derivative
    ) -> Branches:
        def value(points: Tensor, open_gates: Tensor, units: Tensor) -> Tensor:
            return self._value(start, points, open_gates, units)[0]

        return Branches(
            network=self.explained,
            start=start,
            unit=unit,
            roots=roots,
            delta=delta,
            approach=at.approach,
            value=value,
            together=self.together(start),
        )

    def _one_sided(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place
    ) -> _Linear:
        """Value and one-sided slope of ``h_unit`` at the roots (N, d), on the anchors' branch."""
        hinge = place is Place.HINGE and self.has_factors(start + 1)
        if torch.is_grad_enabled() or not hinge:
            at = self._differentiated(start, anchors, roots, unit, place)
            return _Linear(at.value, at.slope, at.limit)
        value, slope, limit, doubtful = self.factors.slopes(start, anchors, roots, unit)
        if doubtful.any():
            index = doubtful.nonzero().squeeze(1)
            known = self._limits(start, anchors[index], roots[index], unit[index])
            value, slope = (
                column.index_copy(0, index, decided)
                for column, decided in zip((value, slope), known, strict=True)
            )
        return _Linear(value, slope, limit)

    def _limits(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Value and one-sided slope at roots on the hinges of their units, the general path."""
        size = self.together(start)
        chunks = zip(anchors.split(size), roots.split(size), unit.split(size), strict=True)
        parts = [self._differentiated(start, *chunk, Place.HINGE) for chunk in chunks]
        return torch.cat([part.value for part in parts]), torch.cat([part.slope for part in parts])

    def _differentiated(
        self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place
    ) -> Derivative:
        """The same by automatic differentiation: the general path."""
        above = None
        if start + 1 < self.explained.depth:
            step = self.plans[start + 1]
            above = Above(step.rule, step.domain)
        functions = OneSided(self.explained, start, above, partial(self._value, start))
        return functions.derivative(anchors, roots, unit, place)

    def _value(
        self, start: int, points: Tensor, open_gates: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``h_unit`` at the points (N, d), and whether a limit was taken above, both (N,)."""
        activation = self.open_layer(start, points, open_gates)
        relevance, limit = self._relevance(start + 1, activation)
        return relevance.gather(1, unit.unsqueeze(1)).squeeze(1), limit


class _Relevance(NamedTuple):
    relevance: Tensor
    """(N, d), ``R_l`` at the anchors."""
    limit: Tensor
    """(N,), whether the one-sided limit was taken at a root of the anchor, or above it."""


class _Linear(NamedTuple):
    """The linear term at N roots; the columns as in :class:`Expansion`."""

    value: Tensor
    slope: Tensor
    limit: Tensor
