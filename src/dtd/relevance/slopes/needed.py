"""Where a limit is needed: where the one-sided slope at a root exists as one only.

The conditions are those of theory, section 2.3.

``∇⁺h_j(ã; a)`` is the limit of ``∇h_j(ã + ε(a - ã))`` for ε → 0+. At a root whose only tie is its
own unit, opening that unit's gate gives it exactly. Forward passes have it wherever no unit above
loses its direction, for there the factor of the relevance is continuous.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dtd.networks.layers.layer import AnyLayer
from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.relevance.limits.limits import Limits, Way
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.factor_layer import FactorLayer, Units
from dtd.relevance.slopes.slope import Pairs
from dtd.roots.location import Location


class Side(NamedTuple):
    """How the anchor's side of N roots is reached by automatic differentiation."""

    open_gates: Tensor
    """(N, M), true where a unit has the anchor's gate at the root; see
    :meth:`~dtd.networks.layers.layer.AnyLayer.held_open`."""
    epsilon: Tensor
    """(N,), the position on the segment at which to differentiate: 0, but where all positions
    have the same derivative."""
    limited: Tensor
    """(N,), whether that is not enough, so that a limit has to be taken."""

    def rows(self, index: Tensor) -> Side:
        """Those of some of the roots."""
        return Side(*(column[index] for column in self))


@torch.no_grad()
def side(
    network: Network,
    l: int,
    pairs: Pairs,
    location: Location,
    above: Plan | None,
    limits: Limits,
) -> Side:
    """The anchor's side of ``h_unit`` at roots in layer ``l``.

    ``above`` says how the upper layer is decomposed in its turn; None where that is the output.
    ``limits`` says how limits are taken: where it is in many digits, they help also at roots that
    have lost digits.
    """
    layer, (anchors, roots, unit, _) = network.layers[l], pairs
    own = torch.zeros(len(unit), layer.units, dtype=torch.bool, device=unit.device)
    own[torch.arange(len(unit), device=unit.device), unit] = True
    z = layer.preactivation(roots)
    size = layer.magnitude(anchors)
    threshold = policy(z.dtype).tie * size
    ties = location.ties(_ties(z, threshold), own)
    on_own, at_anchor = ties & own, layer.preactivation(anchors)
    open_gates = layer.held_open(on_own, anchors).clone()
    limited = (ties & ~own).any(1) | location.needs_limit(on_own.any(1))
    if above is not None:
        # Where no other unit is alive the direction above comes from this unit alone.
        limited |= ~((z > threshold) & ~own).any(1)
        upper, upper_anchors = layer.opened(roots, open_gates), layer(anchors)
        limited |= _ties_above(network, l + 1, upper_anchors, upper)
        limited |= _loses_direction(network.layers[l + 1], above, upper_anchors, upper)
    epsilon = torch.zeros_like(roots[:, 0])
    if limited.any() and limits.homogeneous(l + 1):
        # All units grow in proportion from the root to the anchor, or stay dead on the way.
        dead = (z < 0) & (at_anchor <= 0)
        alike = limited & (_ties(z, threshold) | dead).all(1)
        epsilon, limited = alike.to(roots) / 8, limited & ~alike
    if limits.way(l) is not Way.EXTRAPOLATED:
        hard = torch.zeros_like(limited)
        if above is not None:
            # The root's own unit may be dead at the anchor. The output is not decomposed there.
            hard |= (on_own & (at_anchor < -threshold)).any(1)
        if limits.has_formula(l):
            close = _ties(z, policy(z.dtype).close * size) & ~own
            hard |= close.any(1)
        limited |= hard & (epsilon == 0)
    open_gates &= ~(limited | (epsilon > 0)).unsqueeze(1)
    return Side(open_gates, epsilon, limited)


def inherited(limit_error: Tensor, untaken: Tensor, epsilon: Tensor) -> Tensor:
    """Where a limit is needed because there is one further up, (N,).

    At a root itself every limit further up is a limit there as well. Beside a root, where all
    points have the same derivative, one that is exact does no harm.

    Args:
        limit_error: (N,), of the limits that were taken above; NaN where there was none.
        untaken: (N,), whether one was not taken.
        epsilon: (N,), the positions on the segments from root to anchor.
    """
    return untaken | torch.where(epsilon > 0, limit_error > 0, ~limit_error.isnan())


def _ties(z: Tensor, threshold: Tensor) -> Tensor:
    # A unit whose weights and bias vanish on the whole segment has no kink: its threshold is 0.
    return (z.abs() <= threshold) & (threshold > 0)


def _ties_above(network: Network, l: int, anchors: Tensor, points: Tensor) -> Tensor:
    """Whether a unit above layer ``l`` is a tie at the points, shape (N,).

    A unit without a ReLU has a kink as well: below it nothing is decomposed.
    """
    tie = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for layer in network.layers[l:]:
        z = layer.preactivation(points)
        tie |= _ties(z, policy(z.dtype).tie * layer.magnitude(anchors)).any(1)
        anchors, points = layer(anchors), layer(points)
    return tie


