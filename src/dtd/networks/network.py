"""A ReLU network as data: layers are weights, and a forward pass can start and stop anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.networks.layers.affine import Layer
from dtd.networks.layers.layer import AnyLayer, without_matrix
from dtd.networks.matrices.windows import Shape

__all__ = ["Layer", "Network"]


@dataclass(frozen=True, eq=False)
class Network:
    """``a_0 = x``, ``a_l = layers[l-1](a_{l-1})`` for l = 1..L (theory, section 1.1).

    Raises:
        InvalidSetting: the layers are no tuple of layers, or do not chain.
    """

    layers: tuple[AnyLayer, ...]

    def __post_init__(self) -> None:
        layers = self.layers
        if not (
            isinstance(layers, tuple) and layers and all(isinstance(l, AnyLayer) for l in layers)
        ):
            raise InvalidSetting(
                "layers", shown(layers), "allowed is a tuple of dtd.networks.network.Layer"
            )
        for below, above in pairwise(layers):
            if above.size != below.units:
                raise InvalidSetting(
                    "layers",
                    f"{len(layers)} layers",
                    f"a layer of {below.units} units is followed by weights for "
                    f"{above.size} inputs; the layers must chain",
                )

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return len(self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units per layer, from the input (index 0) to the output (index L)."""
        return (self.layers[0].size, *(layer.units for layer in self.layers))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Of the activations of each layer; ``widths`` are their products."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))

    @property
    def dtype(self) -> torch.dtype:
        """Of all weights."""
        return self.layers[0].dtype

    @property
    def device(self) -> torch.device:
        """Of all weights."""
        return self.layers[0].device

    @property
    def affine_layers(self) -> tuple[Layer, ...]:
        """The layers, where all of them are affine maps.

        Raises:
            InvalidSetting: one is a maximum.
        """
        affine = tuple(layer for layer in self.layers if isinstance(layer, Layer))
        if len(affine) < self.depth:
            raise without_matrix()
        return affine

    def forward(self, a: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Activations in layer ``stop`` (default L) from activations in layer ``start``."""
        for layer in self.layers[start:stop]:
            a = layer(a)
        return a

    def magnitude(self, x: Tensor) -> Tensor:
        """The size (N, d_L) against which rounding in the outputs is measured."""
        for layer in self.layers:
            x = layer.magnitude(x)
        return x

    def activations(self, x: Tensor) -> list[Tensor]:
        """``[a_0, ..., a_L]``, each of shape (N, units)."""
        path = [x]
        for layer in self.layers:
            path.append(layer(path[-1]))
        return path

    def explaining(self, output: int) -> Network:
        """The network with one output only: ``R_L(a) = a * e_output`` then is ``a`` itself."""
        if output not in self._explaining:
            *hidden, last = self.layers
            self._explaining[output] = Network((*hidden, last.only(output)))
        return self._explaining[output]

    @cached_property
    def _explaining(self) -> dict[int, Network]:
        """The networks with one output that were asked for."""
        return {}

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Network:
        """A copy of the network, in another dtype or on another device."""
        return Network(tuple(layer.to(dtype, device) for layer in self.layers))

    def with_output_relu(self, relu: bool) -> Network:
        """The network with or without a ReLU after its last layer."""
        *hidden, last = self.layers
        return Network((*hidden, last.with_relu(relu)))

    def detached(self) -> Network:
        """The network without what its weights were computed from."""
        return Network(
            tuple(
                layer.with_parameters({name: p.detach() for name, p in layer.parameters.items()})
                for layer in self.layers
            )
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Named as ``torch.nn.Sequential(Linear, ReLU, Linear, ...)`` names them."""
        return {
            f"{2 * index}.{kind}": tensor.detach().contiguous()
            for index, layer in enumerate(self.layers)
            for kind, tensor in layer.parameters.items()
        }
