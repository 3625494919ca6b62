"""``network=file``: weights that the user brings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dtd.errors import InvalidSetting
from dtd.networks.files import load
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.specification import NetworkSpec


@dataclass(frozen=True)
class File(NetworkSpec):
    """A state dict from ``torch.save`` or a ``.safetensors`` file; sizes follow from it."""

    path: str

    @property
    def input_size(self) -> int:
        return self._network.widths[0]

    def build(self, input_size: int, output_size: int) -> Network:
        return self._network

    @cached_property
    def _network(self) -> Network:
        try:
            return load(self.path, self.output_relu)
        except InvalidSetting as error:
            raise SettingError("network.path", error.value, error.allowed) from error
