"""The first zero on the rule's ray, found piece by piece between the kinks of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from dtd.numerics.policy import policy
from dtd.ranges import COUNT, TOLERANCE
from dtd.roots.contract import RootFinder, RootProblem, Roots, Status
from dtd.roots.location import OnBoundary
from dtd.roots.moving_lines import MovingRay
from dtd.rules.rule import Divisor, Rule, direction, direction_of


@dataclass(frozen=True)
class LineSearch(RootFinder):
    """The first ``a - t v_j``, t > 0, where h_j no longer has the sign that it has at a.

    The kinks of the network on the ray are exact, and the ray is searched piece by piece: at
    ``samples`` points inside, closer together towards both ends, beside the ends and at them. So a
    zero where a unit dies is met whatever else happens on the way. A zero strictly inside a
    piece is bisected down to rounding; two of them closer than the samples may be missed. Where
    h_j jumps over zero the point is ``approximate``. The ray has no end: it may leave the domain,
    and for ``zero`` and ``pinv`` it goes on beyond the reference point at t = 1.

    Source: theory, section 4.2.
    """

    name: ClassVar[str] = "line"

    samples: int = 16
    tol: float = 1e-5

    def __post_init__(self) -> None:
        COUNT.check("samples", self.samples)
        TOLERANCE.check("tol", self.tol)

    @torch.no_grad()
    def __call__(self, problem: RootProblem) -> Roots:
        a, layer, rule = problem.anchors, problem.layer, problem.rule
        at_anchor = problem.relevance(a)
        terms = rule.terms(a, layer, problem.domain)
        v = direction(terms).expand(*at_anchor.shape, -1)
        anchor, unit = ((at_anchor != 0) & (v != 0).any(-1)).nonzero(as_tuple=True)
        rays = _Rays(problem, a[anchor], v[anchor, unit], unit, at_anchor[anchor, unit])
        positions, gap = self._search(rays)

        degenerate = Divisor(terms).vanishes | (v == 0).all(-1)
        status = torch.where(degenerate, Status.DEGENERATE, Status.NOT_FOUND).to(torch.int8)
        close = gap <= self.tol * at_anchor[anchor, unit].abs()
        reached = torch.where(close, Status.FOUND, Status.APPROXIMATE).to(torch.int8)
        hit = positions.isfinite()
        status[anchor[hit], unit[hit]] = reached[hit]
        status[at_anchor == 0] = Status.INACTIVE
        t = torch.zeros_like(at_anchor)
        t[anchor[hit], unit[hit]] = positions[hit]
        evaluations = torch.ones_like(status, dtype=torch.long)
        evaluations[anchor, unit] += rays.evaluations

        def moving(anchors: Tensor, units: Tensor) -> Tensor:
            return direction_of(rule.terms(anchors, layer, problem.domain), units)

        return Roots(
            a.unsqueeze(1) - t.unsqueeze(-1) * v,
            status,
            OnBoundary(),
            # The output itself has no kinks but the network's.
            certified=(status == Status.FOUND) & problem.regions.reaches_output,
            evaluations=evaluations,
            line=MovingRay(t, moving),
        )

    def evaluations(self, units: int) -> int:
        # As many pieces as units, as is usual; half of the zeros inside a piece.
        return 1 + units * (units * (self.samples + 3) + _BISECTIONS // 2)

    def carries_factor(self, rule: Rule) -> bool:
        # On the ray of a ⊙ m_j every root is a multiple of a, coordinate by coordinate.
        return rule.factor_mask is not None

    def _search(self, rays: _Rays) -> tuple[Tensor, Tensor]:
        """The position of each ray's first zero, infinite without one, and |h| just before it."""
        kinks, nodes = rays.kinks(), self._nodes(rays.scale)
        low, before = torch.zeros_like(rays.scale), torch.zeros_like(rays.scale)
        after, at_kink = torch.full_like(low, torch.inf), torch.zeros_like(low, dtype=torch.bool)
        rows = torch.arange(len(low), device=low.device)
        ends = (*kinks.unbind(1), torch.full_like(low, torch.inf))
        for high in rays.problem.track(ends, "pieces"):
            if not len(rows):
                break
            start, end = low[rows].unsqueeze(1), high[rows].unsqueeze(1)
            endless = rays.scale[rows].unsqueeze(1) * (nodes / (1 - nodes)).clamp(max=_FAR)
            t = torch.where(end.isfinite(), start + nodes * (end - start), start + endless)
            # At the kink itself the zero is not exact, and h may but touch it.
            slack = torch.where((nodes == 1) & end.isfinite(), rays.rounding[rows, None], 0)
            below = rays.signed_relevance(rows, t) <= slack
            hit = below.any(1)
            first = below.to(torch.int8).argmax(1, keepdim=True)
            tried = torch.cat([before[rows].unsqueeze(1), t], 1)
            before[rows] = torch.where(hit, tried.gather(1, first).squeeze(1), t[:, -1])
            after[rows[hit]] = t.gather(1, first).squeeze(1)[hit]
            at_kink[rows] = hit & (first.squeeze(1) == len(nodes) - 1)
            low[rows] = high[rows]
            rows = rows[~hit & high[rows].isfinite()]
        return self._refine(rays, before, after, at_kink)

    def _nodes(self, like: Tensor) -> Tensor:
        """Places in a piece from 0 to 1: just inside both ends, Chebyshev's between, the end."""
        inner = (
            torch.arange(self.samples, dtype=like.dtype, device=like.device) + 0.5
        ) / self.samples
        beside = like.new_tensor([policy(like.dtype).epsilon])
        inner = (1 - torch.cos(math.pi * inner)) / 2
        return torch.cat([beside, inner, 1 - beside, torch.ones_like(beside)])

    def _refine(
        self, rays: _Rays, before: Tensor, after: Tensor, at_kink: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The zero between two positions each, bisected where ``after`` is not a zero itself."""
        inside = (after.isfinite() & ~at_kink).nonzero().squeeze(1)
        for _ in rays.problem.track(range(_BISECTIONS if len(inside) else 0), "bisection"):
            middle = (before[inside] + after[inside]) / 2
            zero = rays.signed_relevance(inside, middle.unsqueeze(1)).squeeze(1) <= 0
            before[inside] = torch.where(zero, before[inside], middle)
            after[inside] = torch.where(zero, middle, after[inside])
        hit = after.isfinite().nonzero().squeeze(1)
        width = _ROUNDING * torch.finfo(after.dtype).eps
        just_before = torch.where(at_kink, (1 - width) * after, before)[hit].unsqueeze(1)
        gap = torch.zeros_like(before)
        gap[hit] = rays.signed_relevance(hit, just_before).squeeze(1).abs()
        return after, gap


_BISECTIONS = 52
"""Halvings of a piece to the spacing of float64."""
_ROUNDING = 16
"""The units in the last place by which a kink may be off."""
_FAR = 2.0**20
"""Where a ray counts as infinite, in lengths of its anchor."""


@dataclass(frozen=True, eq=False)
class _Rays:
    """N rays ``a - t v`` of the pairs (anchor, unit), and the relevance of the unit on them."""

    problem: RootProblem
    anchors: Tensor
    directions: Tensor
    unit: Tensor
    relevance: Tensor
    """(N,), h at the anchors."""
    evaluations: Tensor = field(init=False)
    """(N,), at how many points h was evaluated so far."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "evaluations", torch.zeros_like(self.unit))

    @property
    def scale(self) -> Tensor:
        """(N,), the step that is as long as the anchor, the yardstick beyond the last kink."""
        length = self.anchors.norm(dim=1)
        scale: Tensor = torch.where(length > 0, length, 1) / self.directions.norm(dim=1)
        return scale

    @property
    def rounding(self) -> Tensor:
        """(N,), what |h| may be at a kink where it vanishes."""
        return policy(self.relevance.dtype).tie * self.relevance.abs()

    def kinks(self) -> Tensor:
        """(N, K), in their order."""
        return self.problem.regions.kinks(self.anchors, -self.directions)

    def signed_relevance(self, rows: Tensor, positions: Tensor) -> Tensor:
        """h at the positions (n, S) of some rays, positive like the anchor's, (n, S)."""
        steps = positions.shape[1]
        self.evaluations.index_add_(0, rows, torch.full_like(rows, steps))
        along = positions.unsqueeze(2) * self.directions[rows].unsqueeze(1)
        points = self.anchors[rows].unsqueeze(1) - along
        relevance = self.problem.relevance(points.flatten(0, 1))
        own = self.unit[rows].repeat_interleave(steps).unsqueeze(1)
        signed = relevance.gather(1, own).view_as(positions)
        return signed * self.relevance[rows].sign().unsqueeze(1)
