"""Networks that are kept in files.

A file of weights says neither activations nor, as ``.safetensors``, the order of layers. What is
assumed is written at :func:`load`; what is in doubt is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.networks import chain
from dtd.networks.checkpoints import (
    COUNTER,
    DESCRIPTION,
    Checkpoint,
    read_checkpoint,
    refused,
)
from dtd.networks.description import described, network_of
from dtd.networks.network import Layer, Network
from dtd.ranges import check_flag

_EPS = 1e-5
"""Of batch normalisation, as PyTorch has it if not told otherwise; a state dict does not say it."""
_STATISTICS = {"running_mean", "running_var"}
_KINDS = {"weight", "bias", COUNTER, *_STATISTICS}
_PLAIN = (
    "allowed are plain weights: save the module after remove_parametrizations, or explain the "
    "module itself"
)
_FOREIGN = {
    r"weight_[gv]|original[01]": f"belongs to a weight under weight_norm or the like; {_PLAIN}",
    r"weight_(orig|u)|original|_[uv]": f"belongs to a weight under spectral_norm; {_PLAIN}",
    r"(weight|bias)_([ih]h|hr)_l\d+.*": "belongs to a recurrent layer; allowed are linear layers",
    r"in_proj_(weight|bias)|[qkv]_proj_weight|bias_[kv]": "belongs to an attention layer; allowed "
    "are linear layers",
}
"""What the last part of a name tells, where it is no linear layer's."""


def load(
    path: str | Path, output_relu: bool | None = None, layers: Sequence[str] | None = None
) -> Network:
    """The network in a state dict from ``torch.save``, or in a ``.safetensors`` file.

    Linear layers, each a 2-D weight with its bias if it has one, in the order of the file, or in
    that of the numbers in their names, if they differ in numbers only. What the file does not say
    is assumed: between layers there is a ReLU, and after the last one too unless ``output_relu``
    is false. Batch normalisation right after a linear layer (``0`` and ``1`` in a sequence) is
    folded into it, with ``eps=1e-5``. A file that :func:`save` has left of a network with
    convolutions or poolings says all of this itself. No tensor is left out, and no code in the
    file is ever run.

    Args:
        path: the file; the state dict may be an entry of a trainer's checkpoint.
        output_relu: whether the last layer has a ReLU, whatever the file says; None: as it says,
            and a ReLU where it says nothing.
        layers: the names of all layers, from the input up, where the file does not tell their
            order. Normalisation that is named after a layer is folded into it.

    Raises:
        InvalidSetting: the file is missing, or something in it is no such network or in doubt.
    """
    if output_relu is not None:
        check_flag("output_relu", output_relu)
    checkpoint = read_checkpoint(path)
    if checkpoint.description:
        network = _described(path, checkpoint, layers)
        return network if output_relu is None else network.with_output_relu(output_relu)
    parts = _parts(path, checkpoint)
    named = _named(layers, parts) if layers is not None else _ordered(path, parts, checkpoint)
    made: chain.Layers = ()
    for below, part in pairwise([None, *named]):
        assert part is not None
        part.check(below, told=layers is not None, layers=made)
        made = chain.appended(chain.rectified(made) if made and part.is_linear else made, part.map)
    return chain.network(made if output_relu is False else chain.rectified(made))


def save(network: Network, path: Path) -> None:
    """Keep a network as ``.safetensors``, which :func:`load` reads."""
    import safetensors.torch

    # The library's own file is readable by its owner alone.
    text = described(network)
    metadata = {DESCRIPTION: text} if text else None
    path.write_bytes(safetensors.torch.save(network.state_dict(), metadata))


def _described(path: str | Path, checkpoint: Checkpoint, layers: object) -> Network:
    """The network of a file that says what its layers are."""
    if layers is not None:
        raise InvalidSetting("layers", shown(layers), f"{path} tells their order; allowed is none")
    try:
        return network_of(checkpoint.description, checkpoint.tensors)
    except InvalidSetting as error:
        raise refused(
            path,
            f"it is not the network that it describes: {error}; allowed is a file as a run or "
            "dtd.networks.files.save leaves it",
        ) from error


