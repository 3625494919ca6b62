"""Linear regions as geometry: the polytope of a region, and the exact exit along a ray.

Inside a region every pre-activation is affine in the point, so its boundary is made of
hyperplanes ``z = 0`` and nothing has to be searched by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd_cli.networks.mlp import MLP
from dtd_cli.row_products import row_product


@dataclass(frozen=True, eq=False)
class Polytope:
    """``{p : normals p + offsets >= 0}``, one for each anchor, and the hinges in it.

    ``normals`` (B, M, d) and ``offsets`` (B, M); a row for each unit with a ReLU, layer by layer.
    On the region the pre-activation of the decomposed unit j is
    ``hinge_normals[:, j] p + hinge_offsets[:, j]``, shapes (B, J, d) and (B, J).
    """

    normals: Tensor
    offsets: Tensor
    hinge_normals: Tensor
    hinge_offsets: Tensor


@dataclass(frozen=True, eq=False)
class Regions:
    """The linear regions of the layers above ``start``, with all outputs of the network.

    ``own`` (J,) are the units of layer ``upper`` that are decomposed onto layer ``start``: of the
    next layer in the recursion, of the last where f is decomposed in a single step.
    """

    network: MLP
    start: int
    upper: int
    own: Tensor

    @property
    def own_rows(self) -> Tensor:
        """The rows of the decomposed units in a polytope, (J,), where their layer has a ReLU."""
        return sum(self.network.widths[self.start + 1 : self.upper]) + self.own

    def polytope(self, a: Tensor) -> Polytope:
        """The closed region of each anchor ``a`` (B, d)."""
        size = a.shape[1]
        slope = torch.eye(size, dtype=a.dtype, device=a.device).expand(len(a), size, size)
        normals, values, hinges, at_anchor, point = [], [], slope, a, a
        for index, layer in enumerate(self.network.layers[self.start :], self.start + 1):
            z = layer.preactivation(point)
            slope = row_product(slope.mT, layer.weight.T).mT
            if index == self.upper:
                hinges, at_anchor = slope[:, self.own], z[:, self.own]
            if layer.relu:
                sign = torch.where(z > 0, 1, -1).to(a.dtype)
                normals.append(sign.unsqueeze(2) * slope)
                values.append(sign * z)
                slope = (z > 0).unsqueeze(2) * slope
            point = layer.activation(z)
        normal = torch.cat([*normals, hinges], 1)
        offset = torch.cat([*values, at_anchor], 1) - (normal * a.unsqueeze(1)).sum(2)
        rows = normal.shape[1] - hinges.shape[1]
        return Polytope(normal[:, :rows], offset[:, :rows], normal[:, rows:], offset[:, rows:])

    def exits(self, a: Tensor, directions: Tensor) -> Tensor:
        """How far each ray stays in the region of its anchor, (B, C); infinite where for ever.

        Rays ``a + t u`` from the anchors ``a`` (B, d) along ``directions`` (B, C, d). On the way
        ``z + t dz`` is affine for every unit, so the exit is the smallest ratio ``-z / dz``.
        """
        nearest = torch.full_like(directions[..., 0], torch.inf)
        point, slope = a, directions
        for layer in self.network.layers[self.start :]:
            z = layer.preactivation(point).unsqueeze(1)
            slope = row_product(slope, layer.weight.T)
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
        layer = self.upper - self.start - 1
        same = [gate == other for gate, other in zip(first, second, strict=True)]
        same[layer][torch.arange(len(units), device=units.device), self.own[units]] = True
        return torch.cat(same, 1).all(1)
