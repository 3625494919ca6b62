"""The certified search: the nearest root in the anchor's own linear region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dtd.numerics.policy import policy
from dtd.ranges import POSITIVE, check_choice
from dtd.regions.gates import closed_passage, passage
from dtd.roots.contract import RootFinder, RootProblem, Roots, Status
from dtd.roots.location import OnKink
from dtd.roots.nearest_point import METRICS, Array, Metric, Nearest, nearest_point


@dataclass(frozen=True)
class PolytopeSearch(RootFinder):
    """The nearest admissible point of the anchor's closed region with ``z_j = 0``, or none.

    The closed region is a polytope, the domain a box, and z_j affine in the region, so the
    nearest point by ``metric`` (l2, l1 or linf) solves a small convex problem. The answer is
    certified where duality proves that no such point is nearer, or that there is none, and where
    the network itself confirms that the point lies in the region. What is not decided within
    ``time_limit`` seconds for a unit, or is lost in rounding, is not certified.

    Where a zero of z_j need not be one of h_j, the roots are ``approximate`` until their residual
    is measured.

    Roots are constants to the derivatives of the recursion: ``∂ã/∂a = 0``.

    Source: theory, section 4.6.
    """

    name: ClassVar[str] = "polytope"

    metric: str = "l2"
    time_limit: float = 1.0

    def __post_init__(self) -> None:
        check_choice("metric", self.metric, METRICS)
        POSITIVE.check("time_limit", self.time_limit)

    @torch.no_grad()
    def __call__(self, problem: RootProblem) -> Roots:
        a, domain = problem.anchors, problem.domain
        programs = _Programs.of(problem, METRICS[self.metric])
        active = programs.values > 0
        steps = np.zeros((*active.shape, a.shape[1]))
        reached, proven = np.zeros_like(active), np.zeros_like(active)
        for anchor, unit in problem.track(np.argwhere(active).tolist(), "programs"):
            point, proven[anchor, unit] = programs.solve(anchor, unit, self.time_limit)
            if point is not None:
                reached[anchor, unit], steps[anchor, unit] = True, point
        points = a.unsqueeze(1) + torch.from_numpy(steps).to(a)
        points = points.clamp(domain.low, domain.high)
        is_found, inactive, certified = (
            torch.from_numpy(flags).to(a.device) for flags in (reached, ~active, proven)
        )
        status = torch.full_like(is_found, Status.NOT_FOUND, dtype=torch.int8)
        status[is_found] = problem.zeros.found_in_region
        status[inactive] = Status.INACTIVE
        certified &= ~is_found | _in_region(problem, points)
        return Roots(points, status, OnKink(), certified)

    def evaluations(self, units: int) -> int:
        return 0


def _in_region(problem: RootProblem, points: Tensor) -> Tensor:
    """Whether the network sees the points (B, J, d) on their kinks, in the closed region, (B, J).

    By the gates of every unit: of all but the point's own they are the anchor's, its own is a tie.
    """
    regions, a = problem.regions, problem.anchors
    units = points.shape[1]
    network, start = regions.network, regions.start
    anchor = torch.arange(len(a), device=a.device).repeat_interleave(units)
    at_anchor = passage(network, start, a).rows(anchor)
    there = closed_passage(network, start, points.flatten(0, 1), at_anchor)
    own = torch.arange(units, device=a.device).repeat(len(a))
    same = regions.same(there.gates, at_anchor.gates, own)
    below = regions.upper - 1 - start
    layer = network.layers[regions.upper - 1]
    size = at_anchor.sizes[below][:, regions.own]
    z = layer.preactivation(there.activations[below])[:, regions.own]
    tie = (z.abs() <= policy(z.dtype).tie * size).gather(1, own.unsqueeze(1)).squeeze(1)
    return (same & tie).view(len(a), units)


@dataclass(frozen=True, eq=False)
class _Programs:
    """The nearest-point problems of all anchors and units, in coordinates around the anchors.

    ``normals`` (B, M, d) have length 1 or 0, ``slack`` (B, M) are the anchors' distances from
    their planes, infinite where there is no bound; ``planes`` (J,) are the rows in which the
    decomposed units are zero, and ``values`` (B, J) the distances from those. ``low`` and
    ``high`` (B, d) are the ends of the domain.
    """

    metric: Metric
    normals: Array
    slack: Array
    planes: Array
    values: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, problem: RootProblem, metric: Metric) -> _Programs:
        """The programs of a search."""
        a, regions = problem.anchors, problem.regions
        polytope = regions.polytope(a)
        # The anchor is in its closed region, also where rounding sees it outside.
        slack = (polytope.normals @ a.unsqueeze(2)).squeeze(2) + polytope.offsets
        normals, slack, planes = polytope.normals, slack.clamp(min=0), regions.own_rows
        layer = regions.network.layers[regions.upper - 1]
        z = layer.preactivation(regions.network.forward(a, regions.start, regions.upper - 1))
        if not layer.relu:
            kinks = polytope.kink_normals
            planes = normals.shape[1] + torch.arange(kinks.shape[1], device=a.device)
            normals = torch.cat([normals, kinks], 1)
            slack = torch.cat([slack, torch.full_like(kinks[..., 0], torch.inf)], 1)
        length = normals.norm(dim=2)
        unit = torch.where(length > 0, length, 1)
        return cls(
            metric,
            normals=_numpy(normals / unit.unsqueeze(2)),
            slack=_numpy(torch.where(length > 0, slack / unit, torch.inf)),
            planes=planes.cpu().numpy(),
            values=_numpy(z[:, regions.own] / unit[:, planes]),
            low=_numpy(problem.domain.low - a),
            high=_numpy(problem.domain.high - a),
        )

    def solve(self, anchor: int, unit: int, time_limit: float) -> Nearest:
        """The nearest point, around the anchor.

        The solver works in units of the distance to the kink, the least that the answer can be.
        So its tolerances are relative, however small the anchor.
        """
        rows, plane = self.normals[anchor], self.planes[unit]
        dual = self.metric.dual_norm(rows[plane])
        if dual == 0:
            return Nearest(None, proven=True)  # z_j is constant in the region.
        distance = self.values[anchor, unit] / dual
        low = np.concatenate([self.low[anchor], -self.slack[anchor]]) / distance
        high = np.concatenate([self.high[anchor], np.full(len(rows), np.inf)]) / distance
        row = len(high) - len(rows) + plane
        low[row] = high[row] = -dual
        nearest = nearest_point(rows, low, high, self.metric, time_limit)
        if nearest.point is None:
            return nearest
        return nearest._replace(point=distance * nearest.point)


def _numpy(values: Tensor) -> Array:
    return values.double().cpu().numpy()
