"""How a searched root moves with its anchor: the implicit function theorem on its line.

A root ``r = P(a, s)`` on a line that moves with the anchor a stays a root of h when a moves:
``g · dr = 0`` with ``dr = ∂P/∂a da + ∂P/∂s ds``, so ``ds = -(g · ∂P/∂a da) / (g · ∂P/∂s)``,
where g is the one-sided slope of h at r. On a segment ``c + s (a - c)`` with fixed far end this
is ``-s (g · da) / (g · (a - c))``, on a rule's ray ``a - t v(a)`` it is
``dt = g · (da - t dv) / (g · v)``. A root strictly inside the zero set has g = 0; there s stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dtd.numerics.gradients import slopes
from dtd.numerics.policy import safe_divide
from dtd.roots.moving_lines import Curve

SlopeFunction = Callable[[Tensor, Tensor, bool], Tensor]
"""``(anchors, roots, graph) -> ∇⁺h(root)``, all (N, d); with a graph it is differentiable."""


def moving_roots(anchors: Tensor, positions: Tensor, curve: Curve, slope: SlopeFunction) -> Tensor:
    """Roots (N, d) at their positions (N,), differentiable in the anchors (N, d) to any order."""
    s = _Position.apply(anchors, positions, curve, slope)  # type: ignore[no-untyped-call]
    return curve(anchors, s)


class _Position(torch.autograd.Function):
    """s as a function of the anchor. Its backward pass is itself differentiable, because the
    saved s is the output, with its own place in the graph."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, positions: Tensor, curve: Curve, slope: SlopeFunction
    ) -> Tensor:
        s = positions.clone()
        ctx.save_for_backward(anchors, s)
        ctx.curve, ctx.slope = curve, slope
        return s

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        anchors, s = ctx.saved_tensors
        # Autograd says here, and here alone, whether it wants a graph of the backward pass.
        graph = torch.is_grad_enabled()
        g = ctx.slope(anchors, ctx.curve(anchors, s), graph)
        # Both together, so that the partial derivatives do not go through s to the anchors.
        points = torch.cat([anchors, s.unsqueeze(1)], 1)
        partial = slopes(lambda at: (ctx.curve(at[:, :-1], at[:, -1]) * g).sum(1), points, graph)
        across, along = partial[:, :-1], partial[:, -1]
        return -safe_divide(grad, along).unsqueeze(1) * across, None, None, None
