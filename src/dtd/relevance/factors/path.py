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

from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.numerics.products import row_product
from dtd.relevance.factors.layer import FactorLayer, Units

General = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(layer, anchors, roots, units) -> (h_unit(root), ∇⁺h_unit(root))``, by the general path."""


class HingeSlopes(NamedTuple):
    """Value and slope of ``h_unit`` at N roots of z_unit, both on the branch of the anchors."""

    value: Tensor
    slope: Tensor
    limit: Tensor
    """(N,), whether a one-sided limit was taken, at the root or above it."""
    doubtful: Tensor
    """(N,), whether one was on the edge, so that the general path has to decide."""


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


class _Factor(NamedTuple):
    """``C_unit`` at N anchors; ``limit`` and ``doubtful`` as in :class:`HingeSlopes`."""

    value: Tensor
    limit: Tensor
    doubtful: Tensor


class _Expansion(NamedTuple):
    """``h_unit`` at N roots: its slope is ``factor w_unit``, but for the n roots ``lost``, and
    where it is doubtful."""

    value: Tensor
    factor: Tensor
    limit: Tensor
    doubtful: Tensor
    lost: Tensor
    slope: Tensor
    """(n, d), the slopes at the ``lost`` roots."""


@dataclass(frozen=True, eq=False)
class FactorPath:
    """The upper layers of a network that are decomposed by rules which carry the factor.

    ``network`` has one output. ``layers[l]`` decomposes layer l + 1 onto layer l; there is one
    for every l from some layer to the last. ``general`` takes the one-sided limits inside.
    """

    network: Network
    layers: Mapping[int, FactorLayer]
    max_points: int
    general: General

    def knows(self, start: int) -> bool:
        """Whether ``R_l`` of the layer l = ``start`` is made of factors."""
        return start == self.network.depth or start in self.layers

    def relevance(self, start: int, a: Tensor) -> tuple[Tensor, Tensor]:
        """``R_l`` at the anchors ``a`` (N, d), l = ``start``, and where a limit was taken, (N,)."""
        step = self.layers[start]
        units = step.units(a, torch.zeros_like(a[:, 0]))
        gains = units.step
        limit, others = torch.zeros_like(a[:, 0], dtype=torch.bool), torch.zeros_like(a)
        if start + 1 < self.network.depth:
            visited = gains.flatten().nonzero().squeeze(1)
            for pairs in visited.split(self.max_points):
                row, unit = pairs // gains.shape[1], pairs % gains.shape[1]
                anchors = a.index_select(0, row)
                roots = step.roots(anchors, gains.take(pairs), unit)
                there = self._expand(start, anchors, units.size.index_select(0, row), roots, unit)
                gains.view(-1)[pairs] *= there.factor
                limit[row[there.limit]] = True
                doubtful = there.doubtful.nonzero().squeeze(1)
                _, slope = self._at(doubtful, start, anchors, roots, unit)
                for index, slopes in (there.lost, there.slope), (doubtful, slope):
                    gains.view(-1)[pairs[index]] = 0
                    others.index_add_(0, row[index], slopes * (anchors - roots)[index])
        return torch.addcmul(others, a, row_product(gains, step.product)), limit

    def slopes(self, start: int, anchors: Tensor, roots: Tensor, unit: Tensor) -> HingeSlopes:
        """At roots (N, d) that lie on ``z_unit = 0``, by whichever rule; unit has shape (N,)."""
        layer = self.network.layers[start]
        if start + 1 == self.network.depth:
            value = layer.preactivation(roots).squeeze(1)
            sure = torch.zeros_like(value, dtype=torch.bool)
            return HingeSlopes(value, layer.weight.expand(len(value), -1), sure, sure)
        size = layer(anchors).amax(1)
        there = self._expand(start, anchors, size, roots, unit)
        slope = there.factor.unsqueeze(1) * layer.weight[unit]
        return HingeSlopes(
            there.value,
            slope.index_copy(0, there.lost, there.slope),
            there.limit,
            there.doubtful,
        )

    def reach(
        self, start: int, anchors: Tensor, size: Tensor, roots: Tensor, unit: Tensor
    ) -> Reached:
        """What is there at the roots (N, d) of the units (N,) of layer ``start + 1``.

        ``size`` (N,) is the largest activation that each anchor (N, d) leads to in that layer.
        """
        layer, above = self.network.layers[start], self.layers[start + 1]
        column = unit.unsqueeze(1)
        z = layer.preactivation(roots)
        own = z.gather(1, column).squeeze(1)
        a = layer.activation(z.scatter_(1, column, 0))
        units = above.units(a, size)
        # The output has no limit of its own: it gives nothing to a weight of zero.
        gives = above.gives if start + 2 == self.network.depth else above.moves
        given = gives.index_select(0, unit)
        lost = (units.lost & given).any(1)
        doubtful = lost.clone()
        if lost.any():
            index = lost.nonzero().squeeze(1)
            threshold = policy(z.dtype).tie * layer.magnitude(anchors[index])
            tie = (z[index].abs() <= threshold) & (threshold > 0)
            # Certain is the limit only where no anchor nearby meets another: every other unit is
            # clearly dead or alive, and the direction vanishes because all its parts are dead.
            clear = ~tie.scatter(1, column[index], False).any(1)
            whole = above.totals(a[index])[1]
            edge = (units.z[index] < above.slack(size[index])) | (whole > above.faint(size[index]))
            some = (units.lost[index] & given[index] & edge).any(1)
            doubtful[index] = ~clear | (some & a[index].any(1))
        return Reached(own, a, units, lost, doubtful)

    def _factor(self, start: int, a: Tensor, units: Units, unit: Tensor) -> _Factor:
        """``C_{l,unit}(a)`` for l = ``start`` at the points ``a`` (N, d); unit has shape (N,)."""
        step = self.layers[start]
        limit = torch.zeros(len(a), dtype=torch.bool, device=a.device)
        if start + 1 == self.network.depth:
            return _Factor(units.step.squeeze(1) * step.product[0, unit], limit, limit)
        value, doubtful = torch.zeros_like(a[:, 0]), limit.clone()
        # Dead units, and those that can give nothing to ``unit``, are not visited.
        visited = (units.rooted & step.moves.index_select(0, unit)).flatten().nonzero().squeeze(1)
        for pairs in visited.split(self.max_points):
            row, upper = pairs // len(step.product), pairs % len(step.product)
            anchors, t = a.index_select(0, row), units.step.take(pairs)
            weights = upper * a.shape[1] + unit.index_select(0, row)
            roots = step.roots(anchors, t, upper)
            there = self._expand(start, anchors, units.size.index_select(0, row), roots, upper)
            share = there.factor * t * step.product.take(weights)
            slope = there.slope.gather(1, unit[row[there.lost]].unsqueeze(1)).squeeze(1)
            share[there.lost] = slope * (t * step.mask.take(weights))[there.lost]
            value.index_add_(0, row, share)
            limit[row[there.limit]] = True
            doubtful[row[there.doubtful]] = True
        return _Factor(value, limit, doubtful)

    def _expand(
        self, start: int, anchors: Tensor, size: Tensor, roots: Tensor, unit: Tensor
    ) -> _Expansion:
        """``h_unit`` at the roots (N, d) of the units (N,) of layer ``start + 1`` < L."""
        reached = self.reach(start, anchors, size, roots, unit)
        factor = self._factor(start + 1, reached.a, reached.units, unit)
        value, doubtful = reached.own * factor.value, factor.doubtful | reached.doubtful
        lost = (reached.lost & ~doubtful).nonzero().squeeze(1)
        if start + 2 == self.network.depth:
            at_lost, slope = self._below_the_output(reached, lost, unit)
        else:
            at_lost, slope = self._at(lost, start, anchors, roots, unit)
        return _Expansion(
            value.index_copy(0, lost, at_lost),
            factor.value,
            factor.limit | reached.lost,
            doubtful,
            lost,
            slope,
        )

    def _below_the_output(
        self, reached: Reached, lost: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Value and one-sided slope at some of the roots two layers below the output.

        Of all inputs that the output's direction is made of, the root's own unit alone is alive
        on the anchor's side, so all of the output's relevance goes to it: there ``h_j`` is f.
        """
        hidden, output = self.network.layers[-2:]
        column = unit[lost].unsqueeze(1)
        gates = (reached.a[lost] > 0).scatter(1, column, True)
        # Where f is zero at the root, it rises towards the anchor or is dead on the way.
        z = reached.units.z[lost]
        gates &= (z > 0) | (output.weight.T[unit[lost]] > 0)
        return z.relu().squeeze(1), row_product(gates * output.weight, hidden.weight)

    def _at(
        self, index: Tensor, start: int, anchors: Tensor, roots: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Value and slope at some (n,) of the roots by the general path."""
        if not len(index):
            return anchors.new_zeros(0), anchors[:0]
        return self.general(start, anchors[index], roots[index], unit[index])
