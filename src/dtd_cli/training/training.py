"""What a training is: from a network to a trained one, and the rows to explain."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import field

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.networks.network import Network
from dtd_cli.inputs.source import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A network after training.

    ``held_out`` (n, d) are the rows that are explained: those that training did not see, where it
    held some out. ``figures`` go into the run's summary.
    """

    network: Network
    held_out: Tensor | None
    figures: dict[str, float] = field(default_factory=dict)
    labels: np.ndarray | None = None
    """Those of the rows that are explained, (n,)."""


@dataclass(frozen=True)
class Training(ABC):
    """The settings of a training, and the training itself."""

    @abstractmethod
    def output_size(self, labels: np.ndarray | None) -> int:
        """How many outputs a network for these labels has, unless its settings say it."""

    @abstractmethod
    def __call__(self, network: Network, source: Source, seed: int, progress: bool) -> Trained:
        """The trained network; the one that is given is not changed.

        Raises:
            SettingError: one cannot train on these inputs.
        """
