"""What tensors alone do not tell of a network's layers, as text beside them in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import prod

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.layers.maximum import Maximum
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.dense import DENSE, Dense
from dtd.networks.matrices.windows import Shape, Windows
from dtd.networks.network import Layer, Network
from dtd.networks.steps import chain
from dtd.ranges import Range, check_flag

_MOST_CHARACTERS, _MOST_PLACES = 2**22, 2**28
_SIZE, _PADDING = Range(1, integer=True, below=2**20), Range(0, integer=True, below=2**20)


def described(network: Network) -> str:
    """The layers of a network as JSON; empty where they are dense, with ReLUs between them.

    Of those the tensors tell all but whether the last has a ReLU.
    """
    *hidden, last = network.layers
    if all(layer.form == DENSE and layer.relu for layer in (*hidden, last.with_relu(True))):
        return ""
    layers = [
        {"kind": layer.kind, "relu": bool(layer.relu), **asdict(layer.form)}
        for layer in network.layers
    ]
    return json.dumps(layers)


def network_of(text: str, tensors: Mapping[str, Tensor]) -> Network:
    """The network that :func:`described` tells, with the tensors of its state dict.

    Raises:
        InvalidSetting: the text is no such description, or not that of these tensors.
    """
    left = dict(tensors)
    layers = tuple(
        _layer(f"layer {index + 1}", fields, left, f"{2 * index}.")
        for index, fields in enumerate(_listed(text))
    )
    for name in left:
        raise InvalidSetting("tensor", name, "it belongs to none of the layers")
    return chain.network(layers)


def _listed(text: str) -> list[object]:
    try:
        layers = json.loads(text) if len(text) <= _MOST_CHARACTERS else None
    except (ValueError, RecursionError):
        layers = None
    if not isinstance(layers, list) or not layers:
        raise InvalidSetting("its description", shown(text), "allowed is a list of layers as JSON")
    return layers


def _layer(name: str, fields: object, left: dict[str, Tensor], prefix: str) -> AnyLayer:
    """The layer of a description; its tensors are taken out of those that are left."""
    kind = fields.get("kind") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidSetting(name, shown(kind), f"allowed are {', '.join(_KINDS)}")
    check_flag(f"{name}.relu", fields.get("relu"))
    given = {key: value for key, value in fields.items() if key not in ("kind", "relu")}
    layer = _KINDS[kind](_Fields(name, given), fields["relu"], left, prefix)
    if min(layer.outputs) < 1 or max(layer.size, layer.units) > _MOST_PLACES:
        raise InvalidSetting(name, f"{layer.inputs} to {layer.outputs}", "no such layer can be")
    return layer


class _Fields:
    """The fields of a form, as a file has them, read one by one."""

    def __init__(self, name: str, given: object) -> None:
        self.name, self.given = name, dict(given) if isinstance(given, dict) else {}

    def shape(self, field: str, entries: tuple[int, ...], allowed: Range = _SIZE) -> Shape:
        """A list of as many numbers as one of ``entries``."""
        value = self.given.pop(field, None)
        if not (
            isinstance(value, list)
            and len(value) in entries
            and all(entry in allowed for entry in value)
        ):
            raise self.refused(field, value)
        return tuple(value)

    def number(self, field: str) -> int:
        """A positive integer."""
        value = self.given.pop(field, None)
        if value not in _SIZE:
            raise self.refused(field, value)
        return int(value)

    def inside(self, field: str) -> _Fields:
        """The fields of a field."""
        return _Fields(f"{self.name}.{field}", self.given.pop(field, None))

    def end(self) -> None:
        """Refuse what has not been read."""
        for field, value in self.given.items():
            raise self.refused(field, value)

    def refused(self, field: str, value: object) -> InvalidSetting:
        """The refusal of a field."""
        return InvalidSetting(f"{self.name}.{field}", shown(value), "no such layer can be")


def _dense(fields: _Fields, relu: bool, left: dict[str, Tensor], prefix: str) -> AnyLayer:
    form = Dense(*(fields.shape(name, (0, 2, 3)) for name in ("images", "unit_images")))
    fields.end()
    weight = _taken(left, f"{prefix}weight")
    for name, image, size in zip(
        ("images", "unit_images"), (form.images, form.unit_images), weight.shape[::-1], strict=False
    ):
        if image and prod(image) != size:
            raise fields.refused(name, list(image))
    return Layer(weight, _taken(left, f"{prefix}bias"), relu, form)


def _convolution(fields: _Fields, relu: bool, left: dict[str, Tensor], prefix: str) -> AnyLayer:
    image = fields.shape("image", (2, 3))
    each = (len(image) - 1,)
    form = Convolution(
        image,
        fields.shape("stride", each),
        fields.shape("padding", each, _PADDING),
        fields.shape("dilation", each),
        fields.number("groups"),
    )
    fields.end()
    return Layer(_taken(left, f"{prefix}weight"), _taken(left, f"{prefix}bias"), relu, form)


def _average(fields: _Fields, relu: bool, left: dict[str, Tensor], prefix: str) -> AnyLayer:
    form = _pooling(fields)
    return Layer(_taken(left, f"{prefix}weight"), _taken(left, f"{prefix}bias"), relu, form)


def _maximum(fields: _Fields, relu: bool, left: dict[str, Tensor], prefix: str) -> AnyLayer:
    if relu:
        raise fields.refused("relu", relu)
    return Maximum(_pooling(fields), torch.ones(1))


def _pooling(fields: _Fields) -> Averaging:
    image = fields.shape("image", (2, 3))
    each, inner = (len(image) - 1,), fields.inside("windows")
    windows = Windows(
        inner.shape("image", each),
        inner.shape("size", each),
        inner.shape("stride", each),
        inner.shape("padding", each, _PADDING),
        inner.shape("dilation", each),
    )
    inner.end()
    fields.end()
    if windows.image != image[1:] or not windows.reach_the_image:
        raise fields.refused("windows", windows.size)
    return Averaging(image, windows)


def _taken(left: dict[str, Tensor], name: str) -> Tensor:
    if name not in left:
        raise InvalidSetting("tensor", name, "it is missing")
    return left.pop(name)


_KINDS: Mapping[str, Callable[[_Fields, bool, dict[str, Tensor], str], AnyLayer]] = {
    "dense": _dense,
    "convolution": _convolution,
    "average": _average,
    "maximum": _maximum,
}
"""For each kind of layer what reads it."""
