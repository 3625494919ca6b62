"""The gamma rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class Gamma(Rule):
    """``v_j = a * (1 + γ 1[w_j >= 0])`` on a >= 0: γ = 0 is ``x``, γ → ∞ is ``z+``.

    Source: LRP, section 10.2.1 (LRP-γ), read as a direction of search.
    """

    gamma: float = 1.0
    carries_factor: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < math.inf:
            raise InvalidSetting("gamma", self.gamma, "allowed is any number >= 0; infinity is z+")

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        return (Term(a, 1 + self.gamma * (layer.weight >= 0).to(a.dtype)),)