def _loses_direction(layer: AnyLayer, above: Plan, anchors: Tensor, points: Tensor) -> Tensor:
    """Whether an active unit has a direction at the anchor but none at the points, shape (N,).

    Its step ``z / (w v)`` is then 0/0 or infinite at the points, though other units are alive.
    """
    here, there = (
        above.rule.divisor(above.rule.terms(a, layer, above.domain), above.domain)
        for a in (points, anchors)
    )
    if here is None or there is None:
        return torch.zeros(len(points), dtype=torch.bool, device=points.device)
    vanishes = _ties(here.value, policy(points.dtype).tie * there.size)
    return (vanishes & (layer.preactivation(points) > 0)).any(1)


class ForwardLimits(NamedTuple):
    """Where forward passes do not have the slope at N roots."""

    limited: Tensor
    """(N,), whether the slope exists as a limit only."""
    undecided: Tensor
    """(N,), whether that limit is not continuous in the anchor: anchors nearby have another one,
    or none."""

    @property
    def somewhere(self) -> bool:
        """Whether there is such a root."""
        return bool((self.limited | self.undecided).any())

    def below(self, above: ForwardLimits, lost: Tensor, below_the_output: bool) -> ForwardLimits:
        """Those at the roots with all that is ``above`` them.

        Two layers below the output a limit has a formula, as long as it is continuous. Where digits
        are ``lost`` (N,) the relevance is not known to forward passes either.
        """
        undecided = above.undecided | self.undecided | lost
        if not below_the_output:
            undecided = undecided | self.limited
        return ForwardLimits(above.limited | self.limited, undecided)


def _other_ties(layer: AnyLayer, pairs: Pairs, z: Tensor) -> Tensor:
    """Which units of the layer other than the root's own are on their kinks at roots, (N, J)."""
    tie, (bias, weight) = policy(z.dtype).tie, layer.largest
    # A bound that needs no product leaves few rows to look at.
    bound = tie * (weight * pairs.anchors.abs().amax(1, keepdim=True) + bias)
    ties = (z.abs() <= bound).scatter(1, pairs.unit.unsqueeze(1), False)
    index = ties.any(1).nonzero().squeeze(1)
    if len(index):
        ties[index] &= _ties(z[index], tie * layer.magnitude(pairs.anchors[index]))
    return ties


def loses_digits(pairs: Pairs) -> Tensor:
    """Whether digits are lost at roots (N,) that are next to the origin."""
    small, large = (points.abs().amax(1) for points in (pairs.roots, pairs.anchors))
    lost: Tensor = small <= policy(small.dtype).close * large
    return lost


def forward_limits(
    network: Network,
    l: int,
    above: FactorLayer,
    pairs: Pairs,
    z: Tensor,
    a: Tensor,
    units: Units,
    size: Tensor,
) -> ForwardLimits:
    """Where a unit two layers above the roots in layer ``l`` loses its direction.

    Args:
        network: with one output.
        l: the layer of the roots.
        above: the layer l + 1, which is decomposed by a rule that carries the factor.
        pairs: anchors (N, d), roots (N, d) and their units (N,).
        z: pre-activations (N, J) at the roots, zero for the root's own unit.
        a: activations (N, J) there.
        units: the units of layer l + 2 there, (N, K).
        size: (N,), the largest activation of layer l + 1 at the anchors.
    """
    # Below the output a limit gives nothing to a weight of zero; below other layers it may.
    gives = above.gives if l + 2 == network.depth else above.moves
    limited = torch.zeros_like(pairs.unit, dtype=torch.bool)
    limits = ForwardLimits(limited, limited)
    # There are few or none: to look for all of them takes less time than a look at each row.
    index = units.undirected.nonzero()[:, 0].unique_consecutive()
    if len(index):
        lost = units.undirected[index] & gives(pairs.unit[index], a[index])
        some = lost.any(1)
        index, lost = index[some], lost[some]
        threshold = policy(z.dtype).tie * network.layers[l].magnitude(pairs.anchors[index])
        ties = _ties(z[index], threshold)
        # The limit is certain only where no anchor nearby has another one: every other unit is
        # clearly dead or alive, and the direction vanishes because all its parts are dead.
        clear = ~ties.scatter(1, pairs.unit[index].unsqueeze(1), False).any(1)
        _, whole = above.divisors(a[index])
        edge = (units.z[index] < above.slack(size[index])) | (whole > 0)
        undecided = ~clear | ((lost & edge).any(1) & a[index].any(1))
        limits = ForwardLimits(
            limited.index_fill(0, index, True), limited.index_copy(0, index, undecided)
        )
    if above.has_rivals:
        ties = _other_ties(network.layers[l], pairs, z)
        rivals = above.rivals(pairs.unit, a, ties, size)
        limits = ForwardLimits(limits.limited | rivals, limits.undecided | rivals)
    return limits
