"""One-sided slopes by automatic differentiation: the general way, which asks nothing of the rules.

Limits are extrapolated here where they are not taken in many digits, which
:mod:`dtd.relevance.limits.limits` does.

Source: theory, section 2.2; section 2.4 says how the limits are taken that are needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.gradients import differentiate
from dtd.numerics.policy import policy
from dtd.progress import Track, untracked
from dtd.relevance.batching import Batching
from dtd.relevance.expansion import Relevance
from dtd.relevance.limits.limits import Limits, Way
from dtd.relevance.plan import Plan
from dtd.relevance.series.series import Segments, Series
from dtd.relevance.slopes.below_output import BelowOutput
from dtd.relevance.slopes.needed import Side, inherited, side
from dtd.relevance.slopes.slope import Pairs, RootExpansions, relative, worst
from dtd.relevance.slopes.stencil import Stencil
from dtd.roots.location import Location

Function = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Relevance]]
"""``(layer, points (N, d), open gates (N, J), units (N,)) -> h_unit (N,)``, differentiable, and the
relevance of the upper layer that it is part of, which knows of the limits above."""


@dataclass(frozen=True, eq=False)
class AutomaticSlopes:
    """The relevance functions of a network with one output, as functions to differentiate.

    ``series`` says what of each Taylor series is distributed; without one it is the linear term.
    ``below_output`` has gradients by a formula, where it may take the place of differentiation.
    ``track`` shows how far the work is.
    """

    network: Network
    plans: tuple[Plan, ...]
    function: Function
    limits: Limits
    series: Series | None
    batching: Batching
    below_output: BelowOutput | None
    track: Track = untracked

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> RootExpansions:
        """``∇⁺h`` at roots in layer ``l``; see :class:`Slopes`."""
        if self.series is not None and self.series.degree is None:
            return self._integrated(self.series, l, pairs, location, graph)
        side, way = self.side(l, pairs, location), self.limits.way(l)
        if way is Way.EXTRAPOLATED:
            return self._extrapolated(l, pairs, side, graph)[0]
        expansions = self._without_limits(l, pairs, side, graph)
        if way is Way.MARKED or not expansions.untaken.any():
            return expansions
        index = expansions.untaken.nonzero().squeeze(1)
        return expansions.replaced(index, self.limits.at(l, pairs.rows(index), graph))

    def side(self, l: int, pairs: Pairs, location: Location) -> Side:
        """How the anchor's side of roots in layer ``l`` is reached, and where that is a limit."""
        above = self.plans[l + 1] if l + 1 < self.network.depth else None
        return side(self.network, l, pairs, location, above, self.limits)

    def _without_limits(self, l: int, pairs: Pairs, side: Side, graph: bool) -> RootExpansions:
        """The expansions at the roots where no limit is needed; the others are ``untaken``."""
        rest = (~side.limited).nonzero().squeeze(1)
        every = len(rest) == len(side.limited)
        some, sides = (pairs, side) if every else (pairs.rows(rest), side.rows(rest))
        expansions = self._one_point(l, some, sides, graph)
        untaken = inherited(expansions.limit_error, expansions.untaken, sides.epsilon)
        if every and not untaken.any():
            return expansions
        nothing = _nothing(pairs, expansions.shares.shape[1])
        return nothing.replaced(rest[~untaken], expansions.rows(~untaken))

    def _one_point(self, l: int, pairs: Pairs, side: Side, graph: bool) -> RootExpansions:
        """The expansions from one point for each root."""
        epsilon = side.epsilon
        if not epsilon.any():
            return self._at_points(l, pairs, pairs.roots, side.open_gates, graph)
        points = pairs.points(epsilon.unsqueeze(1))
        there = self._at_points(l, pairs, points, side.open_gates, graph)
        # Beside the root the point stands for a limit, which is exact.
        exact = torch.fmax(there.limit_error, 0 * epsilon)
        limit_error = torch.where(epsilon > 0, exact, there.limit_error)
        return there._replace(value=_at_roots(there, points, pairs.roots), limit_error=limit_error)

    def _integrated(
        self, series: Series, l: int, pairs: Pairs, location: Location, graph: bool
    ) -> RootExpansions:
        """What is distributed does not start at the roots, and of those h and its slope are told.

        Inside another expansion what is distributed counts alone.
        """
        none = pairs.anchors.new_zeros(
            len(pairs.unit), self.network.widths[l + 1], dtype=torch.bool
        )
        gates = self.network.layers[l].held_open(none, pairs.anchors)
        shares, error = series.shares(self._segments(l, pairs, pairs.roots, gates), graph)
        if graph:
            at_roots = _nothing(pairs, shares.shape[1])
            at_roots = at_roots._replace(untaken=torch.zeros_like(at_roots.untaken))
        else:
            at_roots = replace(self, series=None).at(l, pairs, location, graph)
        error = torch.fmax(error, at_roots.limit_error)
        return at_roots._replace(shares=shares, limit_error=error)

    def stencil(self, l: int, pairs: Pairs, location: Location) -> tuple[Stencil, Tensor]:
        """From which points the expansions at roots in layer ``l`` are made, and at which roots
        (N,) a limit is taken in many digits: there a point beside the root stands for it."""
        side = self.side(l, pairs, location)
        if self.limits.way(l) is Way.EXTRAPOLATED:
            _, epsilon = self._extrapolated(l, pairs, side, graph=False)
            return Stencil.of(side.open_gates, epsilon), torch.zeros_like(side.limited)
        epsilon = torch.where(side.limited, policy(pairs.roots.dtype).epsilon, side.epsilon)
        return Stencil.beside(side.open_gates, epsilon), side.limited

    def _extrapolated(
        self, l: int, pairs: Pairs, side: Side, graph: bool
    ) -> tuple[RootExpansions, Tensor]:
        """Limits from points in double precision, and the positions (N,) of the nearest ones.

        Where another limit lies inside, these have to be far from the root.
        """
        tolerance = policy(pairs.roots.dtype)
        epsilon = torch.where(side.limited, tolerance.epsilon, side.epsilon)
        expansions, error = self._from(l, pairs, Stencil.of(side.open_gates, epsilon), graph)
        nested = (~expansions.limit_error.isnan()).nonzero().squeeze(1)
        error = torch.where(side.limited, torch.fmax(expansions.limit_error, error), torch.nan)
        expansions = expansions._replace(limit_error=error)
        if len(nested):
            far = torch.full_like(epsilon[nested], tolerance.outer_epsilon)
            stencil = Stencil.of(side.open_gates[nested], far)
            some, error = self._from(l, pairs.rows(nested), stencil, graph)
            some = some._replace(limit_error=torch.fmax(some.limit_error, error))
            expansions = expansions.replaced(nested, some)
            epsilon = epsilon.index_copy(0, nested, far)
        return expansions, epsilon

    def _at_points(
        self, l: int, pairs: Pairs, points: Tensor, gates: Tensor, graph: bool
    ) -> RootExpansions:
        """The expansions at points (N, d) that are on no kink, but for gates held open (N, J)."""
        size = max(1, len(points)) if graph else self.batching.points(l)
        chunks = list(zip(pairs.split(size), points.split(size), gates.split(size), strict=True))
        parts = [self._together(l, *chunk, graph) for chunk in self.track(chunks, "slopes")]
        return RootExpansions(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _together(
        self, l: int, pairs: Pairs, points: Tensor, gates: Tensor, graph: bool
    ) -> RootExpansions:
        """The expansions at points (N, d), all at once; see :meth:`_at_points`."""
        value, slope, upper = differentiate(
            lambda at: self.function(l, at, gates, pairs.unit), points, graph
        )
        if self.series is None:
            shares = (slope * pairs.delta).unsqueeze(1)
        else:
            shares, _ = self.series.shares(self._segments(l, pairs, points, gates), graph)
        return RootExpansions(value, slope, shares, upper.limit_error, upper.untaken)

    def _from(
        self, l: int, pairs: Pairs, stencil: Stencil, graph: bool
    ) -> tuple[RootExpansions, Tensor]:
        """The expansions from the points of a stencil, and their relative errors (N,).

        ``limit_error`` is that of the roots above.
        """
        at, count = pairs.rows(stencil.row), len(pairs.unit)
        points = at.points(stencil.epsilon.unsqueeze(1))
        there = self._at_points(l, at, points, stencil.open_gates, graph)
        value = _at_roots(there, points, at.roots)
        expansions = RootExpansions(
            stencil.total(value, count),
            stencil.total(there.slope, count),
            stencil.total(there.shares, count),
            worst(there.limit_error, stencil.row, count),
            torch.zeros(count, dtype=torch.bool, device=value.device),
        )
        size = expansions.shares.detach().flatten(1).norm(dim=1)
        f = self.network.forward(pairs.anchors.detach(), l).abs().amax(1)
        return expansions, relative(stencil.error(there.shares, count), size, f)

    def _segments(self, l: int, pairs: Pairs, points: Tensor, gates: Tensor) -> Segments:
        """The functions ``h`` on segments, differentiated at the points (N, d)."""

        def function(points: Tensor, gates: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
            value, upper = self.function(l, points, gates, unit)
            return value, upper.limit_error

        below = self.below_output
        return Segments(
            network=self.network,
            start=l,
            unit=pairs.unit,
            roots=pairs.roots,
            delta=pairs.delta,
            points=points,
            open_gates=gates,
            function=function,
            together=self.batching.points(l),
            formula=below.gradients if below and l + 2 == self.network.depth else None,
            track=self.track,
        )


def _at_roots(there: RootExpansions, points: Tensor, roots: Tensor) -> Tensor:
    """What the slopes at the points (N, d) say that h is at the roots, (N,)."""
    return there.value - (there.slope * (points - roots)).sum(1)


def _nothing(pairs: Pairs, degrees: int) -> RootExpansions:
    """Expansions that distribute nothing, as their limits are not taken."""
    zero = torch.zeros_like(pairs.roots)
    value, shares = zero[:, 0], zero.unsqueeze(1).expand(-1, degrees, -1)
    unknown = torch.full_like(value, torch.nan)
    return RootExpansions(
        value, zero, shares, unknown, untaken=torch.ones_like(value, dtype=torch.bool)
    )
