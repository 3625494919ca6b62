"""``network=mlp``: any depth and widths, randomly initialised."""

from __future__ import annotations

from math import prod

import torch
from pydantic.dataclasses import dataclass

from dtd.networks.initial import initial
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd_cli.networks.initialisers import INITIALISERS
from dtd_cli.networks.specification import EndsInDense


@dataclass(frozen=True)
class FullyConnected(EndsInDense):
    """Layers of the given widths between the inputs and ``outputs`` units.

    ``outputs`` defaults to the number of classes of the data, or 1 without classes. All
    initialisations draw the same numbers. ``nonpositive_bias`` turns each bias b into -|b|, so
    that the origin is a root of every unit. ``no_bias`` turns it into 0.
    """

    def build(self, shape: Shape, output_size: int) -> Network:
        widths = (prod(shape), *self.hidden, self.outputs or output_size)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = initial(widths, generator, self.output_relu)
        return Network(tuple(INITIALISERS[self.init](layer) for layer in drawn.affine_layers))
