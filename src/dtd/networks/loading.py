"""``dtd.load``: a network from a file of any kind that is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dtd.errors import InvalidSetting, shown
from dtd.networks.files import state_dicts
from dtd.networks.network import Network
from dtd.ranges import check_flag, shape_of

ONNX = ".onnx"


def load(
    path: str | Path,
    output_relu: bool | None = None,
    layers: Sequence[str] | None = None,
    input_shape: Sequence[int] | None = None,
) -> Network:
    """The network in an ONNX file (``.onnx``), in a state dict, or in a ``.safetensors`` file.

    An ONNX file says all of its network: a chain of layers, which is compared with what the package
    ``onnx`` computes. It takes no ``layers``, and ``input_shape``, that of one sample, where the
    axes of its images are dynamic. What the others are to hold, and the arguments, are
    those of :func:`dtd.networks.files.state_dicts.load`.

    Raises:
        InvalidSetting: the file is missing, or something in it is no such network or in doubt.
    """
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != ONNX:
        if input_shape is not None:
            raise InvalidSetting("input_shape", shown(input_shape), "it is for ONNX files alone")
        return state_dicts.load(path, output_relu, layers)
    if output_relu is not None:
        check_flag("output_relu", output_relu)
    if layers is not None:
        raise InvalidSetting("layers", shown(layers), "allowed are none: an ONNX file says them")
    from dtd.networks.onnx.reading import read

    network = read(path, None if input_shape is None else shape_of(input_shape))
    return network if output_relu is None else network.with_output_relu(output_relu)
