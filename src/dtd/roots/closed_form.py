"""The closed-form root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from dtd.numerics.policy import policy
from dtd.roots.contract import Place, RootFinder, RootProblem, Roots, Status
from dtd.rules.rule import direction, projection, projection_size


@dataclass(frozen=True)
class ClosedForm(RootFinder):
    """``ã_j = a - t_j v_j`` with ``t_j = z_j(a) / (w_j v_j)``, differentiable in the anchor.

    Source: DTD, appendix, eq. 4; theory, section 3.
    """

    name: ClassVar[str] = "closed_form"
    follows_rule: ClassVar[bool] = True

    def __call__(self, problem: RootProblem) -> Roots:
        a, layer, rule = problem.anchors, problem.layer, problem.rule
        terms = rule.terms(a, layer, problem.domain)
        z = layer.preactivation(a)
        inactive = z <= 0
        if rule.meets_hinge:
            total = projection(terms, layer)
            threshold = policy(a.dtype).degenerate * projection_size(terms, layer)
            degenerate = total.abs() <= threshold
            # The division is made where it is wanted only: no NaN reaches a gradient.
            wanted = ~(inactive | degenerate)
            step = torch.where(wanted, z, 0) / torch.where(wanted, total, 1)
        else:
            degenerate = torch.zeros_like(inactive)
            step = torch.ones_like(z)
        points = a.unsqueeze(1) - step.unsqueeze(-1) * direction(terms)
        # The formula proves a zero of z_j; whether that is one of h_j is the problem's to say.
        exact = rule.meets_hinge and problem.zero_at_hinge and not problem.local
        reached = Status.FOUND if exact else Status.APPROXIMATE
        status = torch.full_like(z, reached, dtype=torch.int8)
        status[degenerate] = Status.DEGENERATE
        status[inactive] = Status.INACTIVE
        place = Place.HINGE if rule.meets_hinge else Place.REFERENCE
        return Roots(points, status, place, certified=status == Status.FOUND)

    def evaluations(self, units: int) -> int:
        return 0
