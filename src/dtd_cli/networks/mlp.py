"""``network=mlp``: any depth and widths, randomly initialised."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd.networks.initial import initial
from dtd.networks.network import Layer, Network
from dtd_cli.config.values import Count, OneOf
from dtd_cli.networks.specification import Described


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
class FullyConnected(Described):
    """Layers of the given widths between the inputs and ``outputs`` units.

    ``outputs`` defaults to the number of classes of the data, or 1 without classes. All
    initialisations draw the same numbers. ``nonpositive_bias`` turns each bias b into -|b|, so
    that the origin is a root of every unit. ``no_bias`` turns it into 0.
    """

    hidden: Annotated[list[Count], Field(description="a list of widths >= 1, or [] for none")]
    outputs: Count | None
    init: Annotated[str, OneOf(INITIALISERS)]

    @property
    def input_size(self) -> int | None:
        return None

    def build(self, input_size: int, output_size: int) -> Network:
        widths = (input_size, *self.hidden, self.outputs or output_size)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = initial(widths, generator, self.output_relu)
        return Network(tuple(INITIALISERS[self.init](layer) for layer in drawn.affine_layers))
