"""The search of the seed notebook: random candidates, then a scan of the line to the anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dtd.ranges import COUNT, POSITIVE, TOLERANCE, Range, check_flag
from dtd.roots.contract import RootFinder, RootProblem, Roots, Scan, Status
from dtd.roots.location import OnBoundary
from dtd.roots.moving_lines import MovingSegments


@dataclass(frozen=True)
class RandomSearch(RootFinder):
    """The last point with ``h_j <= tol |h_j(a)|`` on the way from the best candidate to a.

    Candidates are ``a + sigma * randn``, shared by the units; the best has the smallest |h_j|.
    The scan has ``steps`` equidistant points, both ends included. ``refine`` bisects between the
    root and the next point, down to rounding, for the boundary of the zero set. Where h_j(a) is
    negative the search is for the zero of -h_j.

    Source: the seed notebook; theory, section 4.3.
    """

    name: ClassVar[str] = "random"
    needs_affine_layers: ClassVar[bool] = False

    candidates: int = 1000
    sigma: float = 1.0
    steps: int = 100
    tol: float = 1e-5
    refine: bool = True

    def __post_init__(self) -> None:
        COUNT.check("candidates", self.candidates)
        POSITIVE.check("sigma", self.sigma)
        Range(2, integer=True).check("steps", self.steps)
        TOLERANCE.check("tol", self.tol)
        check_flag("refine", self.refine)

    @torch.no_grad()
    def __call__(self, problem: RootProblem) -> Roots:
        a = problem.anchors
        at_anchor = problem.relevance(a)
        far_ends = self._best_candidates(problem)
        scan = torch.linspace(0, 1, self.steps, dtype=a.dtype, device=a.device)
        line = _Line(problem, far_ends, at_anchor.sign())
        scan = scan.expand(*at_anchor.shape, -1)
        signed = line.signed_relevance(scan)
        below = signed <= (self.tol * at_anchor.abs()).unsqueeze(-1)
        last = _last(below).clamp(min=0)
        positions = scan.gather(-1, last).squeeze(-1)
        if self.refine:
            # A point within the tolerance may lie just beyond the zero set: step back into it.
            index = torch.arange(self.steps, device=a.device)
            zero = _last((signed <= 0) & (index <= last))
            inside = torch.where(zero > _last(~below & (index <= last)), zero, last)
            outside = (inside + 1).clamp(max=self.steps - 1)
            ends = (scan.gather(-1, end).squeeze(-1) for end in (inside, outside))
            positions = self._bisect(line, *ends)
        status = torch.full_like(at_anchor, Status.FOUND, dtype=torch.int8)
        residual = line.signed_relevance(positions.unsqueeze(-1)).squeeze(-1)
        status[residual.abs() > self.tol * at_anchor.abs()] = Status.APPROXIMATE
        status[~below.any(-1)] = Status.NOT_FOUND
        status[at_anchor == 0] = Status.INACTIVE
        seen = signed * at_anchor.sign().unsqueeze(-1)
        return Roots(
            line.points(positions.unsqueeze(-1)).squeeze(2),
            status,
            OnBoundary(),
            certified=torch.zeros_like(status, dtype=torch.bool),
            evaluations=self.evaluations(1),
            line=MovingSegments(positions, far_ends),
            scan=Scan(scan, seen, positions),
        )

    def evaluations(self, units: int) -> int:
        bisections = _BISECTIONS if self.refine else 0
        return 1 + self.candidates + units * (self.steps + bisections + 1)

    def _best_candidates(self, problem: RootProblem) -> Tensor:
        """For each unit the candidate with the smallest |h_j|, shape (B, J, d)."""
        a = problem.anchors
        offsets = self.sigma * problem.draw_normal(self.candidates, a.shape[1])
        candidates = a.unsqueeze(1) + offsets
        relevance = problem.relevance(candidates.flatten(0, 1)).unflatten(0, candidates.shape[:2])
        best = relevance.abs().argmin(1)
        return candidates.gather(1, best.unsqueeze(-1).expand(-1, -1, a.shape[1]))

    def _bisect(self, line: _Line, inside: Tensor, outside: Tensor) -> Tensor:
        """The last position with ``h_j <= 0`` between two, found down to rounding."""
        for _ in line.problem.track(range(_BISECTIONS), "bisection"):
            middle = (inside + outside) / 2
            zero = line.signed_relevance(middle.unsqueeze(-1)).squeeze(-1) <= 0
            inside = torch.where(zero, middle, inside)
            outside = torch.where(zero, outside, middle)
        return inside


def _last(condition: Tensor) -> Tensor:
    """The last index of the final dimension where the condition holds, -1 if nowhere, (..., 1)."""
    index = torch.arange(condition.shape[-1], device=condition.device)
    return torch.where(condition, index, -1).amax(-1, keepdim=True)


_BISECTIONS = 52
"""Halvings from the first interval to the spacing of float64."""


@dataclass(frozen=True, eq=False)
class _Line:
    """Segments from the far ends (B, J, d) to the anchors."""

    problem: RootProblem
    far_ends: Tensor
    sign: Tensor
    """(B, J), the sign of h_j at the anchor."""

    def points(self, positions: Tensor) -> Tensor:
        """Points (B, J, S, d) for positions (B, J, S)."""
        far = self.far_ends.unsqueeze(2)
        return far + positions.unsqueeze(-1) * (self.problem.anchors[:, None, None] - far)

    def signed_relevance(self, positions: Tensor) -> Tensor:
        """Each unit's own relevance, positive like the anchor's, shape (B, J, S)."""
        _, units, steps = positions.shape
        relevance = self.problem.relevance(self.points(positions).flatten(0, 2))
        own = torch.arange(units, device=positions.device).repeat_interleave(steps)
        own = own.repeat(len(positions)).unsqueeze(1)
        return relevance.gather(1, own).view_as(positions) * self.sign.unsqueeze(-1)
