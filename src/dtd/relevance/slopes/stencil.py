"""From which points derivatives at roots are made (theory, section 2.4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_RICHARDSON = ((4.0, 1 / 3, 0.0), (2.0, -2.0, -1.0), (1.0, 8 / 3, 2.0))
"""Positions of the points, in the smallest one; their weights in the extrapolation of second
order, and in that of first order, which leaves out the farthest point."""


class Stencil(NamedTuple):
    """Points whose derivatives, weighted and summed, are the one-sided ones at N roots.

    One point is the root itself, with the gates that are open on the anchor's side. Where that is
    not enough there are three, and the limit is extrapolated from them.
    """

    row: Tensor
    """(M,), the root of each point."""
    epsilon: Tensor
    """(M,), the position of the point on its segment, 0 at the root."""
    weight: Tensor
    """(M,), which adds up to 1 for each root."""
    check: Tensor
    """(M,), other weights, of an extrapolation that is one order lower."""
    open_gates: Tensor
    """(M, J), true where a unit's ReLU is replaced by the identity."""

    @classmethod
    def of(cls, open_gates: Tensor, epsilon: Tensor) -> Stencil:
        """For N roots with their gates (N, J), 0 for ``epsilon`` (N,) at roots themselves and
        else the position of the nearest point."""
        at_root, beside = (epsilon == 0).nonzero().squeeze(1), epsilon.nonzero().squeeze(1)
        row = torch.cat([at_root, *[beside] * len(_RICHARDSON)])
        times, weight, check = (
            torch.cat([epsilon.new_ones(len(at_root)), one.repeat_interleave(len(beside))])
            for one in epsilon.new_tensor(_RICHARDSON).T
        )
        return cls(row, times * epsilon[row], weight, check, open_gates[row])

    @classmethod
    def beside(cls, open_gates: Tensor, epsilon: Tensor) -> Stencil:
        """One point for each of N roots, at the position ``epsilon`` (N,)."""
        one = torch.ones_like(epsilon)
        return cls(torch.arange(len(one), device=one.device), epsilon, one, one, open_gates)

    def total(self, values: Tensor, count: int) -> Tensor:
        """The weighted sums (N, ...) of values (M, ...) over the points of each root."""
        return _total(self.weight, self.row, values, count)

    def error(self, values: Tensor, count: int) -> Tensor:
        """By how much the two extrapolations of values (M, ...) differ, (N,)."""
        gap = _total(self.weight - self.check, self.row, values.detach(), count)
        error: Tensor = gap.flatten(1).norm(dim=1)
        return error


def _total(weight: Tensor, row: Tensor, values: Tensor, count: int) -> Tensor:
    weight = weight.view(-1, *[1] * (values.dim() - 1))
    return values.new_zeros(count, *values.shape[1:]).index_add(0, row, weight * values)
