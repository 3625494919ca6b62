"""The z+ rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class ZPlus(Rule):
    """``v_j = a * 1[w_j >= 0]`` on the orthant a >= 0: only the positive part is removed.

    Source: DTD, constrained input space and appendix (z+ rule). With it the train-free relevance is
    α1β0-LRP with the bias set to zero.
    """

    carries_factor: ClassVar[bool] = True
    one_sign: ClassVar[bool] = True

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        return (Term(a, (layer.weight >= 0).to(a.dtype)),)

    def products(self, a: Tensor, layer: Layer, domain: Domain) -> list[tuple[Tensor, Tensor]]:
        # No mask is made: for one sample that takes longer than its matrix products.
        return [(a, layer.weight.clamp(min=0))]
