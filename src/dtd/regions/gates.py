"""Gates and linear regions of a network (theory, section 1.2).

Two points lie in one region when the gates of every unit from their layer to the output agree;
there the network is affine and its gradient constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.numerics.products import row_product


def gates(network: Network, start: int, a: Tensor) -> list[Tensor]:
    """Which units of the layers ``start + 1``..L are open at the points ``a`` (N, d): z > 0.

    A unit without a ReLU is always open.
    """
    pattern = []
    for layer in network.layers[start:]:
        z = layer.preactivation(a)
        pattern.append(z > 0 if layer.relu else torch.ones_like(z, dtype=torch.bool))
        a = layer.activation(z)
    return pattern


def closed_gates(
    network: Network, start: int, a: Tensor, anchors: Tensor, pattern: list[Tensor]
) -> list[Tensor]:
    """The gates at ``a`` (N, d); a unit on its kink has that of the anchors' ``pattern``.

    So a point on the boundary of a region counts to the region, which is closed.
    """
    closed = []
    for layer, gate in zip(network.layers[start:], pattern, strict=True):
        z = layer.preactivation(a)
        tie = z.abs() <= policy(z.dtype).tie * layer.magnitude(anchors)
        closed.append(torch.where(tie, gate, z > 0) if layer.relu else gate)
        a, anchors = layer.activation(z), layer(anchors)
    return closed


def gates_towards(network: Network, points: Tensor, anchors: Tensor) -> list[Tensor]:
    """The gates just beside the points, on their segments to the anchors, both (N, d).

    A unit on its kink at the point has the gate that its slope along the segment gives it: no
    step is taken, and there is no next kink to step over.
    """
    pattern = []
    slope, size = anchors - points, anchors
    for layer in network.layers:
        z, rise = layer.preactivation(points), row_product(slope, layer.weight.T)
        tie = z.abs() <= policy(z.dtype).tie * layer.magnitude(size)
        gate = torch.where(tie, rise, z) > 0 if layer.relu else torch.ones_like(tie)
        pattern.append(gate)
        points, slope, size = gate * z, gate * rise, layer(size)
    return pattern


def branch(network: Network, pattern: list[Tensor], a: Tensor) -> Tensor:
    """The outputs (N, d_L) at the points ``a`` (N, d) with the gates as given."""
    for layer, gate in zip(network.layers, pattern, strict=True):
        a = torch.where(gate, layer.preactivation(a), 0)
    return a


def gradient(network: Network, start: int, pattern: list[Tensor], output: int = 0) -> Tensor:
    """The gradient of ``a_L[output]`` by ``a_start`` where the gates are as given, (N, d)."""
    upper = torch.zeros_like(pattern[-1], dtype=network.layers[-1].weight.dtype)
    upper[:, output] = 1
    for layer, gate in reversed(list(zip(network.layers[start:], pattern, strict=True))):
        upper = row_product(upper * gate, layer.weight)
    return upper
