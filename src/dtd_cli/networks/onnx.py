"""``network=onnx``: an ONNX file that the user brings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dtd.errors import InvalidSetting
from dtd.networks.network import Network
from dtd.networks.onnx.reading import read
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import FilePath
from dtd_cli.networks.digest import digest
from dtd_cli.networks.given import Given


@dataclass(frozen=True)
class Onnx(Given):
    """An ONNX file, which says its layers and its activations; needs the package ``onnx``."""

    path: FilePath

    @property
    def network(self) -> Network:
        return _read(self.path, str(Path.cwd()))

    @property
    def sources(self) -> dict[str, str]:
        # Weights may lie beside the file.
        return {"network.path": digest(self.network)}


@cache
def _read(path: str, folder: str) -> Network:
    """The network in a file; it is read once in a process.

    Raises:
        SettingError: with what is wrong, in one line.
    """
    try:
        return read(path)
    except InvalidSetting as error:
        raise SettingError(f"network.{error.argument}", error.value, error.allowed) from error
