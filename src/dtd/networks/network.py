"""A ReLU network as data: layers are weights, and a forward pass can start and stop anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.numerics.products import row_product
from dtd.ranges import check_flag, check_tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine map and its activation: ``a -> relu(W a + b)``, or without the ReLU.

    ``weight`` has shape (units, inputs), ``bias`` (units,).

    Raises:
        InvalidSetting: they have other shapes, no entries, or are no real numbers of one dtype.
    """

    weight: Tensor
    bias: Tensor
    relu: bool = True

    def __post_init__(self) -> None:
        check_tensor("weight", self.weight)
        check_tensor("bias", self.bias)
        check_flag("relu", self.relu)
        weight, bias = self.weight, self.bias
        if weight.dim() != 2 or not weight.numel() or not weight.is_floating_point():
            raise InvalidSetting(
                "weight",
                f"{weight.dtype} of shape {tuple(weight.shape)}",
                "allowed are floating point numbers (units, inputs), one of each or more",
            )
        if bias.shape != weight.shape[:1] or (bias.dtype, bias.device) != (
            weight.dtype,
            weight.device,
        ):
            raise InvalidSetting(
                "bias",
                f"{bias.dtype} of shape {tuple(bias.shape)} on {bias.device}",
                f"allowed are {weight.dtype} of shape {tuple(weight.shape[:1])} on "
                f"{weight.device}, as the weight is",
            )

    @property
    def is_finite(self) -> bool:
        """Whether no weight and no bias is NaN or infinite."""
        return bool(self.weight.isfinite().all() and self.bias.isfinite().all())

    def preactivation(self, a: Tensor) -> Tensor:
        """``z = W a + b`` for activations of shape (N, inputs)."""
        return row_product(a, self.weight.T) + self.bias

    def activation(self, z: Tensor) -> Tensor:
        """``max(0, z)``, or ``z`` itself where the layer has no ReLU."""
        return z.relu() if self.relu else z

    def __call__(self, a: Tensor) -> Tensor:
        return self.activation(self.preactivation(a))

    def magnitude(self, a: Tensor) -> Tensor:
        """``|W| |a| + |b|``: the size against which rounding in ``z`` is measured."""
        return row_product(a.abs(), self.weight.abs().T) + self.bias.abs()

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Layer:
        """A copy of the layer, in another dtype or on another device."""
        weight, bias = (part.to(device, dtype, copy=True) for part in (self.weight, self.bias))
        return replace(self, weight=weight, bias=bias)


@dataclass(frozen=True, eq=False)
class Network:
    """``a_0 = x``, ``a_l = layers[l-1](a_{l-1})`` for l = 1..L (theory, section 1.1).

    Raises:
        InvalidSetting: the layers are no tuple of layers, or do not chain.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        layers = self.layers
        if not (isinstance(layers, tuple) and layers and all(isinstance(l, Layer) for l in layers)):
            raise InvalidSetting(
                "layers", shown(layers), "allowed is a tuple of dtd.networks.network.Layer"
            )
        for below, above in pairwise(layers):
            if above.weight.shape[1] != len(below.bias):
                raise InvalidSetting(
                    "layers",
                    f"{len(layers)} layers",
                    f"a layer of {len(below.bias)} units is followed by weights for "
                    f"{above.weight.shape[1]} inputs; the layers must chain",
                )

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return len(self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units per layer, from the input (index 0) to the output (index L)."""
        return (self.layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in self.layers))

    def forward(self, a: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Activations in layer ``stop`` (default L) from activations in layer ``start``."""
        for layer in self.layers[start:stop]:
            a = layer(a)
        return a

    def activations(self, x: Tensor) -> list[Tensor]:
        """``[a_0, ..., a_L]``, each of shape (N, units)."""
        path = [x]
        for layer in self.layers:
            path.append(layer(path[-1]))
        return path

    def explaining(self, output: int) -> Network:
        """The network with one output only: ``R_L(a) = a * e_output`` then is ``a`` itself."""
        *hidden, last = self.layers
        row = slice(output, output + 1)
        return Network((*hidden, Layer(last.weight[row], last.bias[row], last.relu)))

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Network:
        """A copy of the network, in another dtype or on another device."""
        return Network(tuple(layer.to(dtype, device) for layer in self.layers))

    def state_dict(self) -> dict[str, Tensor]:
        """Named as ``torch.nn.Sequential(Linear, ReLU, Linear, ...)`` names them."""
        return {
            f"{2 * index}.{kind}": tensor.detach().contiguous()
            for index, layer in enumerate(self.layers)
            for kind, tensor in (("weight", layer.weight), ("bias", layer.bias))
        }
