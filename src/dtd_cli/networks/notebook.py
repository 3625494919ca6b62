"""``network=notebook``: the network of the seed notebook."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from dtd.networks.initial import initial
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.specification import NetworkSpec

_HIDDEN = 5


@dataclass(frozen=True)
class Notebook(NetworkSpec):
    """3-5-1: PyTorch's initialisation, biases clamped to <= 0, and W_2 enlarged; untrained.

    The first ``enlarged`` weights of W_2 (null: all) become ``factor`` times their absolute value.

    Source: the seed notebook, seed 2: all, and 10. Its later form: the first 2, and 5.
    """

    enlarged: int | None
    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.enlarged is not None and not 0 <= self.enlarged <= _HIDDEN:
            raise SettingError(
                "network.enlarged", self.enlarged, f"allowed are 0 to {_HIDDEN}, or null for all"
            )
        if not 0 < self.factor < math.inf:
            raise SettingError("network.factor", self.factor, "allowed is any number > 0")

    @property
    def input_size(self) -> int:
        return 3

    def build(self, input_size: int, output_size: int) -> Network:
        generator = torch.Generator().manual_seed(self.seed)
        drawn = initial((3, _HIDDEN, 1), generator, self.output_relu)
        first, second = (replace(layer, bias=layer.bias.clamp(max=0)) for layer in drawn.layers)
        weight = second.weight.clone()
        weight[:, : self.enlarged] = self.factor * weight[:, : self.enlarged].abs()
        return Network((first, replace(second, weight=weight)))
