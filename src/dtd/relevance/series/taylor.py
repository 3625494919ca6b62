"""``degree=K``: each ``h_j`` expanded to degree K (theory, section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import torch
from torch import Tensor

from dtd.numerics.gradients import slopes
from dtd.relevance.series.series import GROWTH, Segments, Series, Shares


@dataclass(frozen=True)
class Taylor(Series):
    """Unit i receives ``Σ_k Δ_i ∂T_k/∂Δ_i / k``, with ``T_k(Δ) = D^k h_j[Δ, ..., Δ] / k!``.

    ``T_k`` is homogeneous of degree k, so that by Euler's identity the shares of degree k,
    ``Δ_i ∂_i D^(k-1) h_j[Δ, ..., Δ] / k!``, add up to it. Each degree is the gradient of a
    directional derivative of the one before: no tensor of derivatives is ever made.
    """

    highest: int

    @property
    def degree(self) -> int:
        return self.highest

    def shares(self, segments: Segments, graph: bool) -> Shares:
        delta = segments.delta
        last = 1 if segments.affine else self.highest
        shares: list[Tensor] = []

        def along(points: Tensor, k: int) -> Tensor:
            """``D^k h[Δ, ..., Δ]`` (M,); the shares of the degrees up to k are noted."""
            if k == 0:
                return segments.value_at(points)
            deeper = graph or k < last
            terms = slopes(lambda at: along(at, k - 1), points, deeper) * delta
            shares.append(terms / factorial(k))
            return terms.sum(1)

        along(segments.points, last)
        shares += [torch.zeros_like(delta)] * (self.highest - last)
        stacked = torch.stack(shares, 1)
        exact = torch.full_like(delta[:, 0], torch.nan)
        return Shares(stacked if graph else stacked.detach(), exact)

    def points(self) -> int:
        return self.highest

    def cost(self) -> int:
        # Beyond this nothing ends.
        return int(GROWTH ** min(self.highest, 1000))
