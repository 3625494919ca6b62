"""Layers put one on the other: affine maps with nothing between them are one."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import torch

from dtd.errors import InvalidSetting
from dtd.networks.layers.affine import Layer
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.matrices.dense import Dense
from dtd.networks.network import Network

Layers = tuple[AnyLayer, ...]


def is_nonnegative(layers: Layers) -> bool:
    """Whether what the layers give is >= 0."""
    return next((layer.relu for layer in reversed(layers) if layer.is_affine), False)


def appended(layers: Layers, affine: Layer) -> Layers:
    """The layers and an affine map, which is composed with the last of them if that has no ReLU.

    Raises:
        InvalidSetting: the last is a maximum of what may be negative.
    """
    if not layers or is_nonnegative(layers):
        return (*layers, affine)
    *below, last = layers
    if not last.is_affine:
        raise _negative_maximum()
    return (*below, _composed(last, affine))


def shifted(layers: Layers, shift: Layer) -> Layers:
    """The layers and an affine map that only adds: to the bias of the last, if that has no ReLU."""
    if not layers or not layers[-1].is_affine or layers[-1].relu:
        return appended(layers, shift)
    (last,) = Network((layers[-1].to(torch.float64),)).affine_layers
    return (*layers[:-1], replace(last, bias=last.bias + shift.bias))


def averaged(layers: Layers, mean: Layer) -> Layers:
    """The layers and average pooling: a layer of its own behind a ReLU, which changes nothing."""
    return appended(layers, mean.with_relu(is_nonnegative(layers)))


def pooled(layers: Layers, maximum: AnyLayer) -> Layers:
    """The layers and max pooling; its ReLU may come after it.

    Raises:
        InvalidSetting: there is no layer below it.
    """
    if not layers:
        raise _negative_maximum()
    return (*layers, maximum)


def rectified(layers: Layers) -> Layers:
    """The layers with a ReLU after the last affine one: the maximum is that of the ReLUs.

    Raises:
        InvalidSetting: there is none.
    """
    if not layers:
        raise InvalidSetting("model", "ReLU", "it comes before the first affine layer")
    at = next(index for index in reversed(range(len(layers))) if layers[index].is_affine)
    return (*layers[:at], layers[at].with_relu(True), *layers[at + 1 :])


def network(layers: Layers) -> Network:
    """The network of the layers, in the widest of their dtypes, single precision or double.

    Raises:
        InvalidSetting: a maximum is that of what may be negative.
    """
    for above, layer in enumerate(layers):
        if not layer.is_affine and not is_nonnegative(layers[:above]):
            raise _negative_maximum()
    dtype = reduce(torch.promote_types, (layer.dtype for layer in layers), torch.float32)
    return Network(tuple(layer.to(dtype) for layer in layers))


def _composed(below: AnyLayer, above: Layer) -> Layer:
    """``W W' a + (W b' + b)``, in double precision.

    Where one of the two scales channels, the other keeps its form.
    """
    (first,), second = Network((below.to(torch.float64),)).affine_layers, above.to(torch.float64)
    bias = second.preactivation(first.bias.unsqueeze(0)).squeeze(0)
    after, before = (part.form.channel_scale(part.weight) for part in (second, first))
    if after is not None:
        weight, form = first.form.units_scaled(first.weight, after)
    elif before is not None:
        weight, form = second.form.inputs_scaled(second.weight, before)
    else:
        weight = second.matrix.dense() @ first.matrix.dense()
        form = Dense(*(shape if len(shape) > 1 else () for shape in (first.inputs, second.outputs)))
    return Layer(weight, bias, relu=False, form=form)


def _negative_maximum() -> InvalidSetting:
    return InvalidSetting(
        "model",
        "max pooling",
        "its inputs may be negative; allowed is max pooling with a ReLU right before or after it",
    )
