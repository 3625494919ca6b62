"""The Taylor expansions of one layer, and what they add up to (theory, section 2.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dtd.relevance.slopes.slope import worst
from dtd.rules.rule import sum_of


class Relevance(NamedTuple):
    """``R_l`` at N anchors."""

    relevance: Tensor
    """(N, d)."""
    limit_error: Tensor
    """(N,), the largest relative error of a one-sided limit at the roots of an anchor, or above
    them. NaN where no limit was taken."""
    untaken: Tensor
    """(N,), whether a limit there was needed and not taken."""

    @classmethod
    def without_limits(cls, relevance: Tensor) -> Relevance:
        """Where none was needed."""
        exact = torch.full_like(relevance[:, 0], torch.nan)
        return cls(relevance, exact, torch.zeros_like(exact, dtype=torch.bool))


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
    shares: Tensor
    """(N, K, d), what the pair gives to each unit of the lower layer, by degree."""
    limit_error: Tensor
    """(N,), the relative error of the one-sided limit, as in
    :class:`~dtd.relevance.slopes.slope.RootExpansions`."""
    untaken: Tensor
    """(N,), whether a limit was needed and not taken."""

    def relevance(self, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (B, d): the sum of the shares of all units."""
        share = sum_of(list(self.shares.unbind(1)))
        return torch.zeros_like(a).index_add(0, self.anchor, share)

    def worst_limit(self, a: Tensor) -> Tensor:
        """The largest of the limit errors of each anchor, (B,)."""
        return worst(self.limit_error, self.anchor, len(a))

    def summed(self, a: Tensor) -> Relevance:
        """``R_l`` at the anchors ``a`` (B, d), and what became of the limits."""
        untaken = torch.zeros_like(a[:, 0], dtype=torch.bool)
        untaken[self.anchor[self.untaken]] = True
        return Relevance(self.relevance(a), self.worst_limit(a), untaken)

    def terms(self, a: Tensor) -> Tensor:
        """What each degree contributes to ``R_l``, (B, K, d)."""
        terms = a.new_zeros(len(a), *self.shares.shape[1:])
        return terms.index_add(0, self.anchor, self.shares)
