"""The closed-form root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer, Mask
from dtd.roots.contract import RootFinder, RootProblem, Roots, Status
from dtd.roots.location import Anywhere, OnKink
from dtd.rules.formula import Formula
from dtd.rules.rule import Rule, direction


@dataclass(frozen=True)
class ClosedForm(RootFinder):
    """``ã_j = a - t_j v_j`` with ``t_j = z_j(a) / (w_j v_j)``, differentiable in the anchor.

    Source: DTD, appendix, eq. 4; theory, section 3.1.
    """

    name: ClassVar[str] = "closed_form"
    needs_affine_layers: ClassVar[bool] = False

    def __call__(self, problem: RootProblem) -> Roots:
        a, layer, rule = problem.anchors, problem.layer, problem.rule
        terms = rule.terms(a, layer, problem.domain)
        z = layer.preactivation(a)
        inactive = z <= 0
        divisor = rule.divisor(terms, problem.domain)
        if divisor is None:
            degenerate = torch.zeros_like(inactive)
            step = torch.ones_like(z)
        else:
            degenerate = divisor.vanishes
            # The division is made where it is wanted only: no NaN reaches a gradient.
            wanted = ~(inactive | degenerate)
            step = torch.where(wanted, z, 0) / torch.where(wanted, divisor.value, 1)
        points = a.unsqueeze(1) - step.unsqueeze(-1) * direction(terms)
        on_kink = divisor is not None
        # The formula proves a zero of z_j; whether that is one of h_j is the problem's to say.
        reached = problem.zeros.found_anywhere if on_kink else Status.APPROXIMATE
        status = torch.full_like(z, reached, dtype=torch.int8)
        status.masked_fill_(degenerate, Status.DEGENERATE).masked_fill_(inactive, Status.INACTIVE)
        return Roots(
            points,
            status,
            OnKink() if on_kink else Anywhere(),
            certified=status == Status.FOUND,
            formula=True,
        )

    def evaluations(self, units: int) -> int:
        return 0

    def factor_mask(self, rule: Rule) -> Mask | None:
        return rule.factor_mask

    def formula(self, rule: Rule, layer: AnyLayer, domain: Domain) -> Formula | None:
        return rule.formula(layer, domain)

    def carries_factor(self, rule: Rule) -> bool:
        return rule.factor_mask is not None
