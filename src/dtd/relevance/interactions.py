"""Interactions: the degree-2 term of the expansions as a matrix (theory, section 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from dtd.relevance.one_sided.derivative import differentiable
from dtd.relevance.recursion import Recursion
from dtd.relevance.series.series import Branches
from dtd.roots.contract import Roots


@torch.no_grad()
def interactions(recursion: Recursion, start: int, a: Tensor, roots: Roots) -> Tensor:
    """``½ Σ_j Δ_i ∂_i ∂_k h_j(ã_j) Δ_k`` at the anchors ``a`` (B, d), shape (B, d, d).

    Symmetric; its rows add up to the shares of degree 2.
    """
    matrices = a.new_zeros(*a.shape, a.shape[1])
    pairs = (index.split(recursion.together(start)) for index in roots.contributing)
    for anchor, unit in zip(*pairs, strict=True):
        branches = recursion.branches(start, a, roots, anchor, unit)
        if not branches.affine:
            _add(matrices, anchor, branches)
    return matrices


def _add(matrices: Tensor, anchor: Tensor, branches: Branches) -> None:
    """Add the matrices of N pairs to those of their anchors, row by row: never (N, d, d)."""
    row, _, weight, _ = branches.approach
    anchor, delta = anchor[row], branches.delta[row]
    weighted = weight.unsqueeze(1) * delta / 2
    with torch.enable_grad():
        points = differentiable(branches.points)
        value = branches.value_at(points)
        (slope,) = torch.autograd.grad(
            value.sum(), points, create_graph=True, materialize_grads=True
        )
        for i, component in enumerate(slope.unbind(1) if slope.requires_grad else ()):
            (second,) = torch.autograd.grad(
                component.sum(), points, retain_graph=True, materialize_grads=True
            )
            matrices[:, i].index_add_(0, anchor, delta[:, i, None] * second * weighted)
