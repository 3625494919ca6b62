"""What training in the configuration is: a trained network and what it was tested on."""

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

    ``held_out`` are the rows of the data that training did not see; they are explained.
    ``figures`` go into the run's summary.
    """

    network: Network
    held_out: Tensor | None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Training(ABC):
    """Settings of a training."""

    @abstractmethod
    def output_size(self, labels: np.ndarray | None) -> int:
        """How many outputs a network for these labels needs, if it does not say itself."""

    @abstractmethod
    def __call__(self, network: Network, source: Source, seed: int, progress: bool) -> Trained:
        """The trained network; the one that is given stays as it is.

        Raises:
            SettingError: the inputs are none to train on.
        """
