"""What is searched: the zero set of one output of a network, around one point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dtd.networks.network import Network
from dtd.roots.nearest_point import Metric

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Pattern = list[NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Target:
    """The points y in the box ``low <= y <= high`` with ``z(y) <= 0``, seen from ``x``.

    z is the pre-activation of the network's only output. ``x``, ``low`` and ``high`` have shape
    (d,); bounds may be infinite. ``metric`` has heights, for the model is linear.
    """

    network: Network
    x: Vector
    low: Vector
    high: Vector
    metric: Metric

    @cached_property
    def layers(self) -> list[tuple[Matrix, Vector]]:
        """Weights and biases in double precision."""
        return [
            (layer.matrix.dense().double().cpu().numpy(), layer.bias.double().cpu().numpy())
            for layer in self.network.affine_layers
        ]

    @property
    def hidden(self) -> list[tuple[Matrix, Vector]]:
        """The layers below the output."""
        return self.layers[:-1]

    def value(self, points: Matrix) -> Vector:
        """z at the points (N, d)."""
        for weight, bias in self.hidden:
            points = np.maximum(points @ weight.T + bias, 0)
        weight, bias = self.layers[-1]
        return (points @ weight.T + bias)[:, 0]

    def pattern(self, point: Vector) -> Pattern:
        """Which hidden units are open at a point (d,)."""
        pattern = []
        for weight, bias in self.hidden:
            z = weight @ point + bias
            pattern.append(z > 0)
            point = np.maximum(z, 0)
        return pattern

    def distance(self, points: Matrix) -> Vector:
        """How far the points (N, d) are from x in the metric."""
        return np.asarray(np.linalg.norm(points - self.x, self.metric.order, axis=1))

    def farthest(self) -> float:
        """The distance of the farthest corner of the box, infinite where the box is open."""
        corner = np.where(self.x - self.low > self.high - self.x, self.low, self.high)
        return float(self.distance(corner[None])[0])
