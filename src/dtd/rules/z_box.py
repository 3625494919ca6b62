"""The zB rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer
from dtd.rules.formula import Formula, ToKink
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class ZBox(Rule):
    """``v_j = a - low * 1[w_j > 0] - high * 1[w_j < 0]``: towards the corner that lowers z_j most.

    For the first layer, whose inputs lie in a box with low <= 0 <= high.

    Source: DTD, constrained input space and appendix (zB rule).
    """

    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        return (
            Term.of(a - domain.low, layer, _positive),
            Term.of(a - domain.high, layer, _negative),
            Term.of(a, layer, _neither),
        )

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula:
        corner = (-domain.low, layer.mask(_positive)), (-domain.high, layer.mask(_negative))
        return ToKink(layer.balls, layer.mask(torch.ones_like), corner)

    def objection(self, domain: Domain, layer: int) -> str | None:
        if layer > 0:
            return "for the first layer only; allowed is input_rule=zB"
        if not domain.is_box:
            return "it needs inputs in a box; allowed is domain=dtd.Domain.box(low, high)"
        if not ((domain.low <= 0) & (domain.high >= 0)).all():
            return "the box of the inputs must hold the origin: low <= 0 <= high"
        return None


def _positive(weight: Tensor) -> Tensor:
    return (weight > 0).to(weight.dtype)


def _negative(weight: Tensor) -> Tensor:
    return (weight < 0).to(weight.dtype)


def _neither(weight: Tensor) -> Tensor:
    return (weight == 0).to(weight.dtype)
