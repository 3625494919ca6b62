"""The modules whose tensors a state dict holds: linear layers and batch normalisation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.files.checkpoints import COUNTER, Checkpoint, refused
from dtd.networks.layers.affine import Layer
from dtd.networks.steps.affine_maps import normalisation
from dtd.networks.steps.chain import Layers

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


@dataclass(frozen=True, eq=False)
class Part:
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
            return normalisation(mean, variance, weight, bias, _EPS)
        assert weight is not None
        return Layer(weight, weight.new_zeros(len(weight)) if bias is None else bias, relu=False)

    def check(self, below: Part | None, told: bool, layers: Layers) -> None:
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

    def _check_normalisation(self, below: Part | None, told: bool) -> None:
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


def parts_of(path: str | Path, checkpoint: Checkpoint) -> list[Part]:
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
        Part(path, place, {kind: checkpoint.tensors[n] for kind, n in names.items()}, names)
        for place, names in parts.items()
    ]


def _follows(below: str, above: str) -> bool:
    """Whether two modules are neighbours in a sequence, as ``net.0`` and ``net.1``."""
    (where, _, first), (place, _, second) = below.rpartition("."), above.rpartition(".")
    numbers = first.isdecimal() and second.isdecimal()
    return where == place and numbers and int(second) == int(first) + 1
