"""An affine map and its activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.layers.balls import AffineBalls
from dtd.networks.layers.layer import AnyLayer, Mask
from dtd.networks.matrices.dense import DENSE
from dtd.networks.matrices.form import Form
from dtd.networks.matrices.matrix import Matrix
from dtd.networks.matrices.windows import Shape
from dtd.numerics.policy import policy
from dtd.ranges import check_flag, check_tensor


@dataclass(frozen=True, eq=False)
class Layer(AnyLayer):
    """One affine map and its activation: ``a -> relu(W a + b)``, or without the ReLU.

    ``weight`` are the numbers of which ``form`` makes the matrix W (J, d): of a dense layer W
    itself, of a convolution its kernel. ``bias`` has shape (J,).

    Raises:
        InvalidSetting: they have other shapes, no entries, or are no real numbers of one dtype.
    """

    is_affine: ClassVar[bool] = True

    weight: Tensor
    bias: Tensor
    relu: bool = True
    form: Form = DENSE

    def __post_init__(self) -> None:
        check_tensor("weight", self.weight)
        check_tensor("bias", self.bias)
        check_flag("relu", self.relu)
        weight, bias = self.weight, self.bias
        self.form.check(weight)
        if bias.shape != (self.units,) or (bias.dtype, bias.device) != (
            weight.dtype,
            weight.device,
        ):
            raise InvalidSetting(
                "bias",
                f"{bias.dtype} of shape {tuple(bias.shape)} on {bias.device}",
                f"allowed are {weight.dtype} of shape {(self.units,)} on "
                f"{weight.device}, as the weight is",
            )

    @cached_property
    def matrix(self) -> Matrix:
        """W, (J, d)."""
        return Matrix(self.weight, self.form)

    @property
    def kind(self) -> str:
        return self.form.kind

    @property
    def learns(self) -> bool:
        return not self.form.is_pooling

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "bias": self.bias}

    def with_parameters(self, parameters: dict[str, Tensor]) -> Layer:
        return replace(self, weight=parameters["weight"], bias=parameters["bias"])

    @property
    def inputs(self) -> Shape:
        return self.form.inputs(self.weight)

    @property
    def outputs(self) -> Shape:
        return self.form.outputs(self.weight)

    def preactivation(self, a: Tensor) -> Tensor:
        """``z = W a + b``."""
        return self.matrix.shifted(a, self.bias)

    def of_units(self, units: Tensor, a: Tensor) -> Tensor:
        rows = self.matrix.rows(units.flatten()).view(*units.shape, a.shape[1])
        return torch.einsum("nkd,nd->nk", rows, a) + self.bias[units]

    def magnitude(self, a: Tensor) -> Tensor:
        """``|W| |a| + |b|``."""
        return self.matrix.sizes(a.abs()) + self.bias.abs()

    def mask(self, mask: Mask) -> Matrix:
        return self._masked(mask)[0]

    def product(self, mask: Mask) -> Matrix:
        return self._masked(mask)[1]

    def _masked(self, mask: Mask) -> tuple[Matrix, Matrix]:
        """The mask, and what it leaves of the matrix: made once for each rule."""
        if mask not in self._by_mask:
            made = self.matrix.masked(mask)
            self._by_mask[mask] = made, self.matrix * made
        return self._by_mask[mask]

    @cached_property
    def _by_mask(self) -> dict[Mask, tuple[Matrix, Matrix]]:
        return {}

    def constant_mask(self, mask: Mask) -> float | None:
        if not self.form.is_pooling or self.bias.any() or not (self.weight > 0).all():
            return None
        return float(mask(self.weight))

    @cached_property
    def positive_part(self) -> Matrix:
        return self.matrix.mapped(lambda weight: weight.clamp(min=0))

    def activations_together(self, a: Tensor) -> Tensor:
        z = self.matrix.together.shifted(a, self.bias)
        return z.relu_() if self.relu else z

    def rows(self, unit: Tensor, a: Tensor) -> Tensor:
        return self.matrix.rows(unit)

    def transposed(self, upper: Tensor, a: Tensor) -> Tensor:
        return self.matrix.transposed(upper)

    @cached_property
    def balls(self) -> AffineBalls:
        return AffineBalls(self.matrix, self.bias, self.relu)

    def product_balls(self, mask: Mask) -> AffineBalls:
        return AffineBalls(self.product(mask), torch.zeros_like(self.bias), relu=False)

    @cached_property
    def largest(self) -> tuple[Tensor, Tensor]:
        return self.bias.abs().amax(), self.matrix.sizes.row_sums.amax()

    def gates(self, a: Tensor, z: Tensor) -> Tensor:
        """``z > 0``; a unit without a ReLU is always open."""
        return z > 0 if self.relu else torch.ones_like(z, dtype=torch.bool)

    def closed_gates(self, a: Tensor, z: Tensor, gates: Tensor, size: Tensor) -> Tensor:
        if not self.relu:
            return gates
        tie = z.abs() <= policy(z.dtype).tie * size
        return torch.where(tie, gates, z > 0)

    def gates_towards(self, a: Tensor, slope: Tensor, size: Tensor) -> Tensor:
        z = self.preactivation(a)
        if not self.relu:
            return self.gates(a, z)
        rise = self.matrix(slope)
        tie = z.abs() <= policy(z.dtype).tie * self.magnitude(size)
        return torch.where(tie, rise, z) > 0

    def through(self, gates: Tensor, a: Tensor) -> Tensor:
        return torch.where(gates, self.preactivation(a), 0)

    def slope_through(self, gates: Tensor, slope: Tensor) -> Tensor:
        return gates * self.matrix(slope)

    def pulled(self, gates: Tensor, upper: Tensor) -> Tensor:
        return self.matrix.transposed(upper * gates)

    def held_open(self, units: Tensor, anchors: Tensor) -> Tensor:
        return units

    def opened(self, a: Tensor, gates: Tensor) -> Tensor:
        z = self.preactivation(a)
        return torch.where(gates, z, self.activation(z))

    def with_relu(self, relu: bool) -> Layer:
        return replace(self, relu=relu)

    def only(self, unit: int) -> Layer:
        row = self.matrix.rows(torch.tensor([unit], device=self.device))
        return Layer(row, self.bias[unit : unit + 1], self.relu)

    @property
    def dtype(self) -> torch.dtype:
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.weight.device

    @property
    def is_finite(self) -> bool:
        return bool(self.weight.isfinite().all() and self.bias.isfinite().all())

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Layer:
        weight, bias = (part.to(device, dtype, copy=True) for part in (self.weight, self.bias))
        return replace(self, weight=weight, bias=bias)
