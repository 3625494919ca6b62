"""Settings that build a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd_cli.config.values import Count, OneOf, Seed
from dtd_cli.networks.initialisers import INITIALISERS

Hidden = Annotated[list[Count], Field(description="a list of widths >= 1, or [] for none")]


@dataclass(frozen=True)
class NetworkSpec(ABC):
    """The settings of a network, and the network that they stand for."""

    @property
    @abstractmethod
    def input_size(self) -> int | None:
        """The number of inputs; None where it follows from the data."""

    @property
    def has_weights(self) -> bool:
        """Whether the network comes with weights of its own; others are drawn."""
        return False

    @property
    def assumed(self) -> str:
        """What is assumed of the network, for the log; empty where nothing is."""
        return ""

    @property
    def sources(self) -> dict[str, str]:
        """A digest of what a setting names, where that is more than a file at its ``path``.

        Raises:
            SettingError: there is no such network.
        """
        return {}

    @abstractmethod
    def build(self, shape: Shape, output_size: int) -> Network:
        """The network, in float32 unless it is a file's.

        The data has inputs of a ``shape``, (d,) or (channels, height, width), and asks for
        ``output_size`` outputs. A network of fixed size ignores both.

        Raises:
            SettingError: there is no such network.
        """


@dataclass(frozen=True)
class Described(NetworkSpec):
    """A network whose settings say what it is drawn with, and the activation of its last layer."""

    seed: Seed
    output_activation: Literal["relu", "linear"]

    @property
    def output_relu(self) -> bool:
        """Whether the last layer has a ReLU too."""
        return self.output_activation == "relu"


@dataclass(frozen=True)
class EndsInDense(Described):
    """A network that follows its data and ends in dense layers: ``hidden``, then ``outputs`` units.

    ``init`` is what is done to each layer that is drawn.
    """

    hidden: Hidden
    outputs: Count | None
    init: Annotated[str, OneOf(INITIALISERS)]

    @property
    def input_size(self) -> int | None:
        return None
