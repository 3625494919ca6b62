"""``network=paper``: the network of Sixt and Landgraf."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic.dataclasses import dataclass

from dtd.networks.initial import initial
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Layer, Network
from dtd_cli.networks.specification import Described


@dataclass(frozen=True)
class Paper(Described):
    """10-10-10-2 with a ReLU after every layer, positive weights enlarged, biases <= 0.

    PyTorch's initialisation, changed as the research code changes it. That code scales by 1.4
    three times. So positive weights become 1.4³ = 2.744 times as large. A bias b becomes -|b|; one
    that was drawn positive is first scaled by 1.4² = 1.96.

    Source: RS (experiments) and its published code. ``network.seed=1`` is the published network.
    """

    @property
    def input_size(self) -> int:
        return 10

    def build(self, shape: Shape, output_size: int) -> Network:
        generator = torch.Generator().manual_seed(self.seed)
        drawn = initial((10, 10, 10, 2), generator, self.output_relu)
        return Network(tuple(_scaled(layer) for layer in drawn.affine_layers))


def _scaled(layer: Layer) -> Layer:
    weight, bias = layer.weight, layer.bias
    return replace(
        layer,
        weight=torch.where(weight > 0, 2.744 * weight, weight),
        bias=-torch.where(bias > 0, 1.96 * bias, bias).abs(),
    )
