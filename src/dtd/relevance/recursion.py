"""The exact recursion: relevance as a function of the activation, decomposed again and again.

``R_L(a) = a`` for the explained output and, below it,
``R_l(a) = Σ_j ∇⁺h_j(ã_j(a)) ⊙ (a - ã_j(a))`` with ``h_j(a) = [R_{l+1}(f_{l+1}(a))]_j``
(theory, section 2.1). Nothing is detached: the derivative of ``R_{l+1}`` contains that of its own
roots and of its own slopes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.progress import Track, untracked
from dtd.regions.region import Regions
from dtd.relevance.batching import Batching
from dtd.relevance.expansion import Expansion, Relevance
from dtd.relevance.limits.limits import Limits, Way
from dtd.relevance.plan import Plan, Scheme
from dtd.relevance.series.series import Series
from dtd.relevance.slopes.automatic import AutomaticSlopes
from dtd.relevance.slopes.below_output import BelowOutput
from dtd.relevance.slopes.choice import ChosenSlopes
from dtd.relevance.slopes.slope import Pairs
from dtd.roots.contract import RootProblem, Roots, Zeros
from dtd.roots.implicit import moving_roots


@dataclass(frozen=True, eq=False)
class Recursion:
    """The relevance functions of one output of a network.

    ``plans[l]`` says how layer l + 1 is decomposed onto layer l. ``max_points`` bounds the root
    points that are held in memory together. With ``moving_roots`` false the roots are constants:
    ``∂ã/∂a = 0``. ``series`` says what of each Taylor series is distributed; without one it is the
    linear term. Without ``forward_passes`` all slopes are computed by automatic differentiation.
    Where it does not take limits, it only marks where one is needed (``untaken``). ``track`` shows
    how far the work is at the roots that are asked for, and not inside those above them.

    Where ``graph`` is true, what is returned keeps its graph and can be differentiated.
    """

    network: Network
    plans: tuple[Plan, ...]
    max_points: int
    output: int = 0
    moving_roots: bool = True
    series: Series | None = None
    forward_passes: bool = True
    takes_limits: bool = True
    track: Track = untracked

    def relevance(self, l: int, a: Tensor, graph: bool = False) -> Tensor:
        """``R_l`` at the anchors ``a`` (N, d_l)."""
        return self.relevance_and_limits(l, a, graph).relevance

    def upper(self, l: int, a: Tensor, graph: bool = False) -> Tensor:
        """``h``: (N, d_l) -> (N, d_{l+1}), the relevance of the units above layer ``l``."""
        return self.upper_and_limits(l, a, graph).relevance

    def upper_and_limits(self, l: int, a: Tensor, graph: bool = False) -> Relevance:
        """``h`` at the anchors ``a``, and what became of the limits that it depends on."""
        return self.relevance_and_limits(l + 1, self.explained.layers[l](a), graph)

    def relevance_and_limits(self, l: int, a: Tensor, graph: bool = False) -> Relevance:
        """``R_l`` at the anchors, and what became of the limits that it depends on."""
        if l == self.explained.depth:
            return Relevance.without_limits(a)
        # The sum below, in closed form: for rules whose relevance carries the activation.
        summed = self.slopes.relevance_by_forward_passes(l, a, graph)
        if summed is not None:
            return summed
        # The memory of a search is freed before the next chunk starts, and that of its expansion
        # too unless a graph is kept.
        parts, inside = [], self._untracked
        for anchors in self.track(a.split(self.batching.anchors(l)), "relevances"):
            expansion = inside.expand(l, anchors, inside.roots(l, anchors), graph)
            parts.append(expansion.summed(anchors))
        return Relevance(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def roots(self, l: int, a: Tensor) -> Roots:
        """The roots ``ã_j`` of all units of layer l + 1 for the anchors ``a`` (B, d)."""
        roots = self.plans[l].finder(self.problem(l, a))
        return roots if self.moving_roots else roots.constant()

    def expand(self, l: int, a: Tensor, roots: Roots, graph: bool = False) -> Expansion:
        """``∇⁺h_j(ã_j) ⊙ (a - ã_j)`` for every pair of an anchor and a unit that has a root."""
        anchor, unit = roots.contributing
        pairs = self.pairs(l, a, roots, anchor, unit, graph)
        return Expansion(anchor, unit, *self.slopes.at(l, pairs, roots.location, graph))

    def pairs(
        self, l: int, a: Tensor, roots: Roots, anchor: Tensor, unit: Tensor, graph: bool
    ) -> Pairs:
        """N pairs (anchor, unit), both (N,), with the roots of the units for the anchors ``a``."""
        return self.moved(l, a[anchor], roots, anchor, unit, graph)

    def moved(
        self, l: int, anchors: Tensor, roots: Roots, anchor: Tensor, unit: Tensor, graph: bool
    ) -> Pairs:
        """N pairs (anchor, unit), whose anchors (N, d) are given one by one.

        With ``graph``, roots that were searched on a line move on it with their anchors.
        """
        if not (graph and roots.line is not None):
            return Pairs(anchors, roots.points[anchor, unit], unit, anchor)

        def slope(anchors: Tensor, points: Tensor, graph: bool) -> Tensor:
            pairs = Pairs(anchors, points, unit, anchor)
            return self.slopes.at(l, pairs, roots.location, graph).slope

        curve = roots.line.curve(anchor, unit)
        positions = roots.line.positions[anchor, unit]
        return Pairs(anchors, moving_roots(anchors, positions, curve, slope), unit, anchor)

    def function(
        self, l: int, points: Tensor, open_gates: Tensor, unit: Tensor
    ) -> tuple[Tensor, Relevance]:
        """``h_unit`` at the points (N, d) with its graph, and the relevance that it is part of."""
        # A limit in many digits is taken together with those above it: these are marked only.
        inside = self._untracked
        if self.limits.way(l) is Way.MANY_DIGITS:
            inside = inside._marking
        activations = self.open_layer(l, points, open_gates)
        upper = inside.relevance_and_limits(l + 1, activations, graph=True)
        return upper.relevance.gather(1, unit.unsqueeze(1)).squeeze(1), upper

    def open_layer(self, l: int, points: Tensor, open_gates: Tensor) -> Tensor:
        """The activations of layer l + 1 at points (N, d), some gates held open (N, M)."""
        return self.explained.layers[l].opened(points, open_gates)

    @torch.no_grad()
    def _searched(self, l: int, a: Tensor) -> Tensor:
        """``h`` at the points ``a`` (N, d_l) of a search, which needs no graph."""
        return self.upper(l, a)

    def problem(self, l: int, a: Tensor) -> RootProblem:
        """The search for roots of all units of layer l + 1, anchors ``a`` (B, d)."""
        plan, layer = self.plans[l], self.explained.layers[l]
        last = l + 1 == self.network.depth
        first = self.output if last else 0
        own = first + torch.arange(layer.units, device=a.device)
        return RootProblem(
            a,
            layer,
            partial(self._searched, l),
            plan.domain,
            plan.rule,
            plan.generator,
            Regions(self.network, l, l + 1, own),
            zeros=Zeros.EVERYWHERE if last or self._carries_factor[l + 1] else Zeros.UNKNOWN,
            track=self.track,
        )

    @cached_property
    def explained(self) -> Network:
        """The network without its other outputs."""
        return self.network.explaining(self.output)

    @cached_property
    def batching(self) -> Batching:
        """How many points are held together."""
        widths = self.explained.widths
        evaluations = Scheme.of(self.plans).evaluations(widths)
        return Batching(widths, evaluations, self.max_points, self.series)

    @cached_property
    def slopes(self) -> ChosenSlopes:
        """What gives ``∇⁺h_j`` at the roots."""
        formulas = self.series is not None and self.forward_passes and self.moving_roots
        automatic = AutomaticSlopes(
            self.explained,
            self.plans,
            self.function,
            self.limits,
            self.series,
            self.batching,
            BelowOutput.of(self.explained, self.plans[-1]) if formulas else None,
            self.track,
        )
        return ChosenSlopes.of(automatic, self.forward_passes)

    @cached_property
    def limits(self) -> Limits:
        """What takes one-sided limits in many digits."""
        degree = 1 if self.series is None else self.series.degree
        marks = not self.takes_limits
        return Limits(self.explained, self.plans, degree, self.moving_roots, marks, self.track)

    @cached_property
    def _untracked(self) -> Recursion:
        """The same recursion, of which nothing is shown."""
        return self if self.track is untracked else replace(self, track=untracked)

    @cached_property
    def _marking(self) -> Recursion:
        """The same recursion, which takes no limits."""
        return replace(self, takes_limits=False)

    @cached_property
    def _carries_factor(self) -> list[bool]:
        """In which layers relevance is the activation times something."""
        return [plan.finder.carries_factor(plan.rule) for plan in self.plans]
