"""The limit of a slope at a root, extrapolated from points on the segment to its anchor.

From the root towards its anchor a slope is analytic up to the first kink or pole, so Richardson's
extrapolation from the positions 1/2, 1/4, 1/8, ... finds its limit. Relevance may be 0/0 at the
root, so rounding is least at large positions. The slope very near the root tells which positions
are too large, because they lie beyond a kink.
Source: theory, section 2.4. Ridders' method: W. H. Press et al., Numerical Recipes, 3rd edition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.numerics.policy import Policy

SlopesAt = Callable[[Tensor, float], Tensor]
"""``(rows (n,), position) -> slopes (n, d)``, each at that position on its own segment."""

_MOST_POINTS = 7
"""The most points of one limit."""
_POLE_POINTS = 5
"""The points of a limit that does not settle."""


class Stencil(NamedTuple):
    """Points whose derivatives, weighted and summed, are the one-sided ones at N roots.

    Sorted by root. A root itself, with the gates that are open on the anchor's side, is one point.
    """

    row: Tensor
    """(M,), the root of each point."""
    epsilon: Tensor
    """(M,), the position of the point on its segment, 0 at the root."""
    weight: Tensor
    """(M,), which adds up to 1 for each root."""
    open_gates: Tensor
    """(M, J), true where a unit's ReLU is replaced by the identity."""

    @classmethod
    def at_roots(cls, open_gates: Tensor, like: Tensor) -> Stencil:
        """The roots themselves, with these gates (N, J); numbers as those of ``like``."""
        row = torch.arange(len(open_gates), device=open_gates.device)
        epsilon = like.new_zeros(len(row))
        return cls(row, epsilon, torch.ones_like(epsilon), open_gates)

    @classmethod
    def weighted(cls, weights: Tensor, units: int) -> Stencil:
        """From the weights (N, S) of the positions 2⁻¹, ..., 2⁻ˢ; no gate is held open."""
        row, column = weights.nonzero(as_tuple=True)
        epsilon = torch.exp2(-(column + 1).to(weights))
        closed = torch.zeros(len(row), units, dtype=torch.bool, device=row.device)
        return cls(row, epsilon, weights[row, column], closed)

    def replaced(self, index: Tensor, other: Stencil) -> Stencil:
        """The same, but for the roots ``index`` (n,), which ``other`` numbers from 0 on."""
        kept = ~torch.isin(self.row, index)
        columns = zip(self, other._replace(row=index[other.row]), strict=True)
        merged = Stencil(*(torch.cat([mine[kept], theirs]) for mine, theirs in columns))
        return merged.rows(merged.row.argsort(stable=True))

    def rows(self, index: Tensor) -> Stencil:
        """Some of the points."""
        return Stencil(*(column[index] for column in self))

    def moved(self, by: int) -> Stencil:
        """The same for roots that follow on others."""
        return self._replace(row=self.row + by)

    def total(self, values: Tensor, count: int) -> Tensor:
        """The weighted sums (N, ...) of values (M, ...) over the points of each root."""
        weight = self.weight.view(-1, *[1] * (values.dim() - 1))
        return values.new_zeros(count, *values.shape[1:]).index_add(0, self.row, weight * values)


def extrapolated(
    slopes: SlopesAt, near: Tensor, nearness: float, smallest: float, tolerance: Policy
) -> Tensor:
    """The weights (N, S) with which slopes at the positions 2⁻¹, ..., 2⁻ˢ add up to their limits.

    Large positions come first; smaller ones are looked at only for roots whose limit has not
    settled.

    Args:
        slopes: the function whose limits are taken, along the segments.
        near: (N, d), reference slopes at the position ``nearness``, on the anchor's branch. A limit
            that disagrees is discarded. Where the reference is zero the limit is zero.
        nearness: a position that is on the anchor's branch.
        smallest: the last position, 2⁻ˢ.
        tolerance: when a limit is settled.
    """
    weights = near.new_zeros(len(near), _rungs(smallest))
    weights[:, -1] = 1
    size = near.norm(dim=1)
    best = torch.where(size > 0, torch.inf, size)
    pending, before = size.nonzero().squeeze(1), list[Tensor]()
    for rung in range(weights.shape[1]):
        if not len(pending):
            break
        epsilon, scale = 2.0 ** -(rung + 1), size[pending]
        now = _limits(slopes(pending, epsilon), before)
        for order, limit in enumerate(now):
            older = before[max(order - 1, 0)] if before else near[pending]
            error = torch.maximum(_gap(limit, older), _gap(limit, now[max(order - 1, 0)]))
            # What curvature allows for between the last point and the near one.
            bend = 2 * nearness / epsilon * _gap(now[0], limit)
            agrees = _gap(limit, near[pending]) <= math.sqrt(tolerance.settled) * scale + bend
            unsettled = best[pending] > tolerance.settled * scale
            better = agrees & unsettled & (error < best[pending])
            best[pending[better]] = error[better]
            weights[pending[better]] = _weights(order, rung, weights)
        left = best[pending] > tolerance.settled * scale
        pending, before = pending[left], [limits[left] for limits in now]
    # Slopes may diverge while their sum over units converges. So all that diverge are taken at the
    # same positions.
    endless = pending[best[pending] > tolerance.jump * size[pending]]
    weights[endless] = _weights(_POLE_POINTS - 1, _rungs(tolerance.branch_epsilon) - 1, weights)
    return weights


def _rungs(smallest: float) -> int:
    """How many of the positions 2⁻¹, 2⁻², ... there are down to the smallest."""
    return round(-math.log2(smallest))


def _limits(slope: Tensor, before: list[Tensor]) -> list[Tensor]:
    """The limits from the last point, the last two, ..., by Neville's scheme.

    ``before`` has those of the point before it.
    """
    limits = [slope]
    for order, older in enumerate(before[: _MOST_POINTS - 1], 1):
        limits.append(limits[-1] + (limits[-1] - older) / (2**order - 1))
    return limits


def _gap(first: Tensor, second: Tensor) -> Tensor:
    gap: Tensor = (first - second).norm(dim=1)
    return gap


def _weights(order: int, rung: int, like: Tensor) -> Tensor:
    """The weights (S,) in the limit from ``order + 1`` points, the last of which is ``rung``."""
    weights = torch.zeros_like(like[0])
    weights[rung - order : rung + 1] = weights.new_tensor(_neville(order))
    return weights


@cache
def _neville(order: int) -> tuple[float, ...]:
    """The weights of the points, from the largest position to the smallest."""
    if order == 0:
        return (1.0,)
    one = _neville(order - 1)
    upper, older = (0.0, *one), (*one, 0.0)
    return tuple(u + (u - o) / (2**order - 1) for u, o in zip(upper, older, strict=True))
