"""The w² rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layer import AnyLayer
from dtd.rules.formula import Formula, ToKink
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class WSquared(Rule):
    """``v_j = w_j``: the nearest root of z_j on the whole space.

    Source: DTD, unconstrained input space and appendix (w² rule). In a hidden layer the root may be
    inadmissible (negative), and the relevance there need not be zero.
    """

    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        return (Term.of(torch.ones_like(a), layer, torch.clone),)

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula:
        nothing, ones = layer.mask(torch.zeros_like), torch.ones_like(domain.low)
        return ToKink(layer.balls, nothing, ((ones, layer.matrix),))
