"""What an explanation is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dtd_cli.relevance.evidence import Evidence
from dtd_cli.relevance.ledger import Ledger


@dataclass(frozen=True, eq=False)
class Explanation:
    """Relevances of every layer by one method.

    ``relevances[l]`` has shape (B, d_l) for l < L and (B, 1) for l = L, where it is f.
    ``ledgers[l]`` says where the relevance of layer l + 1 went, ``evidence`` holds the roots of
    each layer, for methods that have some, by layer. ``terms[l]`` (B, K, d_l), for methods that
    have them, is what each degree of the Taylor series contributed to ``relevances[l]``, and
    ``interactions[l]`` (B, d_l, d_l), where they are wanted, the degree-2 matrices.
    """

    relevances: tuple[Tensor, ...]
    ledgers: tuple[Ledger, ...]
    evidence: tuple[tuple[Evidence, ...], ...] = ()
    terms: tuple[Tensor, ...] = ()
    interactions: tuple[Tensor, ...] = ()

    @property
    def degrees(self) -> int:
        """How many degrees are told apart, at least 1."""
        return max((terms.shape[1] for terms in self.terms), default=1)
