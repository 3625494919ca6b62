"""Linear regions as geometry: the polytope of a region, and the exact exit along a ray.

Inside a region every pre-activation is affine in the point, so its boundary is made of
hyperplanes ``z = 0`` and nothing has to be searched by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd_cli.networks.mlp import MLP
from dtd_cli.regions.gates import agree


@dataclass(frozen=True, eq=False)
class Polytope:
    """``{p : normals p + offsets >= 0}``, one for each anchor.

    ``normals`` (B, M, d) and ``offsets`` (B, M); a row for each unit with a ReLU, layer by layer.
    """

    normals: Tensor
    offsets: Tensor


@dataclass(frozen=True, eq=False)
class Regions:
    """The linear regions of the layers above ``start``, with all outputs of the network.

    ``own`` (J,) are the units of layer ``start + 1`` whose relevance is decomposed.
    """

    network: MLP
    start: int
    own: Tensor

    def polytope(self, a: Tensor) -> Polytope:
        """The closed region of each anchor ``a`` (B, d)."""
        size = a.shape[1]
        slope = torch.eye(size, dtype=a.dtype, device=a.device).expand(len(a), size, size)
        normals, values, point = [], [], a
        for layer in self.network.layers[self.start :]:
            z = layer.preactivation(point)
            slope = layer.weight @ slope
            if layer.relu:
                sign = torch.where(z > 0, 1, -1).to(a.dtype)
                normals.append(sign.unsqueeze(2) * slope)
                values.append(sign * z)
                slope = (z > 0).unsqueeze(2) * slope
            point = layer.activation(z)
        normal, value = torch.cat(normals, 1), torch.cat(values, 1)
        return Polytope(normal, value - (normal @ a.unsqueeze(2)).squeeze(2))

    def exits(self, a: Tensor, directions: Tensor) -> Tensor:
        """How far each ray stays in the region of its anchor, (B, C); infinite where for ever.

        Rays ``a + t u`` from the anchors ``a`` (B, d) along ``directions`` (B, C, d). On the way
        ``z + t dz`` is affine for every unit, so the exit is the smallest ratio ``-z / dz``.
        """
        nearest = torch.full_like(directions[..., 0], torch.inf)
        point, slope = a, directions
        for layer in self.network.layers[self.start :]:
            z = layer.preactivation(point).unsqueeze(1)
            slope = slope @ layer.weight.T
            if layer.relu:
                is_open = z > 0
                closing = torch.where(is_open, slope < 0, slope > 0)
                ratio = torch.where(closing, -z / torch.where(closing, slope, 1), torch.inf)
                nearest = torch.minimum(nearest, ratio.amin(2))
                slope = is_open * slope
            point = layer.activation(z.squeeze(1))
        return nearest

    def same(self, first: list[Tensor], second: list[Tensor], units: Tensor) -> Tensor:
        """Whether two patterns agree, but for the gate of the unit that is decomposed, (N,).

        ``units`` (N,) are indices into ``own``.
        """
        lowest = first[0] == second[0]
        lowest[torch.arange(len(units), device=units.device), self.own[units]] = True
        return agree([lowest, *first[1:]], [torch.ones_like(lowest), *second[1:]])
