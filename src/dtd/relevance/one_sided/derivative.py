"""The one-sided derivative of a relevance function at its roots, by automatic differentiation.

The general path: it asks nothing of the rules (theory, section 2; docs/theory.md says where the
limits that it takes can fail).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.relevance.one_sided.approach import Approach, extrapolated
from dtd.relevance.one_sided.side import Above, nudged, one_sided
from dtd.roots.contract import Place

Value = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(points (N, d), open gates (N, J), units (N,)) -> h_unit (N,), limit (N,)``, differentiable;
``limit`` says whether a one-sided limit was taken at a root above."""


class Derivative(NamedTuple):
    """Value and one-sided slope of ``h_unit`` at N roots, and where they were taken."""

    value: Tensor
    """(N,), on the branch of the anchor."""
    slope: Tensor
    """(N, d)."""
    limit: Tensor
    """(N,), whether a one-sided limit was taken, at the root or above it."""
    approach: Approach

    @classmethod
    def untaken(cls, roots: Tensor, units: int) -> Derivative:
        """Numbers that nobody looks at, for roots (N, d) of a layer of so many units."""
        closed = torch.zeros(len(roots), units, dtype=torch.bool, device=roots.device)
        nothing = torch.full_like(roots, torch.nan)
        return cls(nothing[:, 0], nothing, closed[:, 0], Approach.at_roots(closed, roots))

    def replaced(self, index: Tensor, others: Derivative) -> Derivative:
        """These derivatives, but for some."""
        return Derivative(
            self.value.index_copy(0, index, others.value),
            self.slope.index_copy(0, index, others.slope),
            self.limit.index_copy(0, index, others.limit),
            self.approach.replaced(index, others.approach),
        )


class _Pairs(NamedTuple):
    """N roots and what they belong to."""

    anchors: Tensor
    """(N, d)."""
    roots: Tensor
    """(N, d)."""
    unit: Tensor
    """(N,)."""

    def rows(self, index: Tensor) -> _Pairs:
        return _Pairs(*(column[index] for column in self))


class _At(NamedTuple):
    """``h_unit`` at N points near or at roots."""

    value: Tensor
    """(N,)."""
    slope: Tensor
    """(N, d)."""
    limit: Tensor
    """(N,), whether a one-sided limit was taken above."""

    def spread(self, rows: Tensor) -> _At:
        """The same in the true ones of more rows (N,), and zeros in the others."""
        index = rows.nonzero().squeeze(1)
        columns = (column.new_zeros(len(rows), *column.shape[1:]) for column in self)
        pairs = zip(columns, self, strict=True)
        return _At(*(empty.index_copy(0, index, column) for empty, column in pairs))


class _Lost(NamedTuple):
    """Some roots at which the derivative exists as a limit only."""

    rows: Tensor
    """(n,)."""
    near: Tensor
    """(n, d), slopes on the anchors' branches."""
    nearness: float
    """The step at which they are."""
    smallest: float
    """The smallest step that is of use."""


@dataclass(frozen=True, eq=False)
class OneSided:
    """The relevance functions of layer ``start + 1`` as ones to be differentiated.

    ``network`` has one output; ``above`` says how the layer above is decomposed, None where it is
    the output.
    """

    network: Network
    start: int
    above: Above | None
    value: Value

    def derivative(self, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place) -> Derivative:
        """At the roots (N, d) of the units (N,), on the branches of the anchors (N, d)."""
        side = one_sided(self.network, self.start, anchors, roots, unit, place, self.above)
        sure = ~side.limit
        if sure.all():
            at = self._differentiate(roots, side.open_gates, unit)
        else:
            at = self._differentiate(roots[sure], side.open_gates[sure], unit[sure]).spread(sure)
        found = Derivative(*at, Approach.at_roots(side.open_gates, roots))
        if not (side.limit | at.limit).any():
            return found
        pairs = _Pairs(anchors, roots, unit)
        for lost in self._lost(pairs, side.limit, at):
            if len(lost.rows):
                some = pairs.rows(lost.rows)
                approach = self._approach(some, lost)
                found = found.replaced(lost.rows, self._approached(some, approach))
        return found

    @torch.no_grad()
    def _lost(self, pairs: _Pairs, limit: Tensor, at: _At) -> Iterator[_Lost]:
        """The roots at which the derivative exists as a limit only.

        A limit inside another is to be taken first: then the outer steps must be such that the
        steps inside can be small beside them.
        """
        steps = policy(at.slope.dtype)
        nested = at.limit
        if limit.any():
            rows = limit.nonzero().squeeze(1)
            near = self._near(pairs.rows(rows), steps.nudge)
            nested = nested.index_copy(0, rows, near.limit)
            inner = ~near.limit
            yield _Lost(rows[inner], near.slope[inner], steps.nudge, steps.nudge)
        if nested.any():
            rows = nested.nonzero().squeeze(1)
            slope = self._near(pairs.rows(rows), steps.judge).slope
            # A limit taken at a root above does no harm unless that root lies on other kinks on
            # the way to the anchor: then the slope near the root is another.
            lost = limit[rows] | ~_same(at.slope[rows], slope)
            yield _Lost(rows[lost], slope[lost], steps.judge, steps.outer)

    @torch.no_grad()
    def _approach(self, pairs: _Pairs, lost: _Lost) -> Approach:
        """From where to extrapolate."""
        weights = extrapolated(
            lambda rows, step: self._near(pairs.rows(rows), step).slope,
            lost.near,
            lost.nearness,
            lost.smallest,
            policy(lost.near.dtype),
        )
        return Approach.weighted(weights, self.network.widths[self.start + 1])

    def _approached(self, pairs: _Pairs, approach: Approach) -> Derivative:
        """Value and slope at the roots, extrapolated."""
        at = pairs.rows(approach.row)
        points = nudged(at.anchors, at.roots, approach.step.unsqueeze(1))
        there = self._differentiate(points, approach.open_gates, at.unit)
        # Each point says by its slope what h is at the root.
        value = there.value - (there.slope * (points - at.roots)).sum(1)
        count = len(pairs.unit)
        return Derivative(
            approach.total(value, count),
            approach.total(there.slope, count),
            torch.ones(count, dtype=torch.bool, device=value.device),
            approach,
        )

    def _near(self, pairs: _Pairs, step: float) -> _At:
        """A step from the roots towards their anchors."""
        width = self.network.widths[self.start + 1]
        closed = torch.zeros(len(pairs.unit), width, dtype=torch.bool, device=pairs.unit.device)
        points = nudged(pairs.anchors, pairs.roots, step)
        return self._differentiate(points, closed, pairs.unit)

    def _differentiate(self, points: Tensor, open_gates: Tensor, unit: Tensor) -> _At:
        """At points (N, d), with the given gates held open."""
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            points = differentiable(points)
            value, limit = self.value(points, open_gates, unit)
            (slope,) = torch.autograd.grad(
                value.sum(), points, create_graph=keep, materialize_grads=True
            )
        return _At(value if keep else value.detach(), slope, limit)


def differentiable(points: Tensor) -> Tensor:
    """The points, or where they have no graph a leaf in their place."""
    return points if points.requires_grad else points.detach().requires_grad_()


def _same(first: Tensor, second: Tensor) -> Tensor:
    """Whether two slopes (N, d) are of one branch, but for its curvature."""
    gap: Tensor = (first - second).norm(dim=1)
    size: Tensor = first.norm(dim=1) + second.norm(dim=1)
    return gap <= policy(first.dtype).jump * size
