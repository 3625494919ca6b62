"""What can be done to PyTorch's default initialisation of a layer."""

from __future__ import annotations

from dataclasses import replace

import torch

from dtd.networks.network import Layer


def _unchanged(layer: Layer) -> Layer:
    return layer


def _nonpositive_bias(layer: Layer) -> Layer:
    return replace(layer, bias=-layer.bias.abs())


def _no_bias(layer: Layer) -> Layer:
    return replace(layer, bias=torch.zeros_like(layer.bias))


INITIALISERS = {
    "default": _unchanged,
    "nonpositive_bias": _nonpositive_bias,
    "no_bias": _no_bias,
}
"""What is done to PyTorch's default initialisation of each layer."""
