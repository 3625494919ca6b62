"""``inputs=notebook``: the input of the seed notebook."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.inputs.source import Inputs, Source


@dataclass(frozen=True)
class NotebookInputs(Inputs):
    """``x = max(0, 0.25 randn(n, 3) + 3)``, nonnegative. Source: the seed notebook."""

    def open(self, input_size: int | None) -> Source:
        return Source(("x1", "x2", "x3"), Domain.nonnegative(3), draw=self._drawn)

    def _drawn(self, output: Callable[[Tensor], Tensor], generator: torch.Generator) -> Tensor:
        return (0.25 * torch.randn(self.n or 1, 3, generator=generator) + 3).clamp(min=0)
