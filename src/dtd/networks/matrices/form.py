"""How the numbers of a layer make up its matrix: one contract for every form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape


@dataclass(frozen=True)
class Form(ABC):
    """What makes a matrix W (J, d) of ``numbers``. Rows of a product depend on themselves alone.

    An entry that none of the numbers stands for has the value ``outside``: zero in a matrix that
    something is multiplied by, and in others what a rule gives to a weight of zero.
    """

    kind: ClassVar[str]
    has_outside: ClassVar[bool] = True
    is_pooling: ClassVar[bool] = False
    """Whether nothing in the matrix is learned. Then the masks of rules are zero outside; those of
    others are there what they are for weights of zero."""

    @property
    def together(self) -> Form:
        """The same form, whose products may differ in the last digit with what is beside a row."""
        return self

    def check(self, numbers: Tensor) -> None:
        """Refuse numbers that make no matrix.

        Raises:
            InvalidSetting: they are of another shape, or no real numbers.
        """
        if not (numbers.is_floating_point() and numbers.numel() and self._fits(numbers)):
            raise InvalidSetting(
                "weight",
                f"{numbers.dtype} of shape {tuple(numbers.shape)}",
                f"allowed are floating point numbers {self._allowed}",
            )

    _allowed: ClassVar[str]

    @abstractmethod
    def _fits(self, numbers: Tensor) -> bool:
        """Whether numbers of this shape make a matrix."""

    @abstractmethod
    def inputs(self, numbers: Tensor) -> Shape:
        """The shape of the inputs, (d,) or (channels, height, width)."""

    @abstractmethod
    def outputs(self, numbers: Tensor) -> Shape:
        """The shape of the units, (J,) or (channels, height, width)."""

    @abstractmethod
    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        """``W a`` for rows ``a`` (N, d), shape (N, J)."""

    def apply_shifted(self, numbers: Tensor, a: Tensor, bias: Tensor) -> Tensor:
        """``W a + b``."""
        return self.apply(numbers, a) + bias

    @abstractmethod
    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        """``Wᵀ z`` for rows ``z`` (N, J), shape (N, d)."""

    @abstractmethod
    def rows(self, numbers: Tensor, unit: Tensor, outside: float) -> Tensor:
        """The rows of units (N,), shape (N, d)."""

    @abstractmethod
    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        """The columns of inputs (N,), shape (N, J), of the numbers as :meth:`by_column` gives."""

    def by_column(self, numbers: Tensor) -> Tensor:
        """The numbers in the order in which :meth:`columns` wants them."""
        return numbers

    def entries(self, numbers: Tensor, unit: Tensor, place: Tensor, outside: float) -> Tensor:
        """The entries of units and inputs, all (N,)."""
        return self.rows(numbers, unit, outside).gather(1, place.unsqueeze(1)).squeeze(1)

    def channel_scale(self, numbers: Tensor) -> Tensor | None:
        """The factors (channels,), of a matrix that scales each channel; of others None."""
        return None

    @abstractmethod
    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        """The matrix after which each channel of units is scaled, by factors (channels,)."""

    @abstractmethod
    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        """The matrix before which each channel of inputs is scaled, by factors (channels,)."""

    def dense(self, numbers: Tensor, outside: float) -> Tensor:
        """The matrix, (J, d)."""
        return self.rows(
            numbers, torch.arange(prod(self.outputs(numbers))).to(numbers.device), outside
        )
