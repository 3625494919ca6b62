"""The w² rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.rules.formula import Formula, ToKink
from dtd.rules.rule import Rule, Term


@dataclass(frozen=True)
class WSquared(Rule):
    """``v_j = w_j``: the nearest root of z_j on the whole space.

    Source: DTD, unconstrained input space and appendix (w² rule). In a hidden layer the root may be
    inadmissible (negative), and the relevance there need not be zero.
    """

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        return (Term(torch.ones_like(a), layer.weight),)

    def formula(self, layer: Layer, domain: Domain) -> Formula:
        return ToKink(layer.weight, torch.zeros_like(layer.weight), layer.weight)
