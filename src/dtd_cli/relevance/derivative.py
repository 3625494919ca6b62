"""The one-sided derivative of a relevance function at its roots, by automatic differentiation.

The general path: it asks nothing of the rules. A limit inside another limit is checked from
further away (theory, section 2; docs/theory.md says where this can fail).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd_cli.networks.mlp import MLP
from dtd_cli.numerics import Policy, policy
from dtd_cli.relevance.one_sided import Above, Evaluation, nudged, one_sided
from dtd_cli.relevance.series import differentiable
from dtd_cli.roots.contract import Place

Value = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(points (N, d), open gates (N, J), units (N,)) -> h_unit (N,), limit (N,)``, differentiable;
``limit`` says whether a one-sided limit was taken at a root above."""


class Derivative(NamedTuple):
    """Value and one-sided slope of ``h_unit`` at N roots, and where they were taken."""

    value: Tensor
    """(N,), on the branch of the anchor."""
    slope: Tensor
    """(N, d)."""
    limit: Tensor
    """(N,), whether the one-sided limit was taken, at the root or above it."""
    step: Tensor
    """(N,), how far from the root towards its anchor, 0 for none."""
    open_gates: Tensor
    """(N, J), which gates were held open."""

    def rows(self, index: Tensor) -> Derivative:
        """Some of the derivatives."""
        return Derivative(*(column[index] for column in self))

    def replaced(self, index: Tensor, others: Derivative) -> Derivative:
        """These derivatives, but for some."""
        pairs = zip(self, others, strict=True)
        return Derivative(*(mine.index_copy(0, index, other) for mine, other in pairs))


@dataclass(frozen=True, eq=False)
class OneSided:
    """The relevance functions of layer ``start + 1`` as ones to be differentiated.

    ``network`` has one output; ``above`` says how the layer above is decomposed, None where it is
    the output; ``steps`` has the nudges.
    """

    network: MLP
    start: int
    above: Above | None
    steps: Policy
    value: Value

    def derivative(self, anchors: Tensor, roots: Tensor, unit: Tensor, place: Place) -> Derivative:
        """At the roots (N, d) of the units (N,), on the branches of the anchors (N, d)."""
        at = one_sided(
            self.network, self.start, anchors, roots, unit, place, self.above, self.steps
        )
        here = self._differentiate(at, unit)
        # A limit was taken at a root above, which may lie on other kinks on the way to the
        # anchor: then the slope near the root is another.
        doubtful = here.limit.nonzero().squeeze(1)
        here = here._replace(
            value=_extrapolated(here, at.points, roots), limit=here.limit | at.limit
        )
        if not len(doubtful):
            return here
        near = self._approached(anchors, roots, unit, doubtful, self.steps.outer)
        moved = ~_same(here.slope[doubtful], near.slope)
        if not moved.any():
            return here
        # The inner limit comes first: a step beside which its own is small is the judge.
        # Of the two slopes the one closer to it is right.
        doubtful, near = doubtful[moved], near.rows(moved)
        judge = self._approached(anchors, roots, unit, doubtful, self.steps.judge)
        gap = (near.slope - judge.slope).norm(dim=1)
        nearer = gap < (here.slope[doubtful] - judge.slope).norm(dim=1)
        return here.replaced(doubtful[nearer], near.rows(nearer))

    def _approached(
        self, anchors: Tensor, roots: Tensor, unit: Tensor, rows: Tensor, step: float
    ) -> Derivative:
        """Value and slope at some of the roots (N, d), from points a step towards their anchors."""
        roots, unit = roots[rows], unit[rows]
        points = nudged(anchors[rows], roots, step)
        width = self.network.widths[self.start + 1]
        closed = torch.zeros(len(unit), width, dtype=torch.bool, device=unit.device)
        at = Evaluation(points, closed, torch.full_like(points[:, 0], step))
        there = self._differentiate(at, unit)
        return there._replace(value=_extrapolated(there, points, roots), limit=at.limit)

    def _differentiate(self, at: Evaluation, unit: Tensor) -> Derivative:
        """Value and slope of ``h_unit`` at points (N, d), with the given gates held open."""
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            points = differentiable(at.points)
            value, limit = self.value(points, at.open_gates, unit)
            (slope,) = torch.autograd.grad(
                value.sum(), points, create_graph=keep, materialize_grads=True
            )
        value = value if keep else value.detach()
        return Derivative(value, slope, limit, at.step, at.open_gates)


def _extrapolated(there: Derivative, points: Tensor, roots: Tensor) -> Tensor:
    """h at the roots, along the branch on which it was differentiated nearby, (N,)."""
    return there.value - (there.slope * (points - roots)).sum(1)


def _same(first: Tensor, second: Tensor) -> Tensor:
    """Whether two slopes (N, d) are of one branch, but for its curvature."""
    gap: Tensor = (first - second).norm(dim=1)
    size: Tensor = first.norm(dim=1) + second.norm(dim=1)
    return gap <= policy(first.dtype).jump * size
