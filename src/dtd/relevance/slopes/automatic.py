"""One-sided slopes by automatic differentiation: the general way, which asks nothing of the rules.

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
from dtd.relevance.batching import Batching
from dtd.relevance.limits.limits import Limits
from dtd.relevance.plan import Plan
from dtd.relevance.series.series import Segments, Series
from dtd.relevance.slopes.slope import Pairs, Slope, relative, worst
from dtd.relevance.slopes.stencil import Stencil
from dtd.relevance.slopes.ties import side
from dtd.roots.location import Location

Function = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(layer, points (N, d), open gates (N, J), units (N,)) -> h_unit (N,), limit (N,)``,
differentiable; ``limit`` as in :class:`Slope`, of the limits at roots above."""


@dataclass(frozen=True, eq=False)
class AutomaticSlopes:
    """The relevance functions of a network with one output, as functions to differentiate.

    ``series`` says what of each Taylor series is distributed; without one it is the linear term.
    ``limits`` takes the limits that it covers, and the others are extrapolated. Where ``marks`` is
    true none is taken: pairs that need one are only marked.
    """

    network: Network
    plans: tuple[Plan, ...]
    function: Function
    limits: Limits
    marks: bool
    series: Series | None
    batching: Batching

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> Slope:
        """``∇⁺h`` at roots in layer ``l``; see :class:`Slopes`."""
        if self.series is not None and self.series.degree is None:
            return self._integrated(self.series, l, pairs, location, graph)
        gates, epsilon, needed = self.side(l, pairs, location)
        if not (self.marks or self.limits.covers(l)):
            return self._extrapolated(l, pairs, gates, epsilon, needed, graph)[0]
        rest = (~needed).nonzero().squeeze(1)
        if len(rest) < len(needed):
            some, gates, epsilon = pairs.rows(rest), gates[rest], epsilon[rest]
        else:
            some = pairs
        found = self._one_point(l, some, gates, epsilon, graph)
        # At a root itself a limit further up is a limit here as well. Beside it, where all points
        # have the same derivative, one that is exact does no harm.
        unsure = torch.where(epsilon > 0, found.limit > 0, ~found.limit.isnan())
        if len(rest) == len(needed) and not unsure.any():
            return found
        whole = _nothing(pairs, found.shares.shape[1]).replaced(rest[~unsure], found.rows(~unsure))
        if self.marks:
            return whole
        index = needed.index_copy(0, rest, unsure).nonzero().squeeze(1)
        return whole.replaced(index, self.limits.at(l, pairs.rows(index), graph))

    def _one_point(
        self, l: int, pairs: Pairs, gates: Tensor, epsilon: Tensor, graph: bool
    ) -> Slope:
        """The expansions where no limit is needed, from one point for each root."""
        if not epsilon.any():
            return self._at_points(l, pairs, pairs.roots, gates, graph)
        points = pairs.points(epsilon.unsqueeze(1))
        there = self._at_points(l, pairs, points, gates, graph)
        limit = torch.where(epsilon > 0, torch.fmax(there.limit, 0 * epsilon), there.limit)
        return there._replace(value=_at_roots(there, points, pairs.roots), limit=limit)

    def side(self, l: int, pairs: Pairs, location: Location) -> tuple[Tensor, Tensor, Tensor]:
        """How the anchor's side of roots in layer ``l`` is reached: the gates that are held open,
        the position, and where a limit has to be taken; see :class:`Side`.

        Where digits would be lost, and more of them help, it is taken as a limit too.
        """
        above = self.plans[l + 1] if l + 1 < self.network.depth else None
        homogeneous = self.limits.homogeneous(l + 1)
        found = side(self.network, l, pairs, location, above, homogeneous)
        gates, epsilon, limit = found.open_gates, found.epsilon, found.limit
        if self.limits.covers(l):
            limit = limit | (found.dead_unit & (epsilon == 0))
            if self.limits.formulas[l] is not None:
                limit |= found.close & (epsilon == 0)
            gates = gates & ~limit.unsqueeze(1)
        return gates, epsilon, limit

    def _integrated(
        self, series: Series, l: int, pairs: Pairs, location: Location, graph: bool
    ) -> Slope:
        """What is distributed does not start at the roots, and of those h and its slope are told.

        Inside another expansion what is distributed counts alone.
        """
        gates = self.network.layers[l].held_open(
            torch.zeros(len(pairs.unit), self.network.widths[l + 1], dtype=torch.bool),
            pairs.anchors,
        )
        shares = series.shares(self._segments(l, pairs, pairs.roots, gates), graph)
        if graph:
            at_roots = _nothing(pairs, shares.shape[1])
            at_roots = at_roots._replace(limit=torch.full_like(at_roots.limit, torch.nan))
        else:
            at_roots = replace(self, series=None).at(l, pairs, location, graph)
        return at_roots._replace(shares=shares)

    def stencil(self, l: int, pairs: Pairs, location: Location) -> tuple[Stencil, Tensor]:
        """From which points the expansions at roots in layer ``l`` are made, and at which roots
        (N,) a limit is taken in many digits: there a point beside the root stands for it."""
        gates, epsilon, needed = self.side(l, pairs, location)
        if self.marks or self.limits.covers(l):
            beside = torch.full_like(epsilon, policy(epsilon.dtype).epsilon)
            return Stencil.beside(gates, torch.where(needed, beside, epsilon)), needed
        _, epsilon = self._extrapolated(l, pairs, gates, epsilon, needed, graph=False)
        return Stencil.of(gates, epsilon), torch.zeros_like(needed)

    def _extrapolated(
        self, l: int, pairs: Pairs, gates: Tensor, epsilon: Tensor, needed: Tensor, graph: bool
    ) -> tuple[Slope, Tensor]:
        """Limits from points in double precision, and the positions (N,) of the nearest ones.

        Where another limit lies inside, these have to be far from the root.
        """
        tolerance = policy(pairs.roots.dtype)
        epsilon = torch.where(needed, tolerance.epsilon, epsilon)
        found, error = self._from(l, pairs, Stencil.of(gates, epsilon), graph)
        nested = (~found.limit.isnan()).nonzero().squeeze(1)
        error = torch.where(needed, torch.fmax(found.limit, error), torch.nan)
        found = found._replace(limit=error)
        if len(nested):
            far = torch.full_like(epsilon[nested], tolerance.outer_epsilon)
            some, error = self._from(l, pairs.rows(nested), Stencil.of(gates[nested], far), graph)
            some = some._replace(limit=torch.fmax(some.limit, error))
            found = found.replaced(nested, some)
            epsilon = epsilon.index_copy(0, nested, far)
        return found, epsilon

    def _at_points(self, l: int, pairs: Pairs, points: Tensor, gates: Tensor, graph: bool) -> Slope:
        """The expansions at points (N, d) that are on no kink, but for gates held open (N, J)."""
        size = max(1, len(points)) if graph else self.batching.points(l)
        chunks = zip(pairs.split(size), points.split(size), gates.split(size), strict=True)
        parts = [self._together(l, *chunk, graph) for chunk in chunks]
        return Slope(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _together(self, l: int, pairs: Pairs, points: Tensor, gates: Tensor, graph: bool) -> Slope:
        """The same, all points at once."""
        value, slope, limit = differentiate(
            lambda at: self.function(l, at, gates, pairs.unit), points, graph
        )
        if self.series is None:
            shares = (slope * pairs.delta).unsqueeze(1)
        else:
            shares = self.series.shares(self._segments(l, pairs, points, gates), graph)
        return Slope(value, slope, shares, limit)

    def _from(self, l: int, pairs: Pairs, stencil: Stencil, graph: bool) -> tuple[Slope, Tensor]:
        """The expansions from the points of a stencil, and their relative errors (N,).

        ``limit`` is that of the roots above.
        """
        at, count = pairs.rows(stencil.row), len(pairs.unit)
        points = at.points(stencil.epsilon.unsqueeze(1))
        there = self._at_points(l, at, points, stencil.open_gates, graph)
        value = _at_roots(there, points, at.roots)
        found = Slope(
            stencil.total(value, count),
            stencil.total(there.slope, count),
            stencil.total(there.shares, count),
            worst(there.limit, stencil.row, count),
        )
        size = found.shares.detach().flatten(1).norm(dim=1)
        f = self.network.forward(pairs.anchors.detach(), l).abs().amax(1)
        return found, relative(stencil.error(there.shares, count), size, f)

    def _segments(self, l: int, pairs: Pairs, points: Tensor, gates: Tensor) -> Segments:
        """The functions ``h`` on segments, differentiated at the points (N, d)."""
        return Segments(
            network=self.network,
            start=l,
            unit=pairs.unit,
            roots=pairs.roots,
            delta=pairs.delta,
            points=points,
            open_gates=gates,
            function=lambda points, gates, unit: self.function(l, points, gates, unit)[0],
            together=self.batching.points(l),
        )


def _at_roots(there: Slope, points: Tensor, roots: Tensor) -> Tensor:
    """What the slopes at the points (N, d) say that h is at the roots, (N,)."""
    return there.value - (there.slope * (points - roots)).sum(1)


def _nothing(pairs: Pairs, degrees: int) -> Slope:
    """Expansions that distribute nothing, marked as limits that are not taken."""
    zero = torch.zeros_like(pairs.roots)
    untaken = torch.full_like(zero[:, 0], torch.inf)
    return Slope(zero[:, 0], zero, zero.unsqueeze(1).expand(-1, degrees, -1), untaken)
