"""Relevance by random walks: the exact recursion as an expectation.

``R_{l,i}(a) = a_i Σ_j C_{l+1,j}(f_{l+1}(ã_j)) t_j w_ji mask_ji`` is a sum over paths of units from
layer l + 1 to the output (see ``factors.py``). A walk draws one path, unit by unit from below,
and weighs its term with one over the probability of the path: the mean of many walks is an
unbiased estimate of the sum, at a cost that grows linearly with depth and not with the number of
paths: in every layer a walk stands at one root, and needs the layer above it and no other.

Where the derivative at a root exists as a one-sided limit only, the walk goes on from the nudged
point, as the definition says, and is differentiated there: the draws do not depend on the point's
position, so the derivative of a walk is an unbiased estimate of the derivative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.numerics.policy import policy, safe_divide
from dtd.numerics.products import row_product
from dtd.relevance.factors.layer import Units
from dtd.relevance.factors.path import FactorPath
from dtd.relevance.one_sided.side import nudged


class Estimate(NamedTuple):
    """``R_l`` at B anchors, with standard errors."""

    relevance: Tensor
    """(B, d)."""
    stderr: Tensor
    """(B, d)."""
    total_stderr: Tensor
    """(B,), of the sum of the relevances."""
    zero_order: Tensor
    """(B,), the estimated relevance at the roots of the anchors."""


class _Expansion(NamedTuple):
    """As in ``factors.py``, estimated from W walks, one each."""

    factor: Tensor
    """(W,), zero for the lost ones."""
    lost: Tensor
    """(n,), which walks have a slope instead of a factor."""
    value: Tensor
    """(n,)."""
    slope: Tensor
    """(n, d)."""


@dataclass(frozen=True, eq=False)
class WalkSampling:
    """Walks through a network whose layers all carry the factor.

    The first unit of a walk is not drawn: every unit with a root has walks of its own, at least
    two (stratified sampling). Above it a unit is drawn with a probability that follows the size
    of its term and ``importance[l]`` (d_l,), a guess at what the units of layer l pass on; any
    numbers leave the estimate unbiased.

    ``walks`` for each anchor are at least two for every unit. ``generator`` is read from a copy,
    and its numbers are shared by all anchors.
    """

    factors: FactorPath
    walks: int
    importance: Mapping[int, Tensor]
    generator: torch.Generator

    def estimate(self, start: int, a: Tensor) -> Estimate:
        """``R_l`` at the anchors ``a`` (B, d), l = ``start``."""
        shape = (self.walks, self.factors.network.depth - start)
        # Not in float32: its steps of 2**-24 would leave out units of little probability.
        generator = self.generator.clone_state()
        draws = torch.rand(shape, generator=generator, dtype=torch.float64).to(a)
        # A walk that takes a limit holds a point in every layer.
        chunks = a.split(max(1, self.factors.max_points // draws.numel()))
        parts = [self._estimate(start, chunk, draws) for chunk in chunks]
        return Estimate(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _estimate(self, start: int, a: Tensor, draws: Tensor) -> Estimate:
        step = self.factors.layers[start]
        units = step.units(a, torch.zeros_like(a[:, 0]))
        row, unit = (units.step != 0).nonzero(as_tuple=True)
        anchors, t, z = a[row], units.step[row, unit], units.z[row, unit]
        active = (units.step != 0).to(a)
        shares = _shares(active, units.z * active, self.importance[start + 1])
        count = self._allocated(shares)[row, unit]
        # A pair is an anchor and a first unit; each anchor with any has the same number of walks.
        pair = torch.arange(len(row), device=a.device).repeat_interleave(count)
        walk = torch.arange(len(pair), device=a.device) % self.walks
        roots = step.roots(anchors, t, unit)
        there = self._expand(start, anchors, units.size[row], roots, unit, draws, walk, pair)
        mean, variance = _moments(there.factor, pair, count)
        gains = torch.zeros_like(units.z).index_put((row, unit), t * mean)
        noise = torch.zeros_like(units.z).index_put((row, unit), t.square() * variance)
        relevance = a * row_product(gains, step.product)
        square = a.square() * row_product(noise, step.product.square())
        total_square = torch.zeros_like(a[:, 0]).index_add(0, row, z.square() * variance)
        zero_order = torch.zeros_like(total_square)
        if len(there.lost):
            share = there.slope * (anchors - roots)[pair[there.lost]]
            columns = torch.cat([share, share.sum(1, True), there.value.unsqueeze(1)], 1)
            lost, index = pair[there.lost].unique(return_inverse=True)
            mean, variance = _moments(columns, index, count[lost])
            relevance.index_add_(0, row[lost], mean[:, :-2])
            square.index_add_(0, row[lost], variance[:, :-2])
            total_square.index_add_(0, row[lost], variance[:, -2])
            zero_order.index_add_(0, row[lost], mean[:, -1])
        return Estimate(relevance, square.sqrt(), total_square.sqrt(), zero_order)

    def _allocated(self, shares: Tensor) -> Tensor:
        """How many walks begin with each unit: two if it has a share (B, J), the rest by shares.

        Those that rounding leaves over go to the unit of the largest share.
        """
        count = 2 * (shares > 0)
        spare = self.walks - count.sum(1, keepdim=True)
        count += (spare * shares).floor().long()
        largest = shares.argmax(1, keepdim=True)
        return count.scatter_add(1, largest, self.walks - count.sum(1, keepdim=True))

    def _expand(
        self,
        start: int,
        anchors: Tensor,
        size: Tensor,
        roots: Tensor,
        unit: Tensor,
        draws: Tensor,
        walk: Tensor,
        pair: Tensor,
    ) -> _Expansion:
        """Walks on from N roots: ``pair`` (W,) names the root of each, ``walk`` its draws."""
        if start + 1 == self.factors.network.depth:
            return _Expansion(torch.ones_like(size)[pair], unit[:0], size[:0], anchors[:0])
        reached = self.factors.reach(start, anchors, size, roots, unit)
        onward, lost = _told_apart(reached.lost[pair])
        there = pair[onward]
        units = Units(*(column[there] for column in reached.units))
        factor = self._factor(start + 1, reached.a[there], units, unit[there], draws, walk[onward])
        there = pair[lost]
        limits = self._limits(start, anchors[there], roots[there], unit[there], draws, walk[lost])
        return _Expansion(factor.new_zeros(len(walk)).index_copy(0, onward, factor), lost, *limits)

    def _factor(
        self, start: int, a: Tensor, units: Units, unit: Tensor, draws: Tensor, walk: Tensor
    ) -> Tensor:
        """An estimate of ``C_{l,unit}(a)``, l = ``start``, from one walk for each row, (N,).

        All walks climb together, a layer at a time, and nothing is kept of the layers below.
        """
        depth = self.factors.network.depth
        row, weight = torch.arange(len(a), device=a.device), torch.ones_like(a[:, 0])
        factor = torch.zeros_like(weight)
        for layer in range(start, depth - 1):
            step = self.factors.layers[layer]
            terms = units.step * step.columns[unit]
            # Also units whose term is zero, for their roots may need a limit that gives something.
            active = ((units.step != 0) & step.moves[unit]).to(a)
            shares = _shares(active, terms.detach().abs(), self.importance[layer + 1])
            alive = shares.sum(1).nonzero().squeeze(1)
            row, walk, unit, weight, a = (c[alive] for c in (row, walk, unit, weight, a))
            upper, inverse = _draw(shares[alive], draws[walk, layer + 1 - depth])
            weight, t = weight * inverse, units.step[alive, upper]
            roots = step.roots(a, t, upper)
            reached = self.factors.reach(layer, a, units.size[alive], roots, upper)
            weights = weight * terms[alive, upper]
            walks: tuple[Tensor, ...] = row, walk, weights, upper, reached.a, *reached.units
            onward, lost = _told_apart(reached.lost)
            if len(lost):
                # These walks end here: what is left of each is in the slope.
                ends = a[lost], roots[lost], upper[lost]
                _, slope = self._limits(layer, *ends, draws, walk[lost])
                slope = slope.gather(1, unit[lost].unsqueeze(1)).squeeze(1)
                share = slope * (weight * t * step.mask[upper, unit])[lost]
                factor = factor.index_copy(0, row[lost], share)
                walks = tuple(column[onward] for column in walks)
            row, walk, weight, unit, a, *columns = walks
            units = Units(*columns)
        last = self.factors.layers[depth - 1]
        terms = units.step.squeeze(1) * last.product[0, unit]
        return factor.index_copy(0, row, weight * terms)

    def _limits(
        self,
        start: int,
        anchors: Tensor,
        roots: Tensor,
        unit: Tensor,
        draws: Tensor,
        walk: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Value and one-sided slope at n roots, (n,) and (n, d), from one walk each."""
        if not len(unit):
            return anchors.new_zeros(0), anchors
        tolerance, keep = policy(anchors.dtype), torch.is_grad_enabled()
        with torch.enable_grad():
            # A limit inside another takes the smaller step.
            points = nudged(anchors, roots, tolerance.nudge if keep else tolerance.outer)
            if not points.requires_grad:
                points.requires_grad_()
            a = self.factors.network.layers[start](points)
            units = self.factors.layers[start + 1].units(a, a.detach().amax(1))
            own = a.gather(1, unit.unsqueeze(1)).squeeze(1)
            value = own * self._factor(start + 1, a, units, unit, draws, walk)
            (slope,) = torch.autograd.grad(
                value.sum(), points, create_graph=keep, materialize_grads=True
            )
        value = value if keep else value.detach()
        return value - (slope * (points - roots)).sum(1), slope


