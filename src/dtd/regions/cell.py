"""The part of a linear region that is admissible: a convex cell around each anchor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.regions.region import Polytope


@dataclass(frozen=True, eq=False)
class Cell:
    """The closed regions of B anchors, within bounds of shape (B, 1, d)."""

    region: Polytope
    bounds: Domain

    def contains(self, points: Tensor) -> Tensor:
        """Whether the points (B, C, d) lie in the cell of their anchor, (B, C)."""
        return (self._slack(points) >= 0).all(2) & self.bounds.contains(points)

    def chord(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """How far lines through points of the cell stay in it, backwards and forwards, (B, C).

        Lines ``p + t u``, both (B, C, d), stay for ``-backwards <= t <= forwards``.
        """
        slack = self._slack(points).clamp(min=0)
        rate = directions @ self.region.normals.mT
        # 0/0 for a line that lies in a facet, and does not leave there.
        time = slack / rate.abs()
        backwards, forwards = (
            torch.where(leaving, time, torch.inf) for leaving in (rate > 0, rate < 0)
        )
        return (
            _nearest(backwards, self.bounds.exits(points, -directions)),
            _nearest(forwards, self.bounds.exits(points, directions)),
        )

    def _slack(self, points: Tensor) -> Tensor:
        """``G p + c``, shape (B, C, M)."""
        return torch.baddbmm(self.region.offsets.unsqueeze(1), points, self.region.normals.mT)


def _nearest(facets: Tensor, bounds: Tensor) -> Tensor:
    """The first of the exits (B, C, M) and (B, C); a network without a ReLU has M = 0."""
    return torch.cat([facets, bounds.unsqueeze(2)], 2).amin(2)
