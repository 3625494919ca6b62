"""What a network in the configuration is: settings that build an Network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from pydantic.dataclasses import dataclass

from dtd.networks.network import Network
from dtd_cli.config.values import Seed


@dataclass(frozen=True)
class NetworkSpec(ABC):
    """Settings that every network has, and how it is built."""

    seed: Seed
    output_activation: Literal["relu", "linear"]

    @property
    def output_relu(self) -> bool:
        """Whether the last layer has a ReLU too."""
        return self.output_activation == "relu"

    @property
    @abstractmethod
    def input_size(self) -> int | None:
        """The number of inputs; None where it follows from the data."""

    @abstractmethod
    def build(self, input_size: int, output_size: int) -> Network:
        """The network, in float32 unless a file says otherwise.

        The sizes are those of the data; a network of fixed size does not read them.

        Raises:
            SettingError: there is no such network.
        """
