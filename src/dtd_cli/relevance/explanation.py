"""What an explanation is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dtd_cli.relevance.evidence import Evidence
from dtd_cli.relevance.ledger import Ledger


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Of estimated relevances: of each unit's, by layer (B, d_l), and of each layer's sum (B,)."""

    relevances: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Relevances of every layer by one method.

    ``relevances[l]`` has shape (B, d_l) for l < L and (B, 1) for l = L, where it is f.
    ``ledgers[l]`` says where the relevance of layer l + 1 went, ``evidence`` holds the roots of
    each layer, for methods that have some, by layer; ``errors`` is there where relevances were
    estimated.
    """

    relevances: tuple[Tensor, ...]
    ledgers: tuple[Ledger, ...]
    evidence: tuple[tuple[Evidence, ...], ...] = ()
    errors: StandardErrors | None = None
