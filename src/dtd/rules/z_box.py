"""The zB rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.rules.formula import Formula, ToKink
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class ZBox(Rule):
    """``v_j = a - low * 1[w_j > 0] - high * 1[w_j < 0]``: towards the corner that lowers z_j most.

    For the first layer, whose inputs lie in a box with low <= 0 <= high.

    Source: DTD, constrained input space and appendix (zB rule).
    """

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        positive, negative = layer.weight > 0, layer.weight < 0
        neither = ~(positive | negative)
        return (
            Term(a - domain.low, positive.to(a.dtype)),
            Term(a - domain.high, negative.to(a.dtype)),
            Term(a, neither.to(a.dtype)),
        )

    def formula(self, layer: Layer, domain: Domain) -> Formula:
        positive, negative = layer.weight > 0, layer.weight < 0
        offset = -domain.low * positive - domain.high * negative
        return ToKink(layer.weight, torch.ones_like(layer.weight), offset)

    def objection(self, domain: Domain, layer: int) -> str | None:
        if layer > 0:
            return "for the first layer only; allowed is input_rule=zB"
        if not domain.is_box:
            return "it needs inputs in a box; allowed is domain=dtd.Domain.box(low, high)"
        if not ((domain.low <= 0) & (domain.high >= 0)).all():
            return "the box of the inputs must hold the origin: low <= 0 <= high"
        return None
