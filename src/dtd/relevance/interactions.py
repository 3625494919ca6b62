"""Interactions: the degree-2 term of the expansions as a matrix (theory, section 5.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from dtd.numerics.gradients import hessian_rows
from dtd.numerics.policy import policy
from dtd.relevance.limits.limits import Way
from dtd.relevance.recursion import Recursion
from dtd.relevance.slopes.slope import Pairs
from dtd.relevance.slopes.stencil import Stencil
from dtd.roots.contract import Roots


def interactions(recursion: Recursion, l: int, a: Tensor, roots: Roots) -> Tensor:
    """``½ Σ_j Δ_i ∂_i ∂_k h_j(ã_j) Δ_k`` at the anchors ``a`` (B, d), shape (B, d, d).

    Symmetric; its rows add up to the shares of degree 2.
    """
    matrices = a.new_zeros(*a.shape, a.shape[1])
    if l + 1 == recursion.explained.depth:
        # The output is affine.
        return matrices
    pairs = recursion.pairs(l, a, roots, *roots.contributing, graph=False)
    slopes = recursion.slopes.automatic
    gates, epsilon, _ = slopes.side(l, pairs, roots.location)
    limited = ~slopes.at(l, pairs, roots.location, graph=False).limit_error.isnan()
    if recursion.limits.way(l) is Way.EXTRAPOLATED:
        stencil_of, outer = Stencil.of, policy(a.dtype).outer_epsilon
        epsilon = torch.where(limited, outer, epsilon)
    else:
        stencil_of, some = Stencil.beside, pairs.rows(limited)
        if len(some.unit):
            matrices.index_add_(0, some.anchor, recursion.limits.interactions(l, some))
        pairs, gates, epsilon = pairs.rows(~limited), gates[~limited], epsilon[~limited]
    chunks = torch.arange(len(gates), device=gates.device).split(recursion.batching.points(l))
    for index in recursion.track(chunks, "interactions"):
        stencil = stencil_of(gates[index], epsilon[index])
        _add(matrices, recursion, l, pairs.rows(index), stencil)
    return matrices


def _add(matrices: Tensor, recursion: Recursion, l: int, pairs: Pairs, stencil: Stencil) -> None:
    """Add the matrices of N pairs to those of their anchors, row by row, to save memory."""
    at = pairs.rows(stencil.row)
    weighted = stencil.weight.unsqueeze(1) * at.delta / 2

    def value(points: Tensor) -> Tensor:
        return recursion.function(l, points, stencil.open_gates, at.unit)[0]

    for i, second in enumerate(hessian_rows(value, at.points(stencil.epsilon.unsqueeze(1)))):
        matrices[:, i].index_add_(0, at.anchor, at.delta[:, i, None] * second * weighted)