@dataclass(frozen=True, eq=False)
class _Part:
    """One module of a file: a linear layer, or batch normalisation."""

    path: str | Path
    name: str
    tensors: Mapping[str, Tensor]
    """By what they are: ``weight``, ``bias``, ``running_mean``, …"""
    names: Mapping[str, str]
    """Their names in the file."""

    @property
    def is_linear(self) -> bool:
        return not _STATISTICS & self.tensors.keys()

    @property
    def map(self) -> Layer:
        """The affine map, without a ReLU."""
        dtype = torch.float32
        for tensor in self.tensors.values():
            dtype = torch.promote_types(dtype, tensor.dtype)
        given = {kind: tensor.to(dtype) for kind, tensor in self.tensors.items()}
        weight, bias = given.get("weight"), given.get("bias")
        if not self.is_linear:
            mean, variance = given["running_mean"], given["running_var"]
            return chain.normalisation(mean, variance, weight, bias, _EPS)
        assert weight is not None
        return Layer(weight, weight.new_zeros(len(weight)) if bias is None else bias, relu=False)

    def check(self, below: _Part | None, told: bool, layers: chain.Layers) -> None:
        """Refuse what is no layer, or does not go onto the layers below.

        Raises:
            InvalidSetting: with the tensor and what is wrong.
        """
        if self.is_linear:
            self._check_linear()
            inputs = self.tensors["weight"].shape[1]
        else:
            self._check_normalisation(below, told)
            inputs = len(self.tensors["running_mean"])
        if layers and inputs != layers[-1].units:
            raise self._refused(
                "weight" if self.is_linear else "running_mean",
                f"is for {inputs} inputs, and the layer before it has {layers[-1].units} "
                "units; the layers must chain",
            )

    def _check_linear(self) -> None:
        extra = self.tensors.keys() - {"weight", "bias"}
        for kind in [*sorted(extra), *(["bias"] if "weight" not in self.tensors else [])]:
            raise self._refused(
                kind, "belongs to no weight; allowed are weights of linear layers with their biases"
            )
        weight, bias = self.tensors["weight"], self.tensors.get("bias")
        if weight.dim() != 2 or not weight.numel():
            raise self._refused(
                "weight",
                f"has shape {list(weight.shape)}, as that of a normalisation, a PReLU or a "
                "convolution; allowed are the 2-D weights of linear layers",
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            raise self._refused(
                "bias", f"has shape {list(bias.shape)}; allowed is [{len(weight)}], as its weight"
            )

    def _check_normalisation(self, below: _Part | None, told: bool) -> None:
        whole = [{*_STATISTICS}, {*_STATISTICS, "weight", "bias"}]
        first = next(iter(self.tensors))
        if self.tensors.keys() - {COUNTER} not in whole:
            raise self._refused(
                first,
                f"stands with {', '.join(kind for kind in self.tensors if kind != first)}; allowed "
                "are running_mean and running_var, with weight and bias or without both",
            )
        size = self.tensors["running_mean"].shape
        for kind in self.tensors.keys() - {COUNTER}:
            if self.tensors[kind].shape != size or len(size) != 1:
                raise self._refused(
                    kind,
                    f"has shape {list(self.tensors[kind].shape)}; allowed is that of the others of "
                    "its normalisation, one number for each unit",
                )
        if below is None or not (told or _follows(below.name, self.name)):
            raise self._refused(
                "running_mean",
                "is in doubt: the file does not tell whether its normalisation comes before the "
                "ReLU; allowed is its place right after a linear layer, as in a Sequential or in "
                "layers=[…], or explain the module itself",
            )

    def _refused(self, kind: str, reason: str) -> InvalidSetting:
        return refused(self.path, f"{self.names[kind]} {reason}")


def _parts(path: str | Path, checkpoint: Checkpoint) -> list[_Part]:
    """The modules of a file, in the order in which they come."""
    parts: dict[str, dict[str, str]] = {}
    weights: dict[str, str] = {}
    for name, tensor in checkpoint.tensors.items():
        module, _, kind = name.rpartition(".")
        for pattern, reason in _FOREIGN.items():
            if re.fullmatch(pattern, kind):
                raise refused(path, f"{name} {reason}")
        if kind in _KINDS:
            place = module
        elif tensor.dim() == 2:
            place, kind = name, "weight"
            weights[module] = name
        elif checkpoint.ordered and module in weights and kind.startswith("b"):
            place, kind = weights[module], "bias"
        else:
            raise refused(
                path,
                f"{name} of shape {list(tensor.shape)} belongs to no layer that the file tells; "
                "allowed are 2-D weights, each with its bias (NAME.weight and NAME.bias)",
            )
        part = parts.setdefault(place, {})
        if kind in part:
            raise refused(path, f"{name} is a second {kind}, after {part[kind]}; allowed is one")
        part[kind] = name
    return [
        _Part(path, place, {kind: checkpoint.tensors[n] for kind, n in names.items()}, names)
        for place, names in parts.items()
    ]


def _ordered(path: str | Path, parts: list[_Part], checkpoint: Checkpoint) -> list[_Part]:
    """The modules in their order, which the file or the numbers in their names tell."""
    names = [part.name for part in parts]
    numbers = {name: [int(number) for number in re.findall(r"\d+", name)] for name in names}
    by_number = sorted(parts, key=lambda part: numbers[part.name])
    numbered = len({re.sub(r"\d+", "#", name) for name in names}) == 1
    if numbered and (by_number == parts or not checkpoint.ordered):
        return by_number
    if checkpoint.ordered and not numbered:
        return parts
    why = "the numbers of its layers are not in order" if numbered else "it keeps no order"
    raise refused(
        path,
        f"{why}, so that of {', '.join(_short(names))} is in doubt; allowed is "
        "layers=[…] with these names from the input up",
    )


def _named(layers: Sequence[str], parts: list[_Part]) -> list[_Part]:
    """The modules in the order that the caller gives."""
    names = [part.name for part in parts]
    found = dict(zip(names, parts, strict=True)) | dict(zip(_short(names), parts, strict=True))
    listed = isinstance(layers, list | tuple) and all(isinstance(name, str) for name in layers)
    chosen = [found.get(name) for name in layers] if listed else []
    known = [part for part in chosen if part is not None]
    if not listed or len(known) != len(chosen) or sorted(p.name for p in known) != sorted(names):
        raise InvalidSetting(
            "layers",
            f"[{','.join(layers)}]" if listed else shown(layers),
            f"allowed is a list of {', '.join(_short(names))}, each once, from the input up",
        )
    return known


def _short(names: Sequence[str]) -> list[str]:
    """The names without what all of them begin with, as ``model.``."""
    parents = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, parents)))
    return [".".join(name.split(".")[shared:]) for name in names]


def _follows(below: str, above: str) -> bool:
    """Whether two modules are neighbours in a sequence, as ``net.0`` and ``net.1``."""
    (where, _, first), (place, _, second) = below.rpartition("."), above.rpartition(".")
    numbers = first.isdecimal() and second.isdecimal()
    return where == place and numbers and int(second) == int(first) + 1
