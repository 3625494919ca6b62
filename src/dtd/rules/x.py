"""The x rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class X(Rule):
    """``v_j = a``: along the segment to the origin (the "z rule").

    In a network without biases every root is the origin and the recursion gives
    gradient × input (theory, section 7).

    Source: DTD (z rule).
    """

    carries_factor: ClassVar[bool] = True

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        return (Term(a, torch.ones_like(layer.weight)),)
