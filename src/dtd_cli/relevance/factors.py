"""The exact recursion without derivatives, where relevance carries the factor of its activation.

For ``z+``, ``gamma`` and ``x`` with closed-form roots ``R_{l,i}(a) = a_i C_{l,i}(a)``. At the root
of z_j the activation of unit j is zero, so of the product ``h_j = a_j C_{l+1,j}`` only the
derivative of its first factor is left, ``∇⁺h_j(ã_j) = w_j C_{l+1,j}(f_{l+1}(ã_j))``, and
``C_{l,i}(a) = Σ_j C_{l+1,j}(f_{l+1}(ã_j(a))) t_j(a) w_ji mask_ji`` with ``C_L = 1``: forward passes
only. docs/theory.md has the proof. It needs C to be bounded and continuous at the root, which
fails where a unit above loses its direction: the one-sided limit is taken there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd_cli.networks.mlp import MLP
from dtd_cli.numerics import policy
from dtd_cli.relevance.factor_layer import FactorLayer, Units

Slope = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""``(layer, anchors, roots, units) -> ∇⁺h_unit(root)`` by the general path, (N, d)."""


class Reached(NamedTuple):
    """Where N roots lead in the layer above them."""

    own: Tensor
    """(N,), the pre-activation of the root's own unit: zero, up to rounding."""
    a: Tensor
    """(N, J), the activations there; the own unit's is zero."""
    units: Units
    """The units of the next layer, (N, K)."""
    lost: Tensor
    """(N,), whether the derivative at the root exists as a limit only."""
    doubtful: Tensor
    """(N,), whether that limit is on the edge: anchors nearby have another one, or none."""


class Factor(NamedTuple):
    """``C_unit`` at N anchors, each (N,)."""

    value: Tensor
    limit: Tensor
    """Whether a one-sided limit was taken on the way."""
    doubtful: Tensor
    """Whether such a limit was on the edge, so that C need not be continuous here."""


class HingeSlopes(NamedTuple):
    """Value and slope of ``h_unit`` at N roots of z_unit, both on the branch of the anchors."""

    value: Tensor
    slope: Tensor
    limit: Tensor
    unsure: Tensor
    """(N,), where the general path has to decide."""


