"""``network=notebook``: the network of the seed notebook."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from dtd_cli.networks.mlp import MLP, initial
from dtd_cli.networks.specification import NetworkSpec


@dataclass(frozen=True)
class Notebook(NetworkSpec):
    """3-5-1: PyTorch's initialisation, biases clamped to <= 0, then W_2 = 10 |W_2|; untrained.

    Source: the seed notebook, whose seed is 2.
    """

    @property
    def input_size(self) -> int:
        return 3

    def build(self, input_size: int, output_size: int) -> MLP:
        drawn = initial((3, 5, 1), torch.Generator().manual_seed(self.seed), self.output_relu)
        first, second = (replace(layer, bias=layer.bias.clamp(max=0)) for layer in drawn.layers)
        return MLP((first, replace(second, weight=10 * second.weight.abs())))
