"""``network=maximum``: max(x1, x2), whose deep Taylor decomposition has a closed form."""

from __future__ import annotations

import torch
from pydantic.dataclasses import dataclass

from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Layer, Network
from dtd_cli.networks.specification import Described


@dataclass(frozen=True)
class Maximum(Described):
    """2-3-1: ``max(x1, x2)`` for positive inputs, as ½ Σ relu(x1 - x2, x2 - x1, x1 + x2).

    Nothing is drawn: the seed has no effect.

    Source: theory, section 7.9 (the closed form of DTD for it).
    """

    @property
    def input_size(self) -> int:
        return 2

    def build(self, shape: Shape, output_size: int) -> Network:
        hidden = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
        return Network(
            (
                Layer(hidden, torch.zeros(3)),
                Layer(torch.full((1, 3), 0.5), torch.zeros(1), self.output_relu),
            )
        )
