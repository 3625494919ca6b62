"""The z+ rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer, Product
from dtd.rules.rule import FactorRule


@dataclass(frozen=True)
class ZPlus(FactorRule):
    """``v_j = a * 1[w_j >= 0]`` on the orthant a >= 0: only the positive part is removed.

    Source: DTD, constrained input space and appendix (z+ rule). With it the train-free relevance is
    α1β0-LRP with the bias set to zero.
    """

    for_nonnegative: ClassVar[bool] = True

    def mask(self, weight: Tensor) -> Tensor:
        return (weight >= 0).to(weight.dtype)

    def never_cancels(self, domain: Domain) -> bool:
        return domain.is_nonnegative

    def products(self, a: Tensor, layer: AnyLayer, domain: Domain) -> list[tuple[Tensor, Product]]:
        # No mask is made: for one sample that takes longer than its matrix products.
        return [(a, layer.positive_part)]
