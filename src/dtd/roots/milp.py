"""The nearest root of f over all linear regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.ranges import POSITIVE, TOLERANCE, check_choice
from dtd.roots.contract import Outcome, RootFinder, RootProblem, Roots, Solution, Status
from dtd.roots.location import OnKink
from dtd.roots.nearest import Target, nearest_zero
from dtd.roots.nearest.rays import rays_tried
from dtd.roots.nearest.search import Answer
from dtd.roots.nearest_point import LINEAR_METRICS


@dataclass(frozen=True)
class Milp(RootFinder):
    """The nearest admissible point with ``f <= 0``, by mixed-integer linear programming.

    One program for each anchor: the root is certified if the solver proves that none is nearer,
    up to the relative ``gap``, or that there is none. ``time_limit`` in seconds is for one
    program; what is known when it ends stands as it is, and depends on the machine.

    Source: V. Tjeng, K. Xiao, R. Tedrake, *Evaluating robustness of neural networks with mixed
    integer programming*, ICLR 2019; theory, section 4.7.
    """

    name: ClassVar[str] = "milp"

    metric: str = "l1"
    gap: float = 1e-4
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        check_choice("metric", self.metric, LINEAR_METRICS)
        TOLERANCE.check("gap", self.gap)
        POSITIVE.check("time_limit", self.time_limit)

    def __call__(self, problem: RootProblem) -> Roots:
        a = problem.anchors
        f = problem.relevance(a)
        programs = list(zip(self._targets(problem), f.flatten().tolist(), strict=True))
        answers = [
            nearest_zero(target, self.gap, self.time_limit, problem.track)
            if value > 0
            else _NOTHING
            for target, value in problem.track(programs, "programs")
        ]

        def column(name: str) -> Tensor:
            values = [getattr(answer, name) for answer in answers]
            return torch.tensor(values, dtype=torch.float64, device=f.device).view(f.shape).to(f)

        points = a.unsqueeze(1).repeat(1, f.shape[1], 1)
        for point, answer in zip(points.flatten(0, 1), answers, strict=True):
            if answer.point is not None:
                point.copy_(torch.from_numpy(answer.point))
        own = torch.arange(f.shape[1], device=a.device).repeat(len(a)).unsqueeze(1)
        residual = problem.relevance(points.flatten(0, 1)).gather(1, own).view_as(f)
        outcome, bound, gap = column("outcome").to(torch.int8), column("bound"), column("gap")
        status = torch.full_like(outcome, Status.FOUND)
        status[residual > policy(a.dtype).residual * f] = Status.APPROXIMATE
        status[gap.isnan()] = Status.NOT_FOUND
        status[outcome == Outcome.NOTHING] = Status.INACTIVE
        certified = (status == Status.FOUND) & (gap <= self.gap)
        certified |= (status == Status.NOT_FOUND) & bound.isinf()
        return Roots(
            points,
            status,
            OnKink(),
            certified,
            evaluations=rays_tried(a.shape[1]) + 2,
            solution=Solution(outcome, column("objective"), bound, gap),
        )

    def evaluations(self, units: int) -> int:
        # Not counting the rays, which do not need h: the network is at hand.
        return 1 + units

    def objection(self, depth: int) -> str | None:
        if depth == 1:
            return None
        return (
            "it decomposes f at once, not layer by layer; allowed are other searches, a "
            f"network of one layer, or the method simple_taylor with taylor_roots={self.name}"
        )

    def _targets(self, problem: RootProblem) -> Iterator[Target]:
        """One program for each anchor and unit, in this order."""
        regions = problem.regions
        if regions.upper != regions.network.depth:
            raise ValueError("milp decomposes f alone, not the relevance of a hidden layer")
        upper = Network(regions.network.layers[regions.start :])
        networks = [upper.explaining(unit) for unit in regions.own.tolist()]
        low, high = (
            end.double().cpu().numpy() for end in (problem.domain.low, problem.domain.high)
        )
        for x in problem.anchors.double().cpu().numpy():
            for network in networks:
                yield Target(network, x, low, high, LINEAR_METRICS[self.metric])


_NOTHING = Answer(Outcome.NOTHING, None, np.inf, np.nan)
