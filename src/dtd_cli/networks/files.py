"""``network=file``: weights that the user brings; and how a network is kept."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from dtd.networks.network import Layer, Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.specification import NetworkSpec


@dataclass(frozen=True)
class File(NetworkSpec):
    """A state dict from ``torch.save`` or a ``.safetensors`` file; sizes follow from it.

    Its 2-D tensors, in their order, are the weights, each followed by its bias. No code in the
    file is ever run.
    """

    path: str

    @property
    def input_size(self) -> int:
        return self._layers[0].weight.shape[1]

    def build(self, input_size: int, output_size: int) -> Network:
        return Network(self._layers)

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        layers: list[Layer] = []
        for name, tensor in read_tensors(self.path).items():
            if not tensor.isfinite().all():
                raise self._refused(f"{name} has NaN or infinite entries; allowed are finite ones")
            if tensor.dim() == 2:
                layers.append(Layer(tensor, torch.zeros_like(tensor[:, 0])))
            elif layers and tensor.shape == layers[-1].bias.shape:
                layers[-1] = replace(layers[-1], bias=tensor)
            else:
                raise self._refused(
                    f"{name} has shape {list(tensor.shape)}; allowed are 2-D weights, each "
                    "followed by its bias"
                )
        if not layers:
            raise self._refused("it holds no weights; allowed are 2-D weights, each with its bias")
        for below, above in pairwise(layers):
            if above.weight.shape[1] != below.weight.shape[0]:
                raise self._refused(
                    f"a layer of {below.weight.shape[0]} units is followed by weights for "
                    f"{above.weight.shape[1]} inputs; the layers must chain"
                )
        return (*layers[:-1], replace(layers[-1], relu=self.output_relu))

    def _refused(self, reason: str) -> SettingError:
        return SettingError("network.path", self.path, reason)


def read_tensors(path: str) -> dict[str, Tensor]:
    """Tensors of any shape by name, in their order, from a state dict or ``.safetensors`` file.

    Raises:
        SettingError: the file is missing or is neither of the two.
    """
    if not Path(path).is_file():
        raise SettingError("network.path", path, "no such file; allowed is a file with weights")
    try:
        if Path(path).suffix == ".safetensors":
            loaded = _in_layer_order(safetensors.torch.load_file(path))
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise SettingError("network.path", path, _UNREADABLE) from error
    if not isinstance(loaded, dict) or not all(
        isinstance(tensor, Tensor) and tensor.is_floating_point() for tensor in loaded.values()
    ):
        raise SettingError("network.path", path, _UNREADABLE)
    return loaded


_UNREADABLE = (
    "not a file of weights; allowed is a state dict (torch.save(net.state_dict(), path)) "
    "or a .safetensors file"
)


def _in_layer_order(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ``.safetensors`` file keeps no order: by layer name, 10 after 9, weight before bias."""

    def key(name: str) -> tuple[list[int | str], int]:
        parts = re.split(r"(\d+)", name.rpartition(".")[0])
        return [int(part) if part.isdigit() else part for part in parts], -tensors[name].dim()

    return {name: tensors[name] for name in sorted(tensors, key=key)}


def write_network(network: Network, path: Path) -> None:
    """Keep a network as ``.safetensors``, readable by ``network=file``."""
    # The library's own file is readable by its owner alone.
    path.write_bytes(safetensors.torch.save(network.state_dict()))
