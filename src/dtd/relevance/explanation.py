"""What an explanation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from dtd.relevance.evidence import Evidence
from dtd.relevance.ledger import Ledger


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Of estimated relevances: of each unit's, by layer (B, d_l), and of each layer's sum (B,).

    ``paths`` (B,) is on how many paths, effectively, the last one rests: infinite without chance.
    """

    relevances: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]
    paths: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Relevances by one method, of the output and of the layers onto which it is decomposed.

    ``relevances[l]`` has shape (B, d_l) for l < L and (B, 1) for l = L, where it is f.
    ``ledgers[l]`` says where the relevance of the next layer with some went, ``evidence[l]``
    holds the roots in layer l, for methods that have some. ``terms[l]`` (B, K, d_l), for methods
    that have them, is what each degree of the Taylor series contributed to ``relevances[l]``, and
    ``interactions[l]`` (B, d_l, d_l), where they are wanted, the degree-2 matrices. ``errors`` is
    there where relevances were estimated. ``limit_errors[l]`` (B,) are the largest relative errors
    of the one-sided limits that ``relevances[l]`` depends on, NaN where none was needed, and
    infinite where one does not exist.
    """

    relevances: Mapping[int, Tensor]
    ledgers: Mapping[int, Ledger]
    evidence: Mapping[int, tuple[Evidence, ...]] = field(default_factory=dict)
    terms: Mapping[int, Tensor] = field(default_factory=dict)
    interactions: Mapping[int, Tensor] = field(default_factory=dict)
    errors: StandardErrors | None = None
    limit_errors: Mapping[int, Tensor] = field(default_factory=dict)

    def order(self, layer: int) -> int:
        """The number of nested decompositions that lead to the layer."""
        return sum(upper > layer for upper in self.relevances)

    @property
    def degrees(self) -> int:
        """How many degrees are told apart, at least 1."""
        return max((terms.shape[1] for terms in self.terms.values()), default=1)
