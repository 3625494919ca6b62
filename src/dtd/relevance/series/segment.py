"""The kinks of a network on a segment, in closed form: it is piecewise linear along it."""

from __future__ import annotations

import torch
from torch import Tensor

from dtd.networks.network import Network


def knots(network: Network, start: int, roots: Tensor, delta: Tensor) -> Tensor:
    """Where a ReLU above layer ``start`` switches on ``roots + s delta``, both (N, d).

    Returns s (N, P), ascending from 0 to 1; rows with fewer kinks end in ones. Layer by layer:
    between the kinks of the layers below every pre-activation is affine in s. The kinks keep the
    graph, so that an integral between them has the right derivative where they move.
    """
    s = torch.stack([torch.zeros_like(roots[:, 0]), torch.ones_like(roots[:, 0])], 1)
    for index, layer in enumerate(network.layers[start:], start):
        if not layer.relu:
            continue
        points = roots.unsqueeze(1) + s.unsqueeze(2) * delta.unsqueeze(1)
        z = layer.preactivation(network.forward(points, start, index))
        left, right = z[:, :-1], z[:, 1:]
        crosses = left.sign() * right.sign() < 0
        fraction = torch.where(crosses, left, 0) / torch.where(crosses, left - right, 1)
        kinks = s[:, :-1, None] + fraction * s.diff(dim=1).unsqueeze(2)
        kinks = torch.where(crosses, kinks, 1).flatten(1)
        s = torch.cat([s, kinks], 1).sort(1).values
        s = s[:, : int((s < 1).sum(1).amax()) + 1] if len(s) else s[:, :2]
    return s
