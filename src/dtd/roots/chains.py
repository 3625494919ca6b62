"""Markov chains in the linear region of each anchor, and the best of their states."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.ranges import COUNT, POSITIVE, TOLERANCE, Range
from dtd.regions.cell import Cell
from dtd.roots.candidates import best_candidates
from dtd.roots.contract import Chains, RootFinder, RootProblem, Roots
from dtd.roots.location import Anywhere


@dataclass(frozen=True)
class ChainSearch(RootFinder):
    """The state with the smallest |h_j|, of chains that are uniform in the anchor's cell.

    The cell is the anchor's linear region, within its domain and the cube
    ``|p_i - a_i| <= radius max |a|``, without which regions that never end had no uniform
    distribution. Proposals outside are rejected; no state is moved into the cell.

    A chain starts in the middle of a random ray from the anchor into the domain, for the anchor
    itself may lie on many facets, where nearly all proposals leave. Random numbers are shared by
    the anchors. The root is constant: ∂ã/∂a = 0.
    """

    chains: int = 4
    steps: int = 25
    warmup: int = 25
    radius: float = 2.0
    tol: float = 1e-5

    def __post_init__(self) -> None:
        COUNT.check("chains", self.chains)
        COUNT.check("steps", self.steps)
        Range(0, integer=True).check("warmup", self.warmup)
        POSITIVE.check("radius", self.radius)
        TOLERANCE.check("tol", self.tol)

    @torch.no_grad()
    def __call__(self, problem: RootProblem) -> Roots:
        chains = self.sample(problem)
        states = chains.states.flatten(1, 2)
        usable = torch.ones_like(states[..., 0], dtype=torch.bool)
        roots = best_candidates(problem, states, usable, self.tol, Anywhere())
        return replace(roots, chains=chains)

    def evaluations(self, units: int) -> int:
        return 1 + self.chains * self.steps

    @torch.no_grad()
    def sample(self, problem: RootProblem) -> Chains:
        """The chains of all anchors."""
        a = problem.anchors
        cell = _cell(problem, self.radius)
        free = cell.bounds.high > cell.bounds.low
        drawn = problem.draw_normal(1 + self.warmup + self.steps, self.chains, a.shape[1] + 1)
        directions, positions = drawn[..., :-1], torch.special.ndtr(drawn[..., -1])
        state = _starts(cell, a, directions[0])
        scale = self.first_scale((state - a.unsqueeze(1)).square().mean(2).sqrt())
        accepted = torch.zeros_like(state[..., 0])
        states = []
        for step in problem.track(range(1, len(drawn)), "steps"):
            moves = torch.where(free, directions[step], 0)
            proposal = self.propose(cell, state, scale, moves, positions[step])
            inside = cell.contains(proposal)
            state = torch.where(inside.unsqueeze(2), proposal, state)
            if step <= self.warmup:
                scale = self.adapted(scale, inside, step)
            else:
                accepted += inside
                states.append(state)
        return Chains(
            torch.stack(states, 2),
            accepted / self.steps,
            scale,
            self.warmup,
        )

    @abstractmethod
    def propose(
        self, cell: Cell, states: Tensor, scale: Tensor, moves: Tensor, positions: Tensor
    ) -> Tensor:
        """Proposals (B, C, d) that leave the uniform distribution in the cell as it is.

        Args:
            cell: where the chains live.
            states: (B, C, d).
            scale: (B, C).
            moves: standard normal numbers (B, C, d), 0 where the cell has no width.
            positions: uniform numbers (C,) between 0 and 1.
        """

    def first_scale(self, spread: Tensor) -> Tensor:
        """The scale (B, C) at first, NaN if there is none; ``spread`` (B, C) is that of the starts:
        the root mean square of the coordinates of the way from the anchor."""
        return torch.full_like(spread, torch.nan)

    def adapted(self, scale: Tensor, accepted: Tensor, step: int) -> Tensor:
        """The scale (B, C) after a step of the warm-up; steps count from 1."""
        return scale


def _cell(problem: RootProblem, radius: float) -> Cell:
    a = problem.anchors.unsqueeze(1)
    size = a.abs().amax(2, keepdim=True)
    # The origin has no size of its own.
    reach = radius * torch.where(size > 0, size, 1)
    bounds = problem.domain.within(a - reach, a + reach)
    return Cell(problem.regions.polytope(problem.anchors), bounds)


def _starts(cell: Cell, a: Tensor, directions: Tensor) -> Tensor:
    """Points (B, C, d) inside the cells, each in the middle of a ray from its anchor."""
    origin = a.unsqueeze(1)
    rays = cell.bounds.inward(origin, directions)
    _, forwards = cell.chord(origin.expand_as(rays), rays)
    # A cell of a single point has no ray, and infinite exits.
    reach = torch.where(forwards.isfinite(), forwards / 2, 0)
    return origin + reach.unsqueeze(2) * rays
