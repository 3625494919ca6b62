"""The zero rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer
from dtd.rules.formula import Formula, ToOrigin
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class Zero(Rule):
    """``v_j = a`` with step 1: every unit is expanded at the origin, which in general is no root.

    What is distributed approximates the difference of relevance between anchor and origin. Where
    biases are negative a unit is closed at the origin, and nothing is distributed. The train-free
    form is LRP-0.

    Source: LRP, section 10.2.1 (LRP-0).
    """

    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        return (Term.of(a, layer, torch.ones_like),)

    def layer_objection(self, layer: AnyLayer) -> None:
        return None

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula:
        return ToOrigin()

    def divisor(self, terms: tuple[Term, ...], domain: Domain) -> None:
        return None

    def train_free_divisor(self, a: Tensor, layer: AnyLayer, projection: Tensor) -> Tensor:
        return layer.preactivation(a)
