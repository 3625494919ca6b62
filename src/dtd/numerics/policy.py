"""The numerical policy: every tolerance of the program, in one place.

All thresholds are relative to the quantities at hand, because one-sided limits that lie inside each
other make anchors as small as ``epsilon ** 2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Policy:
    """Relative tolerances for one floating point type."""

    tie: float
    """A pre-activation below ``tie * (|W||a| + |b|)`` is a tie: on the kink of its ReLU."""
    close: float
    """Below ``close * (|W||a| + |b|)`` a pre-activation has lost so many digits that relevance is
    computed with more."""
    epsilon: float
    """The position on the segment from a root (0) to its anchor (1) from which a limit is taken in
    this precision, and which tells the anchor's branch. A power of two, by which scaling is exact.
    """
    outer_epsilon: float
    """The same for a limit that has another one inside, whose own must be smaller."""
    settled: float
    """A limit with a larger relative error is marked as one that may be wrong."""
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
        close=1e-6,
        epsilon=2.0**-20,
        outer_epsilon=2.0**-12,
        settled=1e-9,
        degenerate=1e-12,
        residual=1e-9,
        quadrature=1e-9,
    ),
    # Single precision: 84 units in the last place for a tie, and an epsilon well beyond that.
    torch.float32: Policy(
        tie=1e-5,
        close=1e-3,
        epsilon=2.0**-10,
        outer_epsilon=2.0**-5,
        settled=1e-4,
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
