"""``inputs=positive``: random nonnegative inputs that the network answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.errors import SettingError
from dtd_cli.inputs.source import Inputs, Source

_BATCH = 1000
_TRIES = 100


@dataclass(frozen=True)
class Positive(Inputs):
    """|N(0, I)|, drawn until ``n`` of them have f > ``threshold``.

    ``features`` defaults to the number that the network takes.

    Source: RS (experiments).
    """

    threshold: float
    features: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.threshold):
            raise SettingError("inputs.threshold", self.threshold, "allowed is any finite number")
        if self.features is not None and self.features < 1:
            raise SettingError("inputs.features", self.features, "allowed is any integer >= 1")

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
        return Source(names, Domain.nonnegative(size))

    def samples(
        self, source: Source, output: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> Tensor:
        """The first (n, d) that the network answers, of batches of 1000.

        Raises:
            SettingError: fewer of 100 000 inputs have f above the threshold.
        """
        wanted = self.n or 1
        kept: list[Tensor] = []
        for _ in range(_TRIES):
            drawn = torch.randn(_BATCH, len(source.names), generator=generator).abs()
            kept.append(drawn[output(drawn) > self.threshold])
            if sum(map(len, kept)) >= wanted:
                return torch.cat(kept)[:wanted]
        raise SettingError(
            "inputs.threshold",
            self.threshold,
            f"only {sum(map(len, kept))} of {_BATCH * _TRIES} random inputs have f above it, "
            f"{wanted} are wanted; try another network.seed or explain.output",
        )
