"""Layers put one on the other: affine maps with nothing between them are one."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from dtd.networks.network import Layer, Network

Layers = tuple[Layer, ...]


def appended(layers: Layers, affine: Layer) -> Layers:
    """The layers and an affine map, which is composed with the last of them if that has no ReLU."""
    if not layers or layers[-1].relu:
        return (*layers, affine)
    return (*layers[:-1], _composed(layers[-1], affine))


def rectified(layers: Layers) -> Layers:
    """The layers with a ReLU after the last."""
    return (*layers[:-1], replace(layers[-1], relu=True))


def normalisation(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Layer:
    """Batch normalisation in evaluation mode, an affine map with a diagonal matrix.

    ``(a - mean) / sqrt(variance + eps) * weight + bias`` in double precision; all tensors are
    (units,), and without ``weight`` and ``bias`` nothing is scaled or added.
    """
    scale = (variance.double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    return Layer(scale.diag(), shift, relu=False)


def network(layers: Layers) -> Network:
    """The network of the layers, in the widest of their dtypes, single precision or double."""
    dtypes = (layer.weight.dtype for layer in layers)
    dtype = reduce(torch.promote_types, dtypes, torch.float32)
    return Network(tuple(layer.to(dtype) for layer in layers))


def _composed(below: Layer, above: Layer) -> Layer:
    """``W W' a + (W b' + b)``, in double precision."""
    first, second = below.to(torch.float64), above.to(torch.float64)
    bias = second.weight @ first.bias + second.bias
    return Layer(second.weight @ first.weight, bias, relu=False)
