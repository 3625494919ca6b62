"""What inputs in the configuration are: a space, perhaps labelled rows, and samples to explain."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.values import Count


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """The inputs of one run.

    ``names`` of the d features; ``domain`` where the inputs may lie; ``rows`` (N, d) of a data
    set, with ``labels`` (N,) where it has some. Inputs that are drawn have no rows.
    """

    names: tuple[str, ...]
    domain: Domain
    rows: Tensor | None = None
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Inputs(ABC):
    """Settings of the inputs; ``n`` limits the number of samples that are explained."""

    n: Count | None

    @abstractmethod
    def open(self, input_size: int | None) -> Source:
        """The inputs, for a network of ``input_size`` inputs (None: it will follow the data).

        Raises:
            SettingError: the settings name no such inputs.
        """

    def samples(
        self, source: Source, output: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> Tensor:
        """The samples to explain, (n, d).

        Args:
            source: what :meth:`open` gave, with the rows that may be explained.
            output: the explained output f: (N, d) -> (N,).
            generator: for inputs that are drawn.
        """
        assert source.rows is not None, "inputs without rows draw their samples"
        return source.rows[: self.n]