@dataclass(frozen=True, eq=False)
class FactorPath:
    """The upper layers of a network that are decomposed by rules which carry the factor.

    ``network`` has one output. ``layers[l]`` decomposes layer l + 1 onto layer l; there is one
    for every l from some layer to the last. ``general`` takes the one-sided limits inside.
    """

    network: MLP
    layers: Mapping[int, FactorLayer]
    max_points: int
    general: Slope

    def knows(self, start: int) -> bool:
        """Whether ``R_l`` of the layer l = ``start`` is made of factors."""
        return start == self.network.depth or start in self.layers

    def slopes(self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor) -> HingeSlopes:
        """At roots (N, d) that lie on ``z_unit = 0``, by whichever rule; unit has shape (N,)."""
        layer = self.network.layers[start]
        if start + 1 == self.network.depth:
            value = layer.preactivation(roots).squeeze(1)
            sure = torch.zeros_like(value, dtype=torch.bool)
            return HingeSlopes(value, layer.weight.expand(len(value), -1), sure, sure)
        size = size_above(self.network, start, anchors)
        reached = reach(self.network, self.layers[start + 1], start, anchors, size, roots, unit)
        factor = self._factor(start + 1, reached.a, reached.units, unit)
        value, slope = reached.own * factor.value, factor.value.unsqueeze(1) * layer.weight[unit]
        limit = factor.limit | reached.lost
        if start + 2 < self.network.depth:
            return HingeSlopes(value, slope, limit, reached.lost | factor.doubtful)
        lost = reached.lost.nonzero().squeeze(1)
        slope[lost] = self._below_the_output(reached, lost, unit)
        value[lost] = reached.units.z[lost, 0]
        return HingeSlopes(value, slope, limit, reached.doubtful)

    def _factor(self, start: int, a: Tensor, units: Units, unit: Tensor) -> Factor:
        """``C_{l,unit}(a)`` for l = ``start`` at the points ``a`` (N, d); unit has shape (N,)."""
        step = self.layers[start]
        nowhere = torch.zeros(len(a), dtype=torch.bool, device=a.device)
        if start + 1 == self.network.depth:
            value = (units.step * step.product[:, unit].T).squeeze(1)
            return Factor(value, nowhere, nowhere)
        value, limit, doubtful = torch.zeros_like(a[:, 0]), nowhere, nowhere.clone()
        gives = (step.product != 0).T[unit]
        size = size_above(self.network, start, a)
        rows, uppers = (units.rooted & gives).nonzero(as_tuple=True)
        for row, upper in zip(
            rows.split(self.max_points), uppers.split(self.max_points), strict=True
        ):
            anchors, lower, t = a[row], unit[row], units.step[row, upper]
            roots = step.roots(anchors, t, upper)
            above = self.layers[start + 1]
            reached = reach(self.network, above, start, anchors, size[row], roots, upper)
            factor = self._factor(start + 1, reached.a, reached.units, upper)
            slope = factor.value * step.layer.weight[upper, lower]
            lost = reached.lost.nonzero().squeeze(1)
            if len(lost):
                limits = (
                    self.general(start, anchors[lost], roots[lost], upper[lost])
                    if start + 2 < self.network.depth
                    else self._below_the_output(reached, lost, upper)
                )
                slope[lost] = limits.gather(1, lower[lost].unsqueeze(1)).squeeze(1)
            value.index_add_(0, row, slope * t * step.mask[upper, lower])
            limit = limit.index_fill(0, row[factor.limit | reached.lost], True)
            doubtful.index_fill_(0, row[factor.doubtful | reached.doubtful], True)
        return Factor(value, limit, doubtful)

    def _below_the_output(self, reached: Reached, lost: Tensor, unit: Tensor) -> Tensor:
        """The one-sided slopes at some of the roots two layers below the output, (n, d).

        Of all inputs of the output that its direction is made of, unit j alone is alive on the
        anchor's side, so all of the output's relevance goes to it: there ``h_j`` is f.
        """
        hidden, output = self.network.layers[-2:]
        column = unit[lost].unsqueeze(1)
        gates = (reached.a[lost] > 0).scatter(1, column, True)
        # Where f is zero at the root, it rises towards the anchor or is dead on the way.
        dead = reached.units.coincident[lost] & (output.weight.T[unit[lost]] <= 0)
        return (gates & ~dead) * output.weight @ hidden.weight


def size_above(network: MLP, start: int, anchors: Tensor) -> Tensor:
    """The largest activation in layer ``start + 1`` of each anchor (N, d), (N,)."""
    return network.layers[start](anchors).amax(1)


def reach(
    network: MLP,
    above: FactorLayer,
    start: int,
    anchors: Tensor,
    size: Tensor,
    roots: Tensor,
    unit: Tensor,
) -> Reached:
    """What is there at the roots (N, d) of the units (N,) of layer ``start + 1``.

    ``above`` decomposes the layer over that; ``size`` (N,) is the :func:`size_above` of the
    anchors (N, d).
    """
    layer, column = network.layers[start], unit.unsqueeze(1)
    z = layer.preactivation(roots)
    own = z.gather(1, column).squeeze(1)
    a = layer.activation(z).scatter(1, column, 0)
    units = above.units(a, size)
    lost = units.lost & (above.product != 0).T[unit]
    limit = lost.any(1)
    doubtful = limit
    if limit.any():
        # Certain is the limit only where no anchor nearby meets another: every other unit is
        # clearly dead or alive, and the direction vanishes since all that made it up is dead.
        threshold = policy(z.dtype).tie * layer.magnitude(anchors)
        tie = ((z.abs() <= threshold) & (threshold > 0)).scatter(1, column, False).any(1)
        alone = (a == 0).all(1)
        doubtful = limit & (tie | ~alone & (lost & units.coincident).any(1))
    return Reached(own, a, units, limit, doubtful)
