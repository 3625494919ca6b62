"""Linear regions as geometry: the polytope of a region, and the exact exit along a ray.

Inside a region every pre-activation is affine in the point, so its boundary is made of
hyperplanes ``z = 0`` and nothing has to be searched by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.regions.gates import gates


@dataclass(frozen=True, eq=False)
class Polytope:
    """``{p : normals p + offsets >= 0}``, one for each anchor, and the kinks in it.

    ``normals`` (B, M, d) and ``offsets`` (B, M); a row for each unit with a ReLU, layer by layer.
    On the region the pre-activation of the decomposed unit j is
    ``kink_normals[:, j] p + kink_offsets[:, j]``, shapes (B, J, d) and (B, J).
    """

    normals: Tensor
    offsets: Tensor
    kink_normals: Tensor
    kink_offsets: Tensor


@dataclass(frozen=True, eq=False)
class Regions:
    """The linear regions of the layers above ``start``, with all outputs of the network.

    ``own`` (J,) are the units of layer ``upper`` that are decomposed onto layer ``start``: of the
    next layer in the recursion, of the last where f is decomposed at once.
    """

    network: Network
    start: int
    upper: int
    own: Tensor

    @property
    def own_rows(self) -> Tensor:
        """The rows of the decomposed units in a polytope, (J,), where their layer has a ReLU."""
        return sum(self.network.widths[self.start + 1 : self.upper]) + self.own

    @property
    def reaches_output(self) -> bool:
        """The decomposed units are outputs: nothing is decomposed above them."""
        return self.upper == self.network.depth

    def polytope(self, a: Tensor) -> Polytope:
        """The closed region of each anchor ``a`` (B, d)."""
        return self.polytope_of(gates(self.network, self.start, a), a)

    def polytope_of(self, pattern: list[Tensor], at: Tensor) -> Polytope:
        """The closed region of each pattern of gates, in which the points ``at`` (B, d) may lie.

        Offsets are measured from these points, and are the more exact the nearer they are.
        """
        size = at.shape[1]
        slope = torch.eye(size, dtype=at.dtype, device=at.device).expand(len(at), size, size)
        normals, values, kinks, at_point, point = [], [], slope, at, at
        layers = zip(self.network.layers[self.start :], pattern, strict=True)
        for index, (layer, gate) in enumerate(layers, self.start + 1):
            z = layer.preactivation(point)
            slope = layer.matrix(slope.mT).mT
            if index == self.upper:
                kinks, at_point = slope[:, self.own], z[:, self.own]
            if layer.relu:
                sign = torch.where(gate, 1, -1).to(at.dtype)
                normals.append(sign.unsqueeze(2) * slope)
                values.append(sign * z)
                slope = gate.unsqueeze(2) * slope
            point = torch.where(gate, z, 0)
        normal = torch.cat([*normals, kinks], 1)
        offset = torch.cat([*values, at_point], 1) - (normal * at.unsqueeze(1)).sum(2)
        rows = normal.shape[1] - kinks.shape[1]
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
            slope = layer.matrix(slope)
            if layer.relu:
                nearest = torch.minimum(nearest, _ratio(z, slope).amin(2))
                slope = (z > 0) * slope
            point = layer.activation(z.squeeze(1))
        return nearest

    def kinks(self, a: Tensor, directions: Tensor) -> Tensor:
        """Where the gates change on rays ``a + t u``, t > 0: sorted, (N, K), infinite beyond.

        One ray for each anchor ``a`` (N, d), ``directions`` (N, d). Layer by layer: between the
        kinks of the layers below a pre-activation is affine in t, so its zero is exact. Kinks
        that rounding cannot tell apart count once; of output units only ``own`` have kinks here.
        """
        knots, slope = torch.zeros_like(a[:, :1]), directions
        for index, layer in enumerate(self.network.layers[self.start :], self.start + 1):
            # A missing knot repeats the last one: its piece has no length, and no kink.
            last = torch.where(knots.isfinite(), knots, 0).amax(1, keepdim=True)
            at = torch.where(knots.isfinite(), knots, last)
            point = a.unsqueeze(1) + at.unsqueeze(2) * directions.unsqueeze(1)
            z = layer.preactivation(self.network.forward(point, self.start, index - 1))
            slope = layer.matrix(slope)
            final = z[:, -1]
            if layer.relu:
                counts = self.own if self.reaches_output and index == self.upper else slice(None)
                crossing = _crossings(at, z[..., counts])
                beyond = last + _ratio(final, slope)[:, counts]
                knots = _sorted_apart(torch.cat([knots, crossing, beyond], 1))
                slope = torch.where((slope > 0) | ((slope == 0) & (final > 0)), slope, 0)
        return knots[:, 1:]

    def same(self, first: list[Tensor], second: list[Tensor], units: Tensor) -> Tensor:
        """Whether two patterns agree, but for the gate of the unit that is decomposed, (N,).

        ``units`` (N,) are indices into ``own``.
        """
        layer = self.upper - self.start - 1
        same = [gate == other for gate, other in zip(first, second, strict=True)]
        same[layer][torch.arange(len(units), device=units.device), self.own[units]] = True
        return torch.cat([gates.flatten(1) for gates in same], 1).all(1)


def _crossings(at: Tensor, z: Tensor) -> Tensor:
    """Zeros of the piecewise affine z (N, K, J) between its knots (N, K), (N, (K - 1) J)."""
    left, right = z[:, :-1], z[:, 1:]
    crossed = (left > 0) != (right > 0)
    share = torch.where(crossed, left, torch.inf) / torch.where(crossed, left - right, 1)
    start, width = at[:, :-1, None], at.diff(dim=1).unsqueeze(2)
    return torch.where(crossed, start + share * width, torch.inf).flatten(1)


def _ratio(z: Tensor, slope: Tensor) -> Tensor:
    """The t > 0 where ``z + t slope`` changes its gate, infinite where it does not."""
    closing = torch.where(z > 0, slope < 0, slope > 0)
    return torch.where(closing, -z / torch.where(closing, slope, 1), torch.inf)


def _sorted_apart(knots: Tensor) -> Tensor:
    """Knots (N, K) in their order, each once, as few columns as hold them all."""
    knots = knots.sort(1).values
    # Infinities have no distance.
    gap = torch.where(knots[:, 1:].isfinite(), knots[:, 1:] - knots[:, :-1], 0)
    apart = torch.ones_like(knots, dtype=torch.bool)
    apart[:, 1:] = gap > policy(knots.dtype).tie * knots[:, 1:]
    knots = torch.where(apart, knots, torch.inf).sort(1).values
    return knots[:, : int(knots.isfinite().sum(1).amax()) if len(knots) else 1]
