"""One-sided slopes by forward passes, where relevance carries the factor of its activation.

For ``z+``, ``gamma`` and ``x`` with closed-form roots ``R_{l,i}(a) = a_i C_{l,i}(a)``. At the root
of z_j the activation of unit j is zero, so of the product ``h_j = a_j C_{l+1,j}`` only the
derivative of its first factor is left, ``∇⁺h_j(ã_j) = w_j C_{l+1,j}(f_{l+1}(ã_j))``, and
``C_{l,i}(a) = Σ_j C_{l+1,j}(f_{l+1}(ã_j(a))) t_j(a) w_ji mask_ji`` with ``C_L = 1``: forward passes
only. Theory, section 3.3, has the proof. It needs C to be bounded and continuous at the root, which
fails where a unit above loses its direction: the one-sided limit is taken there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.relevance.batching import Batching
from dtd.relevance.concatenate import concatenate
from dtd.relevance.expansion import Relevance
from dtd.relevance.slopes.automatic import AutomaticSlopes
from dtd.relevance.slopes.factor_layer import FactorLayer, Units
from dtd.relevance.slopes.kinds import factor_layer
from dtd.relevance.slopes.needed import ForwardLimits, forward_limits, loses_digits
from dtd.relevance.slopes.slope import Pairs, RootExpansions, worst
from dtd.roots.location import Location, OnKink

_CACHED = 2**17
"""How many numbers of a layer the points that go up together have on a CPU: few enough for its
caches."""


class Reached(NamedTuple):
    """Where N roots lead in the layer above them."""

    own: Tensor
    """(N,), the pre-activation of the root's own unit: zero, up to rounding."""
    a: Tensor
    """(N, J), the activations there; the own unit's is zero."""
    units: Units
    """The units of the next layer, (N, K)."""
    limits: ForwardLimits


class _Factor(NamedTuple):
    """``C_unit`` at N anchors."""

    value: Tensor
    """(N,)."""
    limits: ForwardLimits


class _FactorExpansion(NamedTuple):
    """``h_unit`` at N roots.

    Its slope is ``factor w_unit``. At the n roots ``given`` it is ``slope`` instead, and where the
    limit is undecided the caller takes it.
    """

    value: Tensor
    factor: Tensor
    limits: ForwardLimits
    given: Tensor
    slope: Tensor
    """(n, d), the slopes at the roots ``given``."""


