"""The anchor's side of a root (theory, section 2).

``∇⁺h_j(ã; a)`` is the limit of ``∇h_j(ã + ε(a - ã))`` for ε → 0+. At a root whose only kink is
its own unit's, opening that unit's gate gives the limit exactly; anywhere else the root has to be
approached.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.roots.contract import Place
from dtd.rules.rule import Rule, projection, projection_size


class Above(NamedTuple):
    """How the layer above is decomposed."""

    rule: Rule
    domain: Domain


class Side(NamedTuple):
    """How the anchor's side of N roots is reached."""

    open_gates: Tensor
    """(N, J), true where a unit's ReLU is replaced by the identity at the root."""
    limit: Tensor
    """(N,), whether that is not enough, so that the root has to be approached."""


def one_sided(
    network: Network,
    start: int,
    anchors: Tensor,
    roots: Tensor,
    units: Tensor,
    place: Place,
    above: Above | None,
) -> Side:
    """The anchor's side of ``h_unit`` for each pair of an anchor and a root, both (N, d).

    ``above`` is the rule and domain by which the upper layer is decomposed in its turn; None
    where the upper layer is the output.
    """
    layer = network.layers[start]
    tolerance = policy(roots.dtype)
    with torch.no_grad():
        own = torch.zeros(len(units), len(layer.bias), dtype=torch.bool, device=units.device)
        own[torch.arange(len(units), device=units.device), units] = True
        z = layer.preactivation(roots)
        threshold = tolerance.tie * layer.magnitude(anchors)
        ties = _ties(z, threshold) | (own if place is Place.HINGE else False)
        own_tie = (ties & own).any(1)
        open_gates = ties & own
        limit = (ties & ~own).any(1)
        if above is not None:
            limit |= ~((z > threshold) & ~own).any(1)
            upper = torch.where(open_gates, z, layer.activation(z))
            limit |= _ties_above(network, start + 1, layer(anchors), upper)
            limit |= _loses_direction(network, start + 1, layer(anchors), upper, above)
        if place is Place.BOUNDARY:
            limit |= ~own_tie
        return Side(open_gates & ~limit.unsqueeze(1), limit)


def nudged(anchors: Tensor, roots: Tensor, step: float | Tensor) -> Tensor:
    """The points (N, d) a step, or steps (N, 1), from the roots towards the anchors."""
    return roots + step * (anchors - roots)


def _ties(z: Tensor, threshold: Tensor) -> Tensor:
    # A unit whose weights and bias vanish on the whole segment has no kink: its threshold is 0.
    return (z.abs() <= threshold) & (threshold > 0)


def _ties_above(network: Network, start: int, anchors: Tensor, points: Tensor) -> Tensor:
    """Whether a unit above layer ``start`` is on its kink at the points, shape (N,).

    A unit without a ReLU has one as well: below it nothing is decomposed.
    """
    tie = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for layer in network.layers[start:]:
        z = layer.preactivation(points)
        threshold = policy(z.dtype).tie * layer.magnitude(anchors)
        tie |= _ties(z, threshold).any(1)
        anchors, points = layer(anchors), layer(points)
    return tie


def _loses_direction(
    network: Network, start: int, anchors: Tensor, points: Tensor, above: Above
) -> Tensor:
    """Whether an active unit has a direction at the anchor but none at the points, shape (N,).

    Its step ``z / (w v)`` is then 0/0 or infinite at the points, though other units are alive.
    """
    if not above.rule.meets_hinge:
        return torch.zeros(len(points), dtype=torch.bool, device=points.device)
    layer = network.layers[start]
    total = projection(above.rule.terms(points, layer, above.domain), layer)
    size = projection_size(above.rule.terms(anchors, layer, above.domain), layer)
    lost = _ties(total, policy(total.dtype).tie * size)
    return (lost & (layer.preactivation(points) > 0)).any(1)
