"""At how many points the recursion evaluates relevance functions (theory, section 9)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dtd.networks.matrices.matrix import Matrix
from dtd.relevance.problem import Problem
from dtd.relevance.series.series import Series
from dtd.relevance.slopes.choice import by_forward_passes

_MOST = 1e300
"""Counts of forward passes are floats, and end here."""


def points_visited(problem: Problem) -> int:
    """The points for one sample, in all layers.

    An upper bound, since units that are inactive have no root; but an integral visits more points
    than this where it meets kinks, and one-sided limits in many digits are not counted.
    """
    network, series = problem.explained, problem.series
    evaluations = problem.scheme.evaluations(network.widths)
    connected = _connected_roots(problem)
    rest = network.depth - len(connected)
    every = every_root(
        network.widths[: rest + 1], evaluations[:rest], series, above=sum(connected[-1:])
    )
    return sum(connected) + sum(every)


def every_root(
    widths: Sequence[int], evaluations: Sequence[int], series: Series | None, above: int = 0
) -> list[int]:
    """The points for one anchor of each layer where all slopes are computed by differentiation.

    One root for every unit of the layer above, and the points of its search, each with all the
    points of the layers above it. With a series a root counts by what it costs: each layer's
    derivatives are taken through those of the layers above.

    Args:
        widths: units per layer, from the input up.
        evaluations: the points that the search of each layer looks at for one anchor.
        series: what of each Taylor series is distributed; None is the linear term.
        above: the points for one anchor of the last of these layers; 0 where it is the output.
    """
    counts = list[int]()
    for units, searched in zip(reversed(widths[1:]), reversed(evaluations), strict=True):
        # The output is affine, and has one degree.
        cost = 1 if series is None or not above else series.cost()
        above = (units * cost + searched) * (1 + above)
        counts.append(above)
    return counts


def _connected_roots(problem: Problem) -> list[int]:
    """The points for one anchor of the layers that forward passes cover, from the last one down.

    For a root of unit j they visit the roots of those units above that the rule's mask connects
    with j. The output counts as connected with all units, whichever is explained.
    """
    counts = list[int]()
    if not by_forward_passes(problem.series, problem.moving_roots, problem.forward_passes):
        return counts
    layers, scheme = problem.explained.layers, problem.scheme
    masks = [one.factor_mask(rule) for one, rule in zip(scheme.roots, scheme.rules, strict=True)]
    below_unit = layers[-1].parameters["bias"].new_ones(1, 1, dtype=torch.float64)
    for l in reversed(range(len(layers))):
        mask = masks[l]
        if mask is None:
            break
        counts.append(int(below_unit.sum().clamp(max=_MOST)))
        if l + 1 == len(layers):
            above = below_unit.expand(1, layers[l].size)
        else:
            above = _connected(layers[l].mask(mask), below_unit)
        below_unit = (1 + above).clamp(max=_MOST)
    return counts


def _connected(mask: Matrix, counts: Tensor) -> Tensor:
    """For each input, the sum of the ``counts`` (1, J) of the units whose roots move it, (1, d)."""
    moved = mask.mapped(lambda entry: (entry != 0).double())
    if moved.outside:
        unmoved = mask.mapped(lambda entry: (entry == 0).double())
        return counts.sum() - unmoved.transposed(counts)
    return moved.transposed(counts)