@dataclass(frozen=True, eq=False)
class ForwardSlopes:
    """The upper layers of a network whose relevance carries the factor.

    ``network`` has one output. ``layers[l]`` decomposes layer l + 1 onto layer l; there is one
    for every l from some layer to the last. ``automatic`` takes the one-sided limits inside.
    """

    network: Network
    layers: Mapping[int, FactorLayer]
    batching: Batching
    automatic: AutomaticSlopes

    @classmethod
    def of(cls, automatic: AutomaticSlopes) -> ForwardSlopes:
        """With the layers from the output down, as far as their roots have the factor's form."""
        network, layers = automatic.network, dict[int, FactorLayer]()
        for l in reversed(range(network.depth)):
            layer = factor_layer(network.layers[l], automatic.plans[l])
            if layer is None:
                break
            layers[l] = layer
        return cls(network, layers, automatic.batching, automatic)

    def covers(self, l: int) -> bool:
        """Whether ``R_l`` is made of factors."""
        return l == self.network.depth or l in self.layers

    def together(self, l: int) -> int:
        """How many roots in layer ``l`` go up through the layers above together."""
        most = self.batching.max_points
        if self.network.device.type == "cpu":
            most = min(most, _CACHED // max(self.network.widths[l + 1 :]))
        return max(1, most)

    def relevance(self, l: int, a: Tensor) -> Relevance:
        """``R_l`` at the anchors ``a`` (N, d).

        No slope is made: all of a unit's are ``factor w_unit``, and their sum is a product.
        """
        layer = self.layers[l]
        units = layer.units(a, torch.zeros_like(a[:, 0]))
        gains, summed = units.step, torch.zeros_like(a)
        _, limit_error, untaken = Relevance.without_limits(summed)
        if l + 1 < self.network.depth:
            left: list[Pairs] = []
            visited = gains.flatten().nonzero().squeeze(1)
            chunks = visited.split(self.together(l))
            for chunk in self.automatic.track(chunks, "relevances"):
                row, unit = chunk // gains.shape[1], chunk % gains.shape[1]
                anchors = a.index_select(0, row)
                t = gains.take(chunk)
                pairs = Pairs(anchors, layer.roots(anchors, t, unit), unit, row)
                size = units.size.index_select(0, row)
                expansion = self._expand(l, pairs, size, layer.loses_digits(t))
                gains.view(-1)[chunk] *= expansion.factor
                limits, given = expansion.limits, expansion.given
                if limits.somewhere:
                    gains.view(-1)[chunk[given]] = 0
                    gains.view(-1)[chunk[limits.undecided]] = 0
                    limit_error[row[limits.limited]] = 0
                    known = pairs.rows(given)
                    summed.index_add_(0, known.anchor, expansion.slope * known.delta)
                    if limits.undecided.any():
                        left.append(pairs.rows(limits.undecided))
            if left:
                pairs = Pairs(*concatenate(left))
                at_limits = self.automatic.at(l, pairs, OnKink(), graph=False)
                summed.index_add_(0, pairs.anchor, at_limits.shares.squeeze(1))
                worst_error = worst(at_limits.limit_error, pairs.anchor, len(a))
                limit_error = torch.fmax(limit_error, worst_error)
                untaken[pairs.anchor[at_limits.untaken]] = True
        relevance = torch.addcmul(summed, a, layer.product.transposed(gains, a))
        return Relevance(relevance, limit_error, untaken)

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> RootExpansions:
        """``∇⁺h`` at roots in layer ``l`` on the kinks of their units, by whichever rule."""
        if l + 1 == self.network.depth:
            return self._output(l, pairs)
        chunks = list(pairs.split(min(self.batching.points(l), self.together(l))))
        parts = [self._at(l, chunk) for chunk in self.automatic.track(chunks, "slopes")]
        expansions = RootExpansions(*concatenate(parts))
        left = expansions.untaken.nonzero().squeeze(1)
        if len(left):
            limits = self.automatic.at(l, pairs.rows(left), location, graph)
            expansions = expansions.replaced(left, limits)
        return expansions

    def _output(self, l: int, pairs: Pairs) -> RootExpansions:
        """The expansions of the output, which is affine on the branch of the anchors."""
        layer = self.network.layers[l]
        value = layer.preactivation(pairs.roots).squeeze(1)
        slope = layer.rows(torch.zeros_like(pairs.unit), pairs.roots)
        shares, exact = (slope * pairs.delta).unsqueeze(1), torch.full_like(value, torch.nan)
        return RootExpansions(
            value, slope, shares, exact, torch.zeros_like(value, dtype=torch.bool)
        )

    def _at(self, l: int, pairs: Pairs) -> RootExpansions:
        """The expansions below other layers, as far as forward passes have them."""
        size = self.network.layers[l](pairs.anchors).amax(1)
        expansion = self._expand(l, pairs, size, loses_digits(pairs))
        slope = expansion.factor.unsqueeze(1) * self.network.layers[l].rows(
            pairs.unit, pairs.anchors
        )
        slope = slope.index_copy(0, expansion.given, expansion.slope)
        limit_error = torch.where(expansion.limits.limited, 0, torch.nan).to(slope)
        shares = (slope * pairs.delta).unsqueeze(1)
        return RootExpansions(
            expansion.value, slope, shares, limit_error, expansion.limits.undecided
        )

    def reach(self, l: int, pairs: Pairs, size: Tensor) -> Reached:
        """The units of the layers l + 1 and l + 2 at roots in layer ``l``.

        ``size`` (N,) is the largest activation of layer l + 1 at each anchor.
        """
        layer, above = self.network.layers[l], self.layers[l + 1]
        column = pairs.unit.unsqueeze(1)
        z = layer.preactivation(pairs.roots)
        own = z.gather(1, column).squeeze(1)
        a = layer.activation(z.scatter_(1, column, 0))
        units = above.units_beside(a, size, pairs.unit)
        limits = forward_limits(self.network, l, above, pairs, z, a, units, size)
        return Reached(own, a, units, limits)

    def may_need_limits(self, l: int, size: Tensor) -> bool:
        """Whether roots in layer ``l`` < L - 1 may need limits that give to units without a term.

        ``size`` (N,) are the largest activations of layer l + 1 at the anchors.
        """
        if any(self.layers[above].may_coincide for above in range(l, self.network.depth)):
            return True
        return not self.layers[l + 1].never_needs_limits(self.network.layers[l], size)

    def _factor(self, l: int, a: Tensor, units: Units, unit: Tensor) -> _Factor:
        """``C_{l,unit}(a)`` at the points ``a`` (N, d); unit has shape (N,)."""
        layer = self.layers[l]
        if l + 1 == self.network.depth:
            given = layer.product.columns(unit, a).squeeze(1)
            never = torch.zeros_like(unit, dtype=torch.bool)
            return _Factor(units.step.squeeze(1) * given, ForwardLimits(never, never))
        limited, undecided = torch.zeros(2, len(a), dtype=torch.bool, device=a.device)
        value = torch.zeros_like(a[:, 0])
        # Dead units, and those that can give nothing to ``unit``, are not visited.
        visited = (units.rooted & layer.moves(unit, a)).flatten().nonzero().squeeze(1)
        for chunk in visited.split(self.together(l)):
            row, upper = chunk // layer.layer.units, chunk % layer.layer.units
            anchors, t, lower = a.index_select(0, row), units.step.take(chunk), unit[row]
            pairs = Pairs(anchors, layer.roots(anchors, t, upper), upper, row)
            size = units.size.index_select(0, row)
            expansion = self._expand(l, pairs, size, layer.loses_digits(t))
            share = expansion.factor * t * layer.product.entries(upper, lower, anchors)
            limits, given = expansion.limits, expansion.given
            if limits.somewhere:
                slope = expansion.slope.gather(1, lower[given].unsqueeze(1)).squeeze(1)
                share[given] = slope * (t * layer.mask.entries(upper, lower))[given]
                limited[row[limits.limited]] = True
                # A window that is zero but for the lower unit rises with it, and with this root's.
                revived = limits.limited & units.revived.index_select(0, row).any(1)
                undecided[row[limits.undecided | revived]] = True
            value.index_add_(0, row, share)
        return _Factor(value, ForwardLimits(limited, undecided))

    def _expand(self, l: int, pairs: Pairs, size: Tensor, lost: Tensor) -> _FactorExpansion:
        """``h_unit`` at roots of the units (N,) of layer l + 1 < L.

        ``lost`` (N,) says at which roots digits are lost: there the caller decides.
        """
        reached = self.reach(l, pairs, size)
        factor = self._factor(l + 1, reached.a, reached.units, pairs.unit)
        own = reached.limits
        last = l + 2 == self.network.depth and self.network.layers[l].is_affine
        limits = own.below(factor.limits, lost, last)
        given = (own.limited & ~limits.undecided).nonzero().squeeze(1)
        value, slope = reached.own * factor.value, pairs.anchors[:0]
        if len(given):
            values, slope = self._below_the_output(reached, given, pairs)
            value = value.index_copy(0, given, values)
        return _FactorExpansion(value, factor.value, limits, given, slope)

    def _below_the_output(
        self, reached: Reached, index: Tensor, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """Value and one-sided slope at some of the roots two layers below the output.

        Of all inputs that the output's direction is made of, the root's own unit alone is alive
        on the anchor's side, so all of the output's relevance goes to it: there ``h_j`` is f.
        """
        hidden, output = self.network.layers[-2:]
        column = pairs.unit[index].unsqueeze(1)
        gates = (reached.a[index] > 0).scatter(1, column, True)
        weight = output.rows(torch.zeros_like(index), reached.a[index])
        # Where f is zero at the root, it rises towards the anchor or is dead on the way.
        z = reached.units.z[index]
        gates &= (z > 0) | (weight.gather(1, column) > 0)
        return z.relu().squeeze(1), hidden.transposed(gates * weight, pairs.anchors[index])
