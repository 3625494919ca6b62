"""A matrix whose numbers are its entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from dtd.networks.matrices.form import Form
from dtd.networks.matrices.windows import Shape
from dtd.numerics.products import row_product


@dataclass(frozen=True)
class Dense(Form):
    """The numbers are the matrix, of inputs and units that may be the pixels of images."""

    images: Shape = ()
    """The shape of the inputs, where they are images."""
    unit_images: Shape = ()
    """The shape of the units, where they are images."""

    kind: ClassVar[str] = "dense"
    has_outside: ClassVar[bool] = False
    _allowed: ClassVar[str] = "(units, inputs), one of each or more"

    def _fits(self, numbers: Tensor) -> bool:
        return numbers.dim() == 2

    @property
    def together(self) -> Form:
        return Together()

    def inputs(self, numbers: Tensor) -> Shape:
        return self.images or (numbers.shape[1],)

    def outputs(self, numbers: Tensor) -> Shape:
        return self.unit_images or (numbers.shape[0],)

    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        return row_product(a, numbers.T)

    def apply_shifted(self, numbers: Tensor, a: Tensor, bias: Tensor) -> Tensor:
        return row_product(a, numbers.T, bias)

    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        return row_product(z, numbers)

    def rows(self, numbers: Tensor, unit: Tensor, outside: float) -> Tensor:
        return numbers.index_select(0, unit)

    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        return numbers.index_select(0, place)

    def by_column(self, numbers: Tensor) -> Tensor:
        return numbers.T.contiguous()

    def entries(self, numbers: Tensor, unit: Tensor, place: Tensor, outside: float) -> Tensor:
        return numbers.take(unit * numbers.shape[1] + place)

    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return numbers * _repeated(scale, len(numbers)).unsqueeze(1), self

    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return numbers * _repeated(scale, numbers.shape[1]), self

    def dense(self, numbers: Tensor, outside: float) -> Tensor:
        return numbers


class Together(Dense):
    """A dense matrix by which all rows are multiplied in one call: for one row in a tenth of the
    time."""

    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        return functional.linear(a, numbers)

    def apply_shifted(self, numbers: Tensor, a: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(a, numbers, bias)

    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        return z @ numbers


DENSE = Dense()


def _repeated(scale: Tensor, size: int) -> Tensor:
    """For each of so many units the factor of its channel."""
    return scale.repeat_interleave(size // len(scale))
