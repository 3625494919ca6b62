"""The matrix of a layer, or one made of it entry by entry, however it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.matrices.form import Form

_MOST_ENTRIES = 2**27
"""A matrix of so many numbers in double precision takes a gibibyte."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix (J, d): its ``numbers`` where its ``form`` says, and ``outside`` elsewhere."""

    numbers: Tensor
    form: Form
    outside: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Units and inputs, (J, d)."""
        return prod(self.form.outputs(self.numbers)), prod(self.form.inputs(self.numbers))

    def __call__(self, a: Tensor) -> Tensor:
        """``W a`` for rows ``a`` (..., d), each of which is computed by itself."""
        return self._along(self.form.apply, a)

    def transposed(self, z: Tensor, a: Tensor | None = None) -> Tensor:
        """``Wᵀ z`` for rows ``z`` (..., J), each of which is computed by itself.

        Of a matrix nothing depends on anchors ``a``, here and below.
        """
        return self._along(self.form.apply_transposed, z)

    def _along(self, product: Callable[[Tensor, Tensor], Tensor], rows: Tensor) -> Tensor:
        assert not self.outside, "what is multiplied has zeros outside"
        if rows.dim() == 2:
            return product(self.numbers, rows)
        flat = product(self.numbers, rows.reshape(-1, rows.shape[-1]))
        return flat.view(*rows.shape[:-1], flat.shape[-1])

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Matrix:
        """The matrix with another number for each entry; ``function`` is elementwise."""
        outside = 0.0
        if self.form.has_outside:
            outside = float(function(self.numbers.new_full((1,), self.outside)))
        return Matrix(function(self.numbers), self.form, outside)

    def masked(self, mask: Callable[[Tensor], Tensor]) -> Matrix:
        """The mask of a rule, made of each weight; see :class:`Form`."""
        made = self.mapped(mask)
        return replace(made, outside=0.0) if self.form.is_pooling else made

    def __mul__(self, other: Matrix) -> Matrix:
        """The product entry by entry with a matrix of the same form."""
        return Matrix(self.numbers * other.numbers, self.form, self.outside * other.outside)

    def shifted(self, a: Tensor, bias: Tensor) -> Tensor:
        """``W a + b`` for rows ``a`` (..., d)."""
        return self._along(partial(self.form.apply_shifted, bias=bias), a)

    @cached_property
    def together(self) -> Matrix:
        """The same matrix, whose products are faster; see :class:`Form`."""
        return Matrix(self.numbers, self.form.together, self.outside)

    def rows(self, unit: Tensor) -> Tensor:
        """The rows of units (N,), shape (N, d)."""
        return self.form.rows(self.numbers, unit, self.outside)

    def columns(self, place: Tensor, a: Tensor | None = None) -> Tensor:
        """The columns of inputs (N,), shape (N, J)."""
        return self.form.columns(self._by_column, place, self.outside)

    @cached_property
    def _by_column(self) -> Tensor:
        return self.form.by_column(self.numbers)

    def entries(self, unit: Tensor, place: Tensor, a: Tensor | None = None) -> Tensor:
        """The entries of units and inputs, all (N,)."""
        return self.form.entries(self.numbers, unit, place, self.outside)

    @property
    def values(self) -> Tensor:
        """The different entries, sorted, (r,)."""
        outside = self.numbers.new_full((int(self.form.has_outside),), self.outside)
        values: Tensor = torch.cat([self.numbers.flatten(), outside]).unique()
        return values

    @cached_property
    def sizes(self) -> Matrix:
        """``|W|``, entry by entry."""
        return self.mapped(torch.abs)

    @cached_property
    def row_sums(self) -> Tensor:
        """The sum of each row, (J,)."""
        return self(self.numbers.new_ones(1, self.shape[1])).squeeze(0)

    def dense(self) -> Tensor:
        """All entries, (J, d).

        Raises:
            InvalidSetting: there are too many.
        """
        units, inputs = self.shape
        if units * inputs > _MOST_ENTRIES:
            raise InvalidSetting(
                "roots",
                f"a matrix of {units} x {inputs}",
                "this root search or rule needs it, and it takes more than a gibibyte; allowed "
                "are roots=closed_form with the rules z+, gamma and x",
            )
        return self.form.dense(self.numbers, self.outside)
