"""Gates and linear regions of a network (theory, section 1.2).

Two points lie in one region when the gates of every unit from their layer to the output agree;
there the network is affine and its gradient constant.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dtd.networks.network import Network


class Passage(NamedTuple):
    """N points on their way from a layer ``start`` to the output."""

    activations: list[Tensor]
    """Of the layers ``start``..L, each (N, d_l)."""
    gates: list[Tensor]
    """Which gates of the layers ``start + 1``..L are open."""


def passage(network: Network, start: int, a: Tensor) -> Passage:
    """The way of the points ``a`` (N, d) in layer ``start``."""
    way = Passage([a], [])
    for layer in network.layers[start:]:
        z = layer.preactivation(a)
        way.gates.append(layer.gates(a, z))
        a = layer.activation(z)
        way.activations.append(a)
    return way


def gates(network: Network, start: int, a: Tensor) -> list[Tensor]:
    """Which gates of the layers ``start + 1``..L are open at the points ``a`` (N, d)."""
    return passage(network, start, a).gates


def closed_passage(network: Network, start: int, a: Tensor, anchors: Passage) -> Passage:
    """The way of the points ``a`` (N, d); a unit on its kink has the gate of its anchor.

    So a point on the boundary of a region counts to the region, which is closed.
    """
    way = Passage([a], [])
    layers = network.layers[start:]
    for layer, anchor, gate in zip(layers, anchors.activations[:-1], anchors.gates, strict=True):
        z = layer.preactivation(a)
        way.gates.append(layer.closed_gates(a, z, anchor, gate))
        a = layer.activation(z)
        way.activations.append(a)
    return way


def gates_towards(network: Network, points: Tensor, anchors: Tensor) -> list[Tensor]:
    """The gates just beside the points, on their segments to the anchors, both (N, d).

    A unit on its kink at the point has the gate that its slope along the segment gives it: no
    step is taken, and there is no next kink to step over.
    """
    pattern = []
    slope, size = anchors - points, anchors
    for layer in network.layers:
        gate = layer.gates_towards(points, slope, size)
        pattern.append(gate)
        points, slope, size = (
            layer.through(gate, points),
            layer.slope_through(gate, slope),
            layer(size),
        )
    return pattern


def branch(network: Network, pattern: list[Tensor], a: Tensor) -> Tensor:
    """The outputs (N, d_L) at the points ``a`` (N, d) with the gates as given."""
    for layer, gate in zip(network.layers, pattern, strict=True):
        a = layer.through(gate, a)
    return a


def gradient(network: Network, start: int, pattern: list[Tensor], output: int = 0) -> Tensor:
    """The gradient of ``a_L[output]`` by ``a_start`` where the gates are as given, (N, d)."""
    upper = torch.zeros(
        len(pattern[-1]), network.widths[-1], dtype=network.dtype, device=network.device
    )
    upper[:, output] = 1
    for layer, gate in reversed(list(zip(network.layers[start:], pattern, strict=True))):
        upper = layer.pulled(gate, upper)
    return upper
