"""``degree=K``: each ``h_j`` expanded to degree K (theory, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.relevance.one_sided.derivative import differentiable
from dtd.relevance.series.series import Branches, Series


@dataclass(frozen=True)
class Taylor(Series):
    """Unit i receives ``Σ_k Δ_i ∂T_k/∂Δ_i / k``, with ``T_k(Δ) = D^k h_j[Δ, ..., Δ] / k!``.

    ``T_k`` is homogeneous of degree k, so that by Euler's identity the shares of degree k,
    ``Δ_i ∂_i D^(k-1) h_j[Δ, ..., Δ] / k!``, add up to it. Each degree is the gradient of a
    directional derivative of the one before: no tensor of derivatives is ever made.
    """

    highest: int
    at_roots = True

    def shares(self, branches: Branches) -> Tensor:
        keep = torch.is_grad_enabled()
        last = 1 if branches.affine else self.highest
        delta = branches.delta[branches.approach.row]
        shares = []
        with torch.enable_grad():
            # A tensor of its own: Δ depends on the roots, and is constant here.
            points = differentiable(branches.points)
            along = branches.value_at(points)
            factorial = 1
            for k in range(1, last + 1):
                factorial *= k
                (slope,) = torch.autograd.grad(
                    along.sum(), points, create_graph=keep or k < last, materialize_grads=True
                )
                terms = slope * delta
                shares.append(terms / factorial)
                along = terms.sum(1)
        shares += [torch.zeros_like(delta)] * (self.highest - last)
        total = branches.approach.total(torch.stack(shares, 1), len(branches.unit))
        return total if keep else total.detach()

    def points(self) -> int:
        return self.highest