def _told_apart(lost: Tensor) -> tuple[Tensor, Tensor]:
    """The indices at which ``lost`` (N,) is false, and those at which it is true."""
    return (~lost).nonzero().squeeze(1), lost.nonzero().squeeze(1)


def _shares(active: Tensor, terms: Tensor, importance: Tensor) -> Tensor:
    """What the probability of each active unit is proportional to, (N, J).

    ``active`` (N, J) is 1 or 0. One half evenly and one half in proportion to the term's size
    (N, J) times importance (J,). Of what was compared this was never far from the smallest
    variance: the second half alone is up to three times better where the guess is good, and up to
    thirty times worse where it is not.
    """
    weights, half = terms * importance, terms.new_tensor(0.5)
    evenly, by_weight = (safe_divide(half, part.sum(1, keepdim=True)) for part in (active, weights))
    return torch.addcmul(active * evenly, weights, by_weight)


def _draw(shares: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of shares (N, J), not all zero, a unit drawn, and one over its probability.

    ``uniform`` (N,) lies in [0, 1].
    """
    cumulated = shares.cumsum(1)
    total = cumulated[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))
    level = torch.minimum(uniform.unsqueeze(1) * total, below)
    unit = torch.searchsorted(cumulated, level, right=True)
    return unit.squeeze(1), (total / shares.gather(1, unit)).squeeze(1)


def _moments(values: Tensor, pair: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over the walks of each pair, and the variance of that mean, (P, ...).

    ``values`` (W, ...) and ``pair`` (W,) are of the walks, ``count`` (P,) says how many each has.
    """
    size = count.view(-1, *[1] * (values.dim() - 1))
    nothing = values.new_zeros(len(count), *values.shape[1:])
    mean = nothing.index_add(0, pair, values) / size
    squares = nothing.index_add(0, pair, (values - mean[pair]).square())
    return mean, squares / (size * (size - 1))
