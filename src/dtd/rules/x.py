"""The x rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.rules.rule import FactorRule


@dataclass(frozen=True)
class X(FactorRule):
    """``v_j = a``: along the segment to the origin (the "z rule").

    In a network without biases every root is the origin and the recursion gives
    gradient × input (theory, section 7.3).

    Source: DTD (z rule).
    """

    def mask(self, weight: Tensor) -> Tensor:
        return torch.ones_like(weight)
