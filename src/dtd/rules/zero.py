"""The zero rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class Zero(Rule):
    """``v_j = a`` with step 1: every unit is expanded at the origin, in general no root.

    What is there is expanded: for negative biases nothing. Its train-free form is LRP-0.

    Source: LRP, section 10.2.1 (LRP-0).
    """

    meets_hinge: ClassVar[bool] = False

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        return (Term(a, torch.ones_like(layer.weight)),)

    def train_free_total(self, a: Tensor, layer: Layer, projection: Tensor) -> Tensor:
        return layer.preactivation(a)
