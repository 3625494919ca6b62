"""Where the one-sided slope at a root exists as a limit only (theory, section 2.3).

``∇⁺h_j(ã; a)`` is the limit of ``∇h_j(ã + ε(a - ã))`` for ε → 0+. At a root whose only tie is its
own unit, opening that unit's gate gives it exactly. Forward passes have it wherever no unit above
loses its direction, for there the factor of the relevance is continuous.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dtd.networks.layer import AnyLayer
from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.factor_layer import FactorLayer, Units
from dtd.relevance.slopes.slope import Pairs
from dtd.roots.location import Location


class Side(NamedTuple):
    """How the anchor's side of N roots is reached by automatic differentiation."""

    open_gates: Tensor
    """(N, M), true where a unit has the anchor's gate at the root; see
    :meth:`~dtd.networks.layer.AnyLayer.held_open`."""
    epsilon: Tensor
    """(N,), the position on the segment at which to differentiate: 0, but where all positions
    have the same derivative."""
    limit: Tensor
    """(N,), whether that is not enough, so that a limit has to be taken."""
    close: Tensor
    """(N,), whether another unit is so close to its kink that digits are lost."""
    dead_unit: Tensor
    """(N,), whether the root is on the kink of its own unit, and that is dead at the anchor."""


@torch.no_grad()
def side(
    network: Network,
    l: int,
    pairs: Pairs,
    location: Location,
    above: Plan | None,
    homogeneous: bool,
) -> Side:
    """The anchor's side of ``h_unit`` at roots in layer ``l``.

    ``above`` says how the upper layer is decomposed in its turn; None where that is the output.
    ``homogeneous`` says that the relevance of the upper layer is so, of degree 1.
    """
    layer, (anchors, roots, unit, _) = network.layers[l], pairs
    own = torch.zeros(len(unit), layer.units, dtype=torch.bool, device=unit.device)
    own[torch.arange(len(unit), device=unit.device), unit] = True
    z = layer.preactivation(roots)
    threshold = policy(z.dtype).tie * layer.magnitude(anchors)
    ties = location.ties(_ties(z, threshold), own)
    on_own, at_anchor = ties & own, layer.preactivation(anchors)
    # The output has no relevance where it is dead, and no root is looked for there.
    dead_unit = (on_own & (at_anchor < -threshold) & (above is not None)).any(1)
    open_gates = layer.held_open(on_own, anchors).clone()
    limit = (ties & ~own).any(1) | location.is_approached(on_own.any(1))
    close = (z.abs() <= policy(z.dtype).close * layer.magnitude(anchors)) & ~own
    if above is not None:
        # Where no other unit is alive the direction above comes from this unit alone.
        limit |= ~((z > threshold) & ~own).any(1)
        upper, upper_anchors = layer.opened(roots, open_gates), layer(anchors)
        limit |= _ties_above(network, l + 1, upper_anchors, upper)
        limit |= _loses_direction(network.layers[l + 1], above, upper_anchors, upper)
    epsilon = torch.zeros_like(roots[:, 0])
    if homogeneous and limit.any():
        # All units grow in proportion from the root to the anchor, or stay dead on the way.
        dead = (z < 0) & (at_anchor <= 0)
        alike = limit & (_ties(z, threshold) | dead).all(1)
        epsilon, limit = alike.to(roots) / 8, limit & ~alike
    open_gates &= ~(limit | (epsilon > 0)).unsqueeze(1)
    return Side(open_gates, epsilon, limit, close.any(1), dead_unit)


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
        above.rule.divisor(above.rule.terms(a, layer, above.domain)) for a in (points, anchors)
    )
    if here is None or there is None:
        return torch.zeros(len(points), dtype=torch.bool, device=points.device)
    vanishes = _ties(here.value, policy(points.dtype).tie * there.size)
    return (vanishes & (layer.preactivation(points) > 0)).any(1)


class ForwardLimits(NamedTuple):
    """Where forward passes do not have the slope at N roots."""

    limit: Tensor
    """(N,), whether the slope exists as a limit only."""
    undecided: Tensor
    """(N,), whether that limit is not continuous in the anchor: anchors nearby have another one,
    or none."""


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
    limit = units.undirected.any(1)
    some = limit.nonzero().squeeze(1)
    given = torch.zeros_like(units.undirected)
    given[some] = gives(pairs.unit[some], a[some])
    limit = (units.undirected & given).any(1)
    undecided = limit.clone()
    if limit.any():
        index = limit.nonzero().squeeze(1)
        threshold = policy(z.dtype).tie * network.layers[l].magnitude(pairs.anchors[index])
        ties = _ties(z[index], threshold)
        # The limit is certain only where no anchor nearby has another one: every other unit is
        # clearly dead or alive, and the direction vanishes because all its parts are dead.
        clear = ~ties.scatter(1, pairs.unit[index].unsqueeze(1), False).any(1)
        _, whole = above.divisors(a[index])
        edge = (units.z[index] < above.slack(size[index])) | (
            whole > above.smallest_divisor(size[index])
        )
        some = (units.undirected[index] & given[index] & edge).any(1)
        undecided[index] = ~clear | (some & a[index].any(1))
    return ForwardLimits(limit, undecided)
