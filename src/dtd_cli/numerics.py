"""The numerical policy: every tolerance of the program, in one place.

All thresholds are relative to the quantities at hand, because the one-sided limit makes
nested anchors as small as ``nudge ** 2``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Policy:
    """Relative tolerances for one floating point type."""

    tie: float
    """A pre-activation below ``tie * (|W||a| + |b|)`` lies on the kink of its ReLU."""
    nudge: float
    """The step from a root towards its anchor that stands for the one-sided limit.

    A power of two: scaling by it is exact, so the limit has no error where the network is
    homogeneous.
    """
    outer: float
    """The nudge of a limit that has another inside it, whose step must be the smaller."""
    judge: float
    """A step beside which both are small; it decides which slope is right."""
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
    rounding: float
    """The spacing of the numbers next to 1."""

    def at_degree(self, degree: int) -> Policy:
        """The policy for derivatives up to ``degree``: at degree 1 the policy itself.

        Near a root where relevance is 0/0 the derivative of degree k magnifies rounding by
        ``nudge ** -k``, and the step costs O(nudge): they balance where nudge^(k+1) is rounding.
        Beyond degree 2 all steps grow by the same factor, up to an eighth for the largest.
        """
        balanced = math.ceil(math.log2(self.rounding) / (degree + 1))
        wider = min(max(1.0, 2.0**balanced / self.nudge), _LARGEST_STEP / self.judge)
        return replace(
            self, nudge=self.nudge * wider, outer=self.outer * wider, judge=self.judge * wider
        )


_LARGEST_STEP = 2.0**-3


_POLICIES = {
    torch.float64: Policy(
        tie=1e-13,
        nudge=2.0**-20,
        outer=2.0**-17,
        judge=2.0**-12,
        jump=2.0**-10,
        degenerate=1e-12,
        residual=1e-9,
        quadrature=1e-9,
        rounding=2.0**-52,
    ),
    # Single precision: 84 units in the last place for a tie, and a nudge well beyond that.
    torch.float32: Policy(
        tie=1e-5,
        nudge=2.0**-10,
        outer=2.0**-8,
        judge=2.0**-5,
        jump=2.0**-3,
        degenerate=1e-5,
        residual=1e-4,
        quadrature=1e-5,
        rounding=2.0**-23,
    ),
}


def policy(dtype: torch.dtype) -> Policy:
    """The policy of ``float64`` or ``float32``."""
    return _POLICIES[dtype]


def safe_divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Elementwise ``numerator / denominator``, 0 where that is 0, in value and gradient."""
    zero = denominator == 0
    return torch.where(zero, 0, numerator / torch.where(zero, 1, denominator))
