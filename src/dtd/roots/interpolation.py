"""Random rays to the edge of the anchor's linear region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dtd.numerics.policy import safe_divide
from dtd.ranges import COUNT, TOLERANCE
from dtd.roots.candidates import best_candidates
from dtd.roots.contract import RootFinder, RootProblem, Roots
from dtd.roots.location import OnBoundary


@dataclass(frozen=True)
class Interpolation(RootFinder):
    """The edge point with the smallest |h_j|, of rays from the anchor in random directions.

    A ray ends where it leaves the anchor's linear region or the domain: the network is affine on
    the way, so the exit is a minimum of ratios and exact. Directions are uniform among those that
    do not leave the domain at once, and shared by the units. A ray that never leaves has no edge
    point. The root is constant: ∂ã/∂a = 0.

    Source: RS (roots inside the linear region); theory, section 4.5.
    """

    name: ClassVar[str] = "interpolation"

    directions: int = 100
    tol: float = 1e-5

    def __post_init__(self) -> None:
        COUNT.check("directions", self.directions)
        TOLERANCE.check("tol", self.tol)

    @torch.no_grad()
    def __call__(self, problem: RootProblem) -> Roots:
        points, usable = self.edge_points(problem)
        # A kink on most edges, of any unit: the side of the anchor counts there.
        return best_candidates(problem, points, usable, self.tol, OnBoundary())

    def evaluations(self, units: int) -> int:
        return 1 + self.directions

    @torch.no_grad()
    def edge_points(self, problem: RootProblem) -> tuple[Tensor, Tensor]:
        """Where the rays end, (B, N, d), and whether they do, (B, N)."""
        a, domain = problem.anchors, problem.domain
        origin = a.unsqueeze(1)
        rays = domain.inward(origin, problem.draw_normal(self.directions, a.shape[1]))
        rays = safe_divide(rays, rays.norm(dim=2, keepdim=True))
        exits = torch.minimum(problem.regions.exits(a, rays), domain.exits(origin, rays))
        ends = exits.isfinite()
        points = origin + torch.where(ends, exits, 0).unsqueeze(2) * rays
        # Rounding may put a point on the boundary of the domain just outside.
        return points.clamp(domain.low, domain.high), ends
