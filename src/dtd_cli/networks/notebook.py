"""``network=notebook``: the network of the seed notebook."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd.networks.initial import initial
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd_cli.config.values import Positive
from dtd_cli.networks.specification import Described

_HIDDEN = 5


@dataclass(frozen=True)
class Notebook(Described):
    """3-5-1, untrained: PyTorch's initialisation with biases clamped to <= 0, and W_2 enlarged.

    The first ``enlarged`` weights of W_2 (null: all) become ``factor`` times their absolute value.

    Source: the seed notebook, seed 2: all, and 10. Its later form: the first 2, and 5.
    """

    enlarged: Annotated[
        Annotated[int, Field(ge=0, le=_HIDDEN)] | None,
        Field(description=f"0 to {_HIDDEN}, or null for all"),
    ]
    factor: Positive

    @property
    def input_size(self) -> int:
        return 3

    def build(self, shape: Shape, output_size: int) -> Network:
        generator = torch.Generator().manual_seed(self.seed)
        drawn = initial((3, _HIDDEN, 1), generator, self.output_relu)
        first, second = (
            replace(layer, bias=layer.bias.clamp(max=0)) for layer in drawn.affine_layers
        )
        weight = second.weight.clone()
        weight[:, : self.enlarged] = self.factor * weight[:, : self.enlarged].abs()
        return Network((first, replace(second, weight=weight)))
