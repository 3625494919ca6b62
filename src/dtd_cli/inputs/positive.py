"""``inputs=positive``: random nonnegative inputs with f above a threshold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Finite, Size
from dtd_cli.inputs.source import Inputs, Source

_BATCH = 1000
_TRIES = 100


@dataclass(frozen=True)
class Positive(Inputs):
    """|N(0, I)|, drawn until ``n`` of them have f > ``threshold``.

    ``features`` defaults to the number that the network takes.

    Source: RS (experiments).
    """

    threshold: Finite
    features: Size | None

    def open(self, input_size: int | None) -> Source:
        size = self.features or input_size
        if size is None:
            raise SettingError(
                "inputs.features",
                self.features,
                "this network takes its size from the inputs: set their number, e.g. "
                "inputs.features=10",
            )
        names = tuple(f"x{index + 1}" for index in range(size))
        return Source(names, Domain.nonnegative(size), draw=partial(self._drawn, size))

    def _drawn(
        self, size: int, output: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> Tensor:
        """The first n inputs of this size with f above the threshold, (n, d).

        Raises:
            SettingError: fewer than n of 100,000 inputs have f above the threshold.
        """
        wanted = self.n or 1
        kept: list[Tensor] = []
        for _ in range(_TRIES):
            drawn = torch.randn(_BATCH, size, generator=generator).abs()
            kept.append(drawn[output(drawn) > self.threshold])
            if sum(map(len, kept)) >= wanted:
                return torch.cat(kept)[:wanted]
        raise SettingError(
            "inputs.threshold",
            self.threshold,
            f"only {sum(map(len, kept))} of {_BATCH * _TRIES} random inputs have f above it, "
            f"{wanted} are wanted; try another network.seed or explain.output",
        )
