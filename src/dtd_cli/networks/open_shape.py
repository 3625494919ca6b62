"""Networks that the user brings, which may leave the shape of their inputs to the data."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod

from dtd.errors import InvalidSetting, OpenShape
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.specification import NetworkSpec


@dataclass(frozen=True)
class MayBeOpen(NetworkSpec):
    """A network that is there already. Where it leaves the shape of its inputs open, it has that
    of the data."""

    @property
    def has_weights(self) -> bool:
        return True

    @property
    def input_size(self) -> int | None:
        told = self.told
        return None if told is None else told.widths[0]

    @property
    def told(self) -> Network | None:
        """The network whose shape is known without data; None where it is open.

        Raises:
            SettingError: there is no such network.
        """
        try:
            return self.read(None)
        except OpenShape:
            return None
        except SettingError:
            raise
        except InvalidSetting as error:
            raise self.refused(self.reason(error)) from error

    def build(self, shape: Shape, output_size: int) -> Network:
        told = self.told
        if told is not None and (told.widths[0] == prod(shape) or len(shape) == 1):
            return told
        if len(shape) == 1:
            raise self.refused(
                f"{self.open}, and the data are {shape[0]} numbers and no images; allowed are "
                "inputs=mnist, inputs=digits, inputs=csv with inputs.image=[height,width], or "
                f"{self.otherwise}"
            )
        try:
            return self.read(shape)
        except InvalidSetting as error:
            size = " x ".join(map(str, shape))
            raise self.refused(f"with the data's images of {size}: {self.reason(error)}") from error

    @property
    @abstractmethod
    def open(self) -> str:
        """What leaves the shape open, in words."""

    @property
    @abstractmethod
    def otherwise(self) -> str:
        """What else the user may do where the data are no images."""

    @abstractmethod
    def read(self, shape: Shape | None) -> Network:
        """The network for samples of the shape; it is read once in a process.

        Raises:
            InvalidSetting: there is no such network, or, as :class:`OpenShape`, it leaves the shape
                open.
        """

    @abstractmethod
    def reason(self, error: InvalidSetting) -> str:
        """What is wrong, without the name of the network."""

    @abstractmethod
    def refused(self, reason: str) -> SettingError:
        """The refusal of the setting that names the network."""
