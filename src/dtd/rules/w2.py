"""The w² rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer
from dtd.numerics.scale import size_of
from dtd.rules.formula import Formula, ToKink
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class WSquared(Rule):
    """``v_j = w_j``: the nearest root of z_j on the whole space.

    Source: DTD, unconstrained input space and appendix (w² rule). In a hidden layer the root may be
    inadmissible (negative), and the relevance there need not be zero.
    """

    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        return (Term.of(torch.ones_like(a), layer, _near_one),)

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula:
        nothing, ones = layer.mask(torch.zeros_like), torch.ones_like(domain.low)
        return ToKink(layer.balls, nothing, ((ones, layer.matrix),))


def _near_one(weight: Tensor) -> Tensor:
    """Weights (J, ...), each unit's divided by the same power of two.

    The length of a direction does not matter, and the square of a weight may leave the range.
    """
    rows = weight.flatten(1) if weight.dim() > 1 else weight
    return (rows / size_of(rows)).view_as(weight)
