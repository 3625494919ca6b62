"""One decomposition: by which rule and search, and the expansions that come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Network
from dtd.roots.contract import RootFinder
from dtd.rules.rule import Rule, sum_of


@dataclass(frozen=True, eq=False)
class Plan:
    """How the relevance of one layer is decomposed onto the layer below it."""

    rule: Rule
    finder: RootFinder
    domain: Domain
    generator: torch.Generator
    label: str
    """What tables call the strategy."""
    prefix: str = ""
    """What stands before the label, to tell the roots of one method from another's."""


def of_sample(plans: tuple[Plan, ...], network: Network, x: Tensor) -> tuple[Plan, ...]:
    """The steps below one sample (1, d) of a network with one output, with roots of its own."""
    return tuple(
        replace(step, finder=step.finder.for_sample(network, start, x))
        for start, step in enumerate(plans)
    )


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
    limit: Tensor
    """(N,), whether the one-sided limit was taken, at the root or above it."""
    shares: Tensor
    """(N, K, d), what the pair gives to each unit of the lower layer, by degree."""

    def relevance(self, a: Tensor) -> Tensor:
        """``R_l`` at the anchors ``a`` (B, d): the sum of the shares of all units."""
        share = sum_of(list(self.shares.unbind(1)))
        return torch.zeros_like(a).index_add(0, self.anchor, share)

    def terms(self, a: Tensor) -> Tensor:
        """What each degree contributes to ``R_l``, (B, K, d)."""
        terms = a.new_zeros(len(a), *self.shares.shape[1:])
        return terms.index_add(0, self.anchor, self.shares)
