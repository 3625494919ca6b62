"""The numerical policy: every tolerance of the program, in one place.

All thresholds are relative to the quantities at hand, because the one-sided limit makes
nested anchors as small as ``nudge ** 2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Policy:
    """Relative tolerances for one floating point type."""

    tie: float
    """A pre-activation below ``tie * (|W||a| + |b|)`` lies on the kink of its ReLU."""
    nudge: float
    """The smallest step from a root towards its anchor, which tells the anchor's branch.

    A power of two, as all steps are: scaling by it is exact, so a one-sided limit has no error
    where the network is homogeneous.
    """
    outer: float
    """The smallest step of a limit that has another inside it, whose steps must be smaller."""
    judge: float
    """The step that tells the branch of such a limit."""
    settled: float
    """A limit is settled when its extrapolations differ by less, relative to its size."""
    jump: float
    """Slopes that differ by more, relative to their size, lie on different branches."""
    degenerate: float
    """A direction with ``|w v| <= degenerate * sum |w_i v_i|`` is parallel to the hyperplane."""
    residual: float
    """A point with ``|h(root)| <= residual * |f(x)|`` is a root of the relevance function."""
    quadrature: float
    """A piece of an integral whose two rules differ by less, relative to the whole, is done.

    The better rule's own error is then about the power 3/2 of it.
    """


_POLICIES = {
    torch.float64: Policy(
        tie=1e-13,
        nudge=2.0**-20,
        outer=2.0**-17,
        judge=2.0**-12,
        settled=2.0**-38,
        jump=2.0**-10,
        degenerate=1e-12,
        residual=1e-9,
        quadrature=1e-9,
    ),
    # Single precision: 84 units in the last place for a tie, and a nudge well beyond that.
    torch.float32: Policy(
        tie=1e-5,
        nudge=2.0**-10,
        outer=2.0**-8,
        judge=2.0**-5,
        settled=2.0**-14,
        jump=2.0**-3,
        degenerate=1e-5,
        residual=1e-4,
        quadrature=1e-5,
    ),
}


def policy(dtype: torch.dtype) -> Policy:
    """The policy of ``float64`` or ``float32``."""
    return _POLICIES[dtype]


def safe_divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Elementwise ``numerator / denominator``, 0 where that is 0, in value and gradient."""
    zero = denominator == 0
    return torch.where(zero, 0, numerator / torch.where(zero, 1, denominator))
