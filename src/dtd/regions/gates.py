"""Gates and linear regions of a network (theory, section 1.2).

Two points lie in one region when the gates of every unit from their layer to the output agree;
there the network is affine and its gradient constant.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    sizes: list[Tensor]
    """Of these layers, the sizes (N, d_l) against which rounding in pre-activations is measured."""

    def from_layer(self, start: int) -> Passage:
        """The rest of the way, from the layer ``start`` steps on."""
        return Passage(*(column[start:] for column in self))

    def rows(self, index: Tensor | slice) -> Passage:
        """The way of some of the points."""
        return Passage(*([values[index] for values in column] for column in self))


def passage(network: Network, start: int, a: Tensor) -> Passage:
    """The way of the points ``a`` (N, d) in layer ``start``."""
    way = Passage([a], [], [])
    for layer in network.layers[start:]:
        z = layer.preactivation(a)
        way.gates.append(layer.gates(a, z))
        way.sizes.append(layer.magnitude(a))
        a = layer.activation(z)
        way.activations.append(a)
    return way


def gates(network: Network, start: int, a: Tensor) -> list[Tensor]:
    """Which gates of the layers ``start + 1``..L are open at the points ``a`` (N, d)."""
    pattern = []
    for layer in network.layers[start:]:
        z = layer.preactivation(a)
        pattern.append(layer.gates(a, z))
        a = layer.activation(z)
    return pattern


def closed_passage(network: Network, start: int, a: Tensor, anchors: Passage) -> Passage:
    """The way of the points ``a`` (N, d); a unit on its kink has the gate of its anchor.

    So a point on the boundary of a region counts to the region, which is closed. Rounding is
    measured against the sizes of the anchors.
    """
    way = Passage([a], [], anchors.sizes)
    layers = network.layers[start:]
    for layer, gate, size in zip(layers, anchors.gates, anchors.sizes, strict=True):
        z = layer.preactivation(a)
        way.gates.append(layer.closed_gates(a, z, gate, size))
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
    for slope in gradients(network, start, pattern, output):
        last = slope
    return last


def gradients(
    network: Network, start: int, pattern: list[Tensor], output: int = 0
) -> Iterator[Tensor]:
    """The gradients by the activations of the layers L - 1 down to ``start``, each (N, d_l)."""
    upper = torch.zeros(
        len(pattern[-1]), network.widths[-1], dtype=network.dtype, device=network.device
    )
    upper[:, output] = 1
    for layer, gate in reversed(list(zip(network.layers[start:], pattern, strict=True))):
        upper = layer.pulled(gate, upper)
        yield upper
