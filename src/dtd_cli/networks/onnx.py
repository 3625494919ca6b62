"""``network=onnx``: an ONNX file that the user brings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd.networks.onnx.reading import read
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import FilePath
from dtd_cli.networks.digest import digest
from dtd_cli.networks.open_shape import MayBeOpen


@dataclass(frozen=True)
class Onnx(MayBeOpen):
    """An ONNX file, which says its layers and its activations; needs the package ``onnx``.

    Where the axes of its images are dynamic, their sizes are those of the data's images.
    """

    path: FilePath

    @property
    def sources(self) -> dict[str, str]:
        # Weights may lie beside the file.
        told = self.told
        return {"network.path": _digest(self.path) if told is None else digest(told)}

    @property
    def open(self) -> str:
        return "its height and width are dynamic axes"

    @property
    def otherwise(self) -> str:
        return "an export without dynamic axes but the batch"

    def read(self, shape: Shape | None) -> Network:
        return _read(self.path, str(Path.cwd()), shape)

    def reason(self, error: InvalidSetting) -> str:
        return error.allowed

    def refused(self, reason: str) -> SettingError:
        return SettingError("network.path", self.path, reason)


@cache
def _read(path: str, folder: str, shape: Shape | None) -> Network:
    """The network in a file, for samples of the shape; it is read once in a process."""
    return read(path, shape)


def _digest(path: str) -> str:
    """SHA-256 of a file that holds a graph, with the weights beside it."""
    import onnx

    return hashlib.sha256(onnx.load(path).SerializeToString(deterministic=True)).hexdigest()
