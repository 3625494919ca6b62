"""``inputs=grid``: a regular grid in the plane."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd.domains import Domain
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Finite
from dtd_cli.inputs.source import Inputs, Source


@dataclass(frozen=True)
class Grid(Inputs):
    """``points`` × ``points`` two-dimensional inputs in the box [low, high]², row by row."""

    points: Annotated[int, Field(ge=2, le=1000)]
    low: Finite
    high: Finite

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise SettingError(
                "inputs.low", self.low, f"allowed is any number below inputs.high={self.high}"
            )

    def open(self, input_size: int | None) -> Source:
        axis = torch.linspace(self.low, self.high, self.points)
        bounds = torch.tensor([[self.low] * 2, [self.high] * 2])
        return Source(("x1", "x2"), Domain(*bounds), torch.cartesian_prod(axis, axis))
