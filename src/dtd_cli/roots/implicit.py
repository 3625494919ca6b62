"""How a searched root moves with its anchor: the implicit function theorem on its line.

A root ``r = c + s (a - c)`` with fixed far end c stays a root of h when the anchor a moves:
``dr = s da + (a - c) ds`` with ``g · dr = 0``, so ``ds = -s (g · da) / (g · (a - c))``, where g
is the one-sided slope of h at r. A root strictly inside the zero set has g = 0; there s stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dtd_cli.numerics import safe_divide

Slope = Callable[[Tensor, Tensor], Tensor]
"""``(anchors, roots) -> ∇⁺h(root)``, all (N, d), differentiable."""


def moving_roots(anchors: Tensor, far_ends: Tensor, positions: Tensor, slope: Slope) -> Tensor:
    """Roots (N, d) on their lines, differentiable in the anchors (N, d) to any order."""
    s = _Position.apply(anchors, far_ends, positions, slope)  # type: ignore[no-untyped-call]
    return _on_line(anchors, far_ends, s)


def _on_line(anchors: Tensor, far_ends: Tensor, positions: Tensor) -> Tensor:
    return far_ends + positions.unsqueeze(1) * (anchors - far_ends)


class _Position(torch.autograd.Function):
    """s as a function of the anchor. Its backward pass is itself differentiable, because the
    saved s is the output, with its own place in the graph."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, far_ends: Tensor, positions: Tensor, slope: Slope
    ) -> Tensor:
        s = positions.clone()
        ctx.save_for_backward(anchors, far_ends, s)
        ctx.slope = slope
        return s

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        anchors, far_ends, s = ctx.saved_tensors
        g = ctx.slope(anchors, _on_line(anchors, far_ends, s))
        along = (g * (anchors - far_ends)).sum(1)
        return -safe_divide(grad * s, along).unsqueeze(1) * g, None, None, None
