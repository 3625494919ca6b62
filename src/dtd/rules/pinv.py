"""The pseudo-inverse rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer
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

    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        shared = row_product(layer.preactivation(a), torch.linalg.pinv(layer.matrix.dense()).T)
        return (Term.of(shared, layer, torch.ones_like),)

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula | None:
        return ToCommonZero.of(layer.balls, layer.matrix.dense())

    def divisor(self, terms: tuple[Term, ...], domain: Domain) -> None:
        return None
