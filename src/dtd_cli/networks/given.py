"""Networks that the user brings: their sizes follow from them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd_cli.networks.specification import NetworkSpec


@dataclass(frozen=True)
class Given(NetworkSpec):
    """A network that is there already; sizes of the data are not asked for."""

    @property
    def has_weights(self) -> bool:
        return True

    @property
    def input_size(self) -> int:
        return self.network.widths[0]

    def build(self, shape: Shape, output_size: int) -> Network:
        return self.network

    @property
    @abstractmethod
    def network(self) -> Network:
        """The network, which is read once.

        Raises:
            SettingError: there is no such network.
        """
