"""The pseudo-inverse rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.numerics.products import row_product
from dtd.rules.formula import Formula, ToCommonZero
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class PseudoInverse(Rule):
    """``v = W⁺(W a + b)`` with step 1, shared by all units of the layer.

    The nearest point where all explained rows of the layer vanish together. Where there are more
    rows than that allows, it is the least-squares point.

    Source: theory, section 3.1; W⁺ is the Moore-Penrose inverse.
    """

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        shared = row_product(layer.preactivation(a), torch.linalg.pinv(layer.weight).T)
        return (Term(shared, torch.ones_like(layer.weight)),)

    def formula(self, layer: Layer, domain: Domain) -> Formula | None:
        return ToCommonZero.of(layer)

    def divisor(self, terms: tuple[Term, ...], layer: Layer) -> None:
        return None
