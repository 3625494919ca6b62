"""A ReLU network as data: layers are weights, and a forward pass can start and stop anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.numerics.products import row_product


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine map and its activation: ``a -> relu(W a + b)``, or without the ReLU.

    ``weight`` has shape (units, inputs), ``bias`` (units,).
    """

    weight: Tensor
    bias: Tensor
    relu: bool = True

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
        """The same layer in another dtype or on another device."""
        return replace(self, weight=self.weight.to(device, dtype), bias=self.bias.to(device, dtype))


@dataclass(frozen=True, eq=False)
class Network:
    """``a_0 = x``, ``a_l = layers[l-1](a_{l-1})`` for l = 1..L (theory, section 1.1)."""

    layers: tuple[Layer, ...]

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
        """The same network in another dtype or on another device."""
        return Network(tuple(layer.to(dtype, device) for layer in self.layers))

    def state_dict(self) -> dict[str, Tensor]:
        """Named as ``torch.nn.Sequential(Linear, ReLU, Linear, ...)`` names them."""
        return {
            f"{2 * index}.{kind}": tensor.detach().contiguous()
            for index, layer in enumerate(self.layers)
            for kind, tensor in (("weight", layer.weight), ("bias", layer.bias))
        }
