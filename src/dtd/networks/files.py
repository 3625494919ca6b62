"""Networks that are kept in files."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.networks.network import Layer, Network
from dtd.ranges import check_flag, is_dense

_UNREADABLE = (
    "not a file of weights; allowed is a state dict (torch.save(net.state_dict(), path)) "
    "or a .safetensors file"
)


def load(path: str | Path, output_relu: bool = True) -> Network:
    """The network in a state dict from ``torch.save``, or in a ``.safetensors`` file.

    The 2-D tensors of the file, in their order, are the weights, each followed by its bias.
    Between layers there is a ReLU, and after the last one too unless ``output_relu`` is false.
    No code in the file is ever run.

    Raises:
        InvalidSetting: the file is missing, or holds no such network.
    """
    check_flag("output_relu", output_relu)
    tensors = read_tensors(path)
    try:
        layers = _layers(path, tensors)
        return Network((*layers[:-1], replace(layers[-1], relu=output_relu)))
    except InvalidSetting as error:
        raise _refused(path, error.allowed) from error


def _layers(path: str | Path, tensors: dict[str, Tensor]) -> list[Layer]:
    layers: list[Layer] = []
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise _refused(path, f"{name} has NaN or infinite entries; allowed are finite ones")
        if tensor.dim() == 2:
            layers.append(Layer(tensor, torch.zeros_like(tensor[:, 0])))
        elif layers and tensor.shape == layers[-1].bias.shape:
            layers[-1] = replace(layers[-1], bias=tensor)
        else:
            raise _refused(
                path,
                f"{name} has shape {list(tensor.shape)}; allowed are 2-D weights, each "
                "followed by its bias",
            )
    if not layers:
        raise _refused(path, "it holds no weights; allowed are 2-D weights, each with its bias")
    return layers


def save(network: Network, path: Path) -> None:
    """Keep a network as ``.safetensors``, which :func:`load` reads."""
    import safetensors.torch

    # The library's own file is readable by its owner alone.
    path.write_bytes(safetensors.torch.save(network.state_dict()))


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors of any shape by name, in their order, from a state dict or ``.safetensors`` file.

    Raises:
        InvalidSetting: the file is missing or is neither of the two.
    """
    import safetensors.torch

    if not isinstance(path, str | os.PathLike):
        raise _refused(shown(path), "allowed is the path of a file with weights")
    try:
        if not Path(path).is_file():
            raise FileNotFoundError(path)
        if Path(path).suffix == ".safetensors":
            loaded = _in_layer_order(safetensors.torch.load_file(path))
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise _refused(path, "no such file; allowed is a file with weights") from error
    # What is no such file breaks its readers in every way.
    except Exception as error:
        raise _refused(path, _UNREADABLE) from error
    if not isinstance(loaded, dict) or not all(
        isinstance(tensor, Tensor) and is_dense(tensor) and tensor.is_floating_point()
        for tensor in loaded.values()
    ):
        raise _refused(path, _UNREADABLE)
    return loaded


def _refused(path: object, reason: str) -> InvalidSetting:
    return InvalidSetting("path", path, reason)


def _in_layer_order(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ``.safetensors`` file keeps no order: by layer name, 10 after 9, weight before bias."""

    def key(name: str) -> tuple[list[int | str], int]:
        parts = re.split(r"(\d+)", name.rpartition(".")[0])
        return [int(part) if part.isdigit() else part for part in parts], -tensors[name].dim()

    return {name: tensors[name] for name in sorted(tensors, key=key)}
