"""Matrix products in which a row's result depends on that row alone, to the last bit.

How many rows share a call is decided by memory (``relevance.max_points``) and by what other
samples need. BLAS sums a row's products in an order that depends on how many rows there are and
on where the row stands among them: its kernels for the edge of a matrix differ from those for
its middle. Here the rows are the lanes of the vector instructions, and rows and units come in whole
blocks, so that nothing is at an edge and all rows are summed alike.

This holds for one machine and one number of threads; other kernels have other last digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

ROWS, UNITS = 48, 8
"""A block: multiples of the widths and heights that kernels have, at most 48 by 8."""


def row_product(rows: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    """``rows @ matrix`` for rows (..., d) and a matrix (d, J), differentiable to any order.

    To each row the ``shift`` (J,) is added.
    """
    flat = rows if rows.dim() == 2 else rows.reshape(-1, rows.shape[-1])
    if any(part is not None and part.requires_grad for part in (rows, matrix, shift)):
        apply: Callable[[Tensor, Tensor], Tensor] = _RowProduct.apply
        result = apply(flat, matrix) if shift is None else apply(flat, matrix) + shift
    else:
        result = _product(flat, matrix, shift)
    return result if rows.dim() == 2 else result.unflatten(0, rows.shape[:-1])


def _product(rows: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    count, units = len(rows), matrix.shape[1]
    if count % ROWS:
        rows = pad(rows, (0, 0, 0, -count % ROWS))
    if units % UNITS:
        matrix = pad(matrix, (0, -units % UNITS))
    # BLAS runs along the columns of this product. The rows of the result are made whole again,
    # because sums over them are taken in the order in which they lie in memory.
    product = torch.mm(matrix.T, rows.contiguous().T).T[:count, :units]
    if shift is None:
        return product.contiguous()
    return torch.add(product, shift, out=rows.new_empty(count, units))


class _RowProduct(torch.autograd.Function):
    """The gradient by the rows is a product of rows again."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(rows, matrix)
        return _product(rows, matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, matrix = ctx.saved_tensors
        for_rows, for_matrix = ctx.needs_input_grad
        return (
            row_product(grad, matrix.T) if for_rows else None,
            rows.T @ grad if for_matrix else None,
        )
