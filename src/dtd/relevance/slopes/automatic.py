"""One-sided slopes by automatic differentiation: the general way, which asks nothing of the rules.

Source: theory, section 2.2; section 2.5 says where the limits that are taken here can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.gradients import differentiate
from dtd.numerics.policy import policy
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.limit import Stencil, extrapolated
from dtd.relevance.slopes.slope import Pairs, Slope
from dtd.relevance.slopes.ties import side
from dtd.roots.location import Location

Function = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(layer, points (N, d), open gates (N, J), units (N,)) -> h_unit (N,), limit (N,)``,
differentiable; ``limit`` says whether a one-sided limit was taken at a root above."""


class Derivative(NamedTuple):
    """Value and slope of ``h_unit`` at N roots, and the points at which they were taken."""

    value: Tensor
    slope: Tensor
    limit: Tensor
    stencil: Stencil

    @classmethod
    def untaken(cls, pairs: Pairs, units: int) -> Derivative:
        """Placeholders for pairs of a layer of so many units whose derivative is not used."""
        closed = torch.zeros(len(pairs.unit), units, dtype=torch.bool, device=pairs.unit.device)
        nothing = torch.full_like(pairs.roots, torch.nan)
        return cls(nothing[:, 0], nothing, closed[:, 0], Stencil.at_roots(closed, pairs.roots))

    def replaced(self, index: Tensor, others: Derivative) -> Derivative:
        """These derivatives, but for some."""
        return Derivative(
            self.value.index_copy(0, index, others.value),
            self.slope.index_copy(0, index, others.slope),
            self.limit.index_copy(0, index, others.limit),
            self.stencil.replaced(index, others.stencil),
        )


class _Approached(NamedTuple):
    """Some roots at which the derivative exists as a limit only."""

    rows: Tensor
    """(n,)."""
    near: Tensor
    """(n, d), slopes on the anchors' branches."""
    nearness: float
    """The position at which these are."""
    smallest: float
    """Where extrapolation stops."""


@dataclass(frozen=True, eq=False)
class AutomaticSlopes:
    """The relevance functions of a network with one output, as functions to differentiate."""

    network: Network
    plans: tuple[Plan, ...]
    function: Function

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> Slope:
        """``∇⁺h`` at roots in layer ``l``; see :class:`Slopes`."""
        return Slope(*self.derivative(l, pairs, location, graph)[:3])

    def derivative(self, l: int, pairs: Pairs, location: Location, graph: bool) -> Derivative:
        """The same, with the points at which the derivatives were taken."""
        above = self.plans[l + 1] if l + 1 < self.network.depth else None
        anchor_side = side(self.network, l, pairs, location, above)
        sure = ~anchor_side.limit
        if sure.all():
            at = self._differentiated(l, pairs.roots, anchor_side.open_gates, pairs.unit, graph)
        else:
            some, gates = pairs.rows(sure), anchor_side.open_gates[sure]
            at = _spread(self._differentiated(l, some.roots, gates, some.unit, graph), sure)
        found = Derivative(*at, Stencil.at_roots(anchor_side.open_gates, pairs.roots))
        if not (anchor_side.limit | at.limit).any():
            return found
        for group in self._approached(l, pairs, anchor_side.limit, at):
            if len(group.rows):
                some = pairs.rows(group.rows)
                limits = self._limits(l, some, self._stencil(l, some, group), graph)
                found = found.replaced(group.rows, limits)
        return found

    @torch.no_grad()
    def _approached(self, l: int, pairs: Pairs, limit: Tensor, at: Slope) -> Iterator[_Approached]:
        """The roots at which the derivative exists as a limit only.

        A limit inside another is to be taken first: the outer positions must be such that the
        inner ones can be small beside them.
        """
        tolerance = policy(at.slope.dtype)
        nested = at.limit
        if limit.any():
            rows = limit.nonzero().squeeze(1)
            near = self._near(l, pairs.rows(rows), tolerance.epsilon)
            nested = nested.index_copy(0, rows, near.limit)
            alone, epsilon = ~near.limit, tolerance.epsilon
            yield _Approached(rows[alone], near.slope[alone], epsilon, epsilon)
        if nested.any():
            rows = nested.nonzero().squeeze(1)
            slope = self._near(l, pairs.rows(rows), tolerance.branch_epsilon).slope
            # A limit taken at a root above does no harm unless that root lies on other kinks on
            # the way to the anchor: then the slope near the root is another.
            other = limit[rows] | ~_same(at.slope[rows], slope)
            yield _Approached(
                rows[other], slope[other], tolerance.branch_epsilon, tolerance.outer_epsilon
            )

    @torch.no_grad()
    def _stencil(self, l: int, pairs: Pairs, group: _Approached) -> Stencil:
        """From which points to extrapolate."""
        weights = extrapolated(
            lambda rows, epsilon: self._near(l, pairs.rows(rows), epsilon).slope,
            group.near,
            group.nearness,
            group.smallest,
            policy(group.near.dtype),
        )
        return Stencil.weighted(weights, self.network.widths[l + 1])

    def _limits(self, l: int, pairs: Pairs, stencil: Stencil, graph: bool) -> Derivative:
        """Value and slope at the roots, extrapolated."""
        at = pairs.rows(stencil.row)
        points = at.points(stencil.epsilon.unsqueeze(1))
        there = self._differentiated(l, points, stencil.open_gates, at.unit, graph)
        # Each point says by its slope what h is at the root.
        value = there.value - (there.slope * (points - at.roots)).sum(1)
        count = len(pairs.unit)
        return Derivative(
            stencil.total(value, count),
            stencil.total(there.slope, count),
            torch.ones(count, dtype=torch.bool, device=value.device),
            stencil,
        )

    def _near(self, l: int, pairs: Pairs, epsilon: float) -> Slope:
        """At one position on the segments, without a graph."""
        units = self.network.widths[l + 1]
        closed = torch.zeros(len(pairs.unit), units, dtype=torch.bool, device=pairs.unit.device)
        return self._differentiated(l, pairs.points(epsilon), closed, pairs.unit, graph=False)

    def _differentiated(
        self, l: int, points: Tensor, open_gates: Tensor, unit: Tensor, graph: bool
    ) -> Slope:
        """At points (N, d) that are on no kink, but for the gates that are held open (N, J)."""
        return Slope(
            *differentiate(lambda at: self.function(l, at, open_gates, unit), points, graph)
        )


def _spread(some: Slope, rows: Tensor) -> Slope:
    """The slopes in the true ones of more rows (N,), and zeros in the others."""
    index = rows.nonzero().squeeze(1)
    columns = (column.new_zeros(len(rows), *column.shape[1:]) for column in some)
    pairs = zip(columns, some, strict=True)
    return Slope(*(empty.index_copy(0, index, column) for empty, column in pairs))


def _same(first: Tensor, second: Tensor) -> Tensor:
    """Whether two slopes (N, d) are of one branch, but for its curvature."""
    gap: Tensor = (first - second).norm(dim=1)
    size: Tensor = first.norm(dim=1) + second.norm(dim=1)
    return gap <= policy(first.dtype).jump * size
