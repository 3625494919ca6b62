"""``network=paper``: the network of Sixt and Landgraf."""

from __future__ import annotations

from dataclasses import field, replace

import torch
from pydantic.dataclasses import dataclass

from dtd.networks.initial import initial
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Layer, Network
from dtd_cli.config.values import Count, Positive
from dtd_cli.networks.specification import Described, Hidden


@dataclass(frozen=True)
class Paper(Described):
    """10-10-10-2 with a ReLU after every layer, positive weights enlarged, biases <= 0.

    PyTorch's initialisation, changed as the research code changes it. That code multiplies positive
    parameters by ``scale`` three times. So positive weights become 1.4³ = 2.744 times as large. A
    bias b becomes -|b|; one that was drawn positive is first multiplied by 1.4² = 1.96.

    Source: RS (experiments) and its published code. ``network.seed=1`` is the published network.
    """

    features: Count = 10
    hidden: Hidden = field(default_factory=lambda: [10, 10])
    outputs: Count = 2
    scale: Positive = 1.4

    @property
    def input_size(self) -> int:
        return self.features

    def build(self, shape: Shape, output_size: int) -> Network:
        generator = torch.Generator().manual_seed(self.seed)
        widths = (self.features, *self.hidden, self.outputs)
        drawn = initial(widths, generator, self.output_relu)
        return Network(tuple(map(self._scaled, drawn.affine_layers)))

    def _scaled(self, layer: Layer) -> Layer:
        weight, bias = layer.weight, layer.bias
        return replace(
            layer,
            weight=torch.where(weight > 0, self.scale**3 * weight, weight),
            bias=-torch.where(bias > 0, self.scale**2 * bias, bias).abs(),
        )
