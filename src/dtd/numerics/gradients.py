"""Gradients by automatic differentiation, with the graph as an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def gradient(values: Tensor, points: Tensor, graph: bool, again: bool = False) -> Tensor:
    """The gradients (N, d) of values (N,), each by its own point (N, d); zero where unrelated.

    With ``graph`` the gradients can be differentiated in their turn. With ``again`` the graph of
    the values is kept, so that they can be differentiated once more.
    """
    (slope,) = torch.autograd.grad(
        values.sum(),
        points,
        create_graph=graph,
        retain_graph=graph or again,
        materialize_grads=True,
    )
    return slope


def differentiate(
    function: Callable[[Tensor], tuple[Tensor, T]], points: Tensor, graph: bool
) -> tuple[Tensor, Tensor, T]:
    """Values (N,) and gradients (N, d) of a function at the points (N, d).

    Args:
        function: gives the values, and something else that is handed on.
        points: where; each value depends on its own point alone.
        graph: whether values and gradients keep their graph, to be differentiated in their turn.
    """
    with torch.enable_grad():
        at = points if points.requires_grad else points.detach().requires_grad_()
        values, other = function(at)
        slope = gradient(values, at, graph)
    return (values if graph else values.detach()), slope, other


def slopes(function: Callable[[Tensor], Tensor], points: Tensor, graph: bool) -> Tensor:
    """The gradients (N, d) of a function that gives values (N,); see :func:`differentiate`."""
    return differentiate(lambda at: (function(at), None), points, graph)[1]
