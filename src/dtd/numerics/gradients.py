"""Gradients by automatic differentiation, with the graph as an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def outside_inference(function: Callable[P, T]) -> Callable[P, T]:
    """The function, of which all tensors are ordinary ones also in torch's inference mode.

    Those of that mode cannot be differentiated, then and ever after.
    """

    @wraps(function)
    def ordinary(*args: P.args, **kwargs: P.kwargs) -> T:
        if not torch.is_inference_mode_enabled():
            return function(*args, **kwargs)
        with torch.inference_mode(False), torch.no_grad():
            return function(*args, **kwargs)

    return ordinary


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
        slope = _gradient(values, at, graph, again=graph)
    return (values if graph else values.detach()), slope, other


def slopes(function: Callable[[Tensor], Tensor], points: Tensor, graph: bool) -> Tensor:
    """The gradients (N, d) of a function that gives values (N,); see :func:`differentiate`."""
    return differentiate(lambda at: (function(at), None), points, graph)[1]


def hessian_rows(function: Callable[[Tensor], Tensor], points: Tensor) -> Iterator[Tensor]:
    """The rows (N, d) of the Hessians (N, d, d) of a function, one after the other.

    There is none where the function is affine.
    """
    at = points.detach().requires_grad_()
    slope = slopes(function, at, graph=True)
    with torch.enable_grad():
        components = slope.unbind(1) if slope.requires_grad else ()
    for component in components:
        yield _gradient(component, at, graph=False, again=True)


def _gradient(values: Tensor, points: Tensor, graph: bool, again: bool) -> Tensor:
    """The gradients (N, d) of values (N,), each by its own point; zero where it has no part.

    With ``again`` the values can be differentiated once more.
    """
    # Values that are constants have no graph, as the slopes of a maximum.
    if not values.requires_grad:
        return torch.zeros_like(points)
    (slope,) = torch.autograd.grad(
        values,
        points,
        torch.ones_like(values),
        create_graph=graph,
        retain_graph=again,
        materialize_grads=True,
    )
    return slope
