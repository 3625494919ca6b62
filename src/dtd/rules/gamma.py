"""The gamma rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dtd.ranges import Range
from dtd.rules.rule import FactorRule

_ALLOWED = Range(0, below=1e12)
"""Further up roots are those of ``z+`` to twelve digits, and steps leave the range of numbers."""


@dataclass(frozen=True)
class Gamma(FactorRule):
    """``v_j = a * (1 + γ 1[w_j >= 0])`` on a >= 0: γ = 0 is ``x``, γ → ∞ is ``z+``.

    Source: LRP, section 10.2.1 (LRP-γ), read as a direction of search.
    """

    for_nonnegative: ClassVar[bool] = True

    gamma: float = 1.0

    def __post_init__(self) -> None:
        _ALLOWED.check("gamma", self.gamma)

    def mask(self, weight: Tensor) -> Tensor:
        return 1 + self.gamma * (weight >= 0).to(weight.dtype)
