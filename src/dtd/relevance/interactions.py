"""Interactions: the degree-2 term of the expansions as a matrix (theory, section 5.3)."""

from __future__ import annotations

from torch import Tensor

from dtd.numerics.gradients import hessian_rows
from dtd.relevance.recursion import Recursion
from dtd.relevance.series.series import Segments
from dtd.roots.contract import Roots


def interactions(recursion: Recursion, l: int, a: Tensor, roots: Roots) -> Tensor:
    """``½ Σ_j Δ_i ∂_i ∂_k h_j(ã_j) Δ_k`` at the anchors ``a`` (B, d), shape (B, d, d).

    Symmetric; its rows add up to the shares of degree 2.
    """
    matrices = a.new_zeros(*a.shape, a.shape[1])
    pairs = (index.split(recursion.batching.points(l)) for index in roots.contributing)
    for anchor, unit in zip(*pairs, strict=True):
        segments = recursion.segments(l, a, roots, anchor, unit)
        if not segments.affine:
            _add(matrices, anchor, segments)
    return matrices


def _add(matrices: Tensor, anchor: Tensor, segments: Segments) -> None:
    """Add the matrices of N pairs to those of their anchors, row by row: never (N, d, d)."""
    row, _, weight, _ = segments.stencil
    anchor, delta = anchor[row], segments.delta[row]
    weighted = weight.unsqueeze(1) * delta / 2
    for i, second in enumerate(hessian_rows(segments.value_at, segments.points)):
        matrices[:, i].index_add_(0, anchor, delta[:, i, None] * second * weighted)
