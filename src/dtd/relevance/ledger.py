"""The ledger: where the relevance of a layer went (theory, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.columns import LEDGER


@dataclass(frozen=True, eq=False, repr=False)
class Ledger:
    """``upper_sum = relevance_sum + zero_order + unresolved + remainder``, each of shape (B,).

    ``zero_order`` is the relevance at the roots themselves, ``unresolved`` that of units without
    a root, ``remainder`` the higher Taylor terms, by difference.
    """

    upper_sum: Tensor
    relevance_sum: Tensor
    negative_sum: Tensor
    zero_order: Tensor
    unresolved: Tensor

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}={getattr(self, name)}" for name in LEDGER)
        return f"{type(self).__name__}({columns})"

    @property
    def remainder(self) -> Tensor:
        """What no other column accounts for, (B,): higher Taylor terms (theory, section 7.6)."""
        return self.upper_sum - self.relevance_sum - self.zero_order - self.unresolved


def by_degree(whole: Ledger, terms: Tensor) -> list[Ledger]:
    """A ledger for each degree of the series ``terms`` (B, K, d), which ``whole`` sums up.

    The first accounts for the relevance of the layer above, every other for the remainder of the
    one before; so each balances, and the last remainder is that of the whole.
    """
    ledgers: list[Ledger] = []
    for term in terms.unbind(1):
        if ledgers:
            upper, zero_order, unresolved = ledgers[-1].remainder, None, None
        else:
            upper, zero_order, unresolved = whole.upper_sum, whole.zero_order, whole.unresolved
        ledgers.append(ledger(upper.unsqueeze(1), term, zero_order, unresolved))
    return ledgers


def ledger(
    upper: Tensor,
    lower: Tensor,
    zero_order: Tensor | None = None,
    unresolved: Tensor | None = None,
) -> Ledger:
    """The ledger of one layer from its relevances ``upper`` (B, J) and ``lower`` (B, d)."""
    nothing = torch.zeros_like(upper[:, 0])
    return Ledger(
        upper.sum(1),
        lower.sum(1),
        lower.clamp(max=0).sum(1),
        nothing if zero_order is None else zero_order,
        nothing if unresolved is None else unresolved,
    )
