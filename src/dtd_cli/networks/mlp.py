"""``network=mlp``: any depth and widths, randomly initialised."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from dtd.networks.initial import initial
from dtd.networks.network import Layer, Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.specification import NetworkSpec


def _unchanged(layer: Layer) -> Layer:
    return layer


def _nonpositive_bias(layer: Layer) -> Layer:
    return replace(layer, bias=-layer.bias.abs())


def _no_bias(layer: Layer) -> Layer:
    return replace(layer, bias=torch.zeros_like(layer.bias))


INITIALISERS = {
    "default": _unchanged,
    "nonpositive_bias": _nonpositive_bias,
    "no_bias": _no_bias,
}
"""What is done to PyTorch's default initialisation of each layer."""


@dataclass(frozen=True)
class FullyConnected(NetworkSpec):
    """Layers of the given widths between the inputs and ``outputs`` units.

    ``outputs`` defaults to the number of classes of the data, or 1. All initialisations draw the
    same numbers: ``nonpositive_bias`` turns b into -|b| (a root at the origin is then certain),
    ``no_bias`` into 0.
    """

    hidden: list[int]
    outputs: int | None
    init: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(width < 1 for width in self.hidden):
            raise SettingError(
                "network.hidden", self.hidden, "allowed is a list of widths >= 1, or [] for none"
            )
        if self.outputs is not None and self.outputs < 1:
            raise SettingError("network.outputs", self.outputs, "allowed is any integer >= 1")
        if self.init not in INITIALISERS:
            raise SettingError("network.init", self.init, f"allowed are {', '.join(INITIALISERS)}")

    @property
    def input_size(self) -> int | None:
        return None

    def build(self, input_size: int, output_size: int) -> Network:
        widths = (input_size, *self.hidden, self.outputs or output_size)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = initial(widths, generator, self.output_relu)
        return Network(tuple(INITIALISERS[self.init](layer) for layer in drawn.layers))
