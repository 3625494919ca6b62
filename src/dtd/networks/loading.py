"""``dtd.load``: a network from a file of any kind that is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dtd.errors import InvalidSetting, shown
from dtd.networks import files
from dtd.networks.network import Network

ONNX = ".onnx"
_SAID = "allowed is none for an ONNX file, which says it itself"


def load(
    path: str | Path, output_relu: bool = True, layers: Sequence[str] | None = None
) -> Network:
    """The network in an ONNX file (``.onnx``), in a state dict, or in a ``.safetensors`` file.

    An ONNX file says all of its network: a chain of layers, which is compared with what the package
    ``onnx`` computes. It takes no ``layers``, and keeps its own activations. What the others are
    to hold, and the arguments, are those of :func:`dtd.networks.files.load`.

    Raises:
        InvalidSetting: the file is missing, or something in it is no such network or in doubt.
    """
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != ONNX:
        return files.load(path, output_relu, layers)
    if output_relu is not True:
        raise InvalidSetting("output_relu", shown(output_relu), _SAID)
    if layers is not None:
        raise InvalidSetting("layers", shown(layers), _SAID)
    from dtd.networks.onnx.reading import read

    return read(path)
