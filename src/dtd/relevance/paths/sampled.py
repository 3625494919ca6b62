"""Relevance from sampled paths: the exact recursion as an expectation.

``R_{l,i}(a) = a_i Σ_j C_{l+1,j}(f_{l+1}(ã_j)) t_j w_ji mask_ji`` (see ``slopes/forward.py``) is a
sum over paths of units from layer l + 1 to the output. A path is drawn unit by unit from below, and
its term is divided by the probability of the path: the mean of many terms is an unbiased estimate
of the sum. The cost grows linearly with depth, not with the number of paths: in every layer a path
stands at one root, and needs the layer above it and no other.

Where the slope at a root exists as a one-sided limit only, what is left of the path is expanded in
many digits (theory, section 2.4), with the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.progress import Track, untracked
from dtd.relevance.limits.limits import Limits
from dtd.relevance.paths.draws import Drawn, draw, drawing_shares
from dtd.relevance.slopes.factor_layer import Units
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs, Slope, worst


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
    limit_error: Tensor
    """(B,), the largest relative error of a limit on the paths; NaN where none was needed."""


class _Onward(NamedTuple):
    """Where P paths go on from the roots that they stand at; each belongs to one of N roots."""

    root: Tensor
    """(P,), the root of each path."""
    draws: Tensor
    """(P, L), the uniform numbers of each path, of which the last are for the layers above."""

    def rows(self, index: Tensor) -> _Onward:
        """Some of the paths."""
        return _Onward(self.root[index], self.draws[index])


class _SampledFactor(NamedTuple):
    """``C_unit`` at N anchors, estimated from one path each; all (N,)."""

    value: Tensor
    limit_error: Tensor
    """The relative error of a limit on the path, NaN without one."""
    undecided: Tensor
    """Whether the path met a limit that is not continuous in its anchor."""


class _SampledExpansion(NamedTuple):
    """``h_unit`` at N roots, estimated from P paths, one each."""

    factor: Tensor
    """(P,), the slope is ``factor w_unit``; zero for the others."""
    others: Tensor
    """(n,), which paths have an expansion instead of a factor."""
    value: Tensor
    """(n,)."""
    shares: Tensor
    """(n, d)."""
    limit_error: Tensor
    """(P,), the relative error of a limit on the path, NaN without one."""


@dataclass(frozen=True, eq=False)
class SampledPaths:
    """Paths through a network whose layers all carry the factor.

    The first unit of a path is not drawn: every unit with a root has paths of its own, at least
    two (stratified sampling). Above it a unit is drawn with a probability that follows the size
    of its term and ``importance[l]`` (d_l,), a guess at what the units of layer l pass on. Any
    numbers leave the estimate unbiased.

    ``paths`` for each anchor are at least two for every unit. ``generator`` is read from a copy,
    and its numbers are shared by all anchors. ``track`` shows how far the work is.
    """

    slopes: ForwardSlopes
    limits: Limits
    paths: int
    importance: Mapping[int, Tensor]
    generator: torch.Generator
    track: Track = untracked

    def estimate(self, l: int, a: Tensor) -> Estimate:
        """``R_l`` at the anchors ``a`` (B, d)."""
        shape = (self.paths, self.slopes.network.depth - l)
        # Not in float32: its steps of 2**-24 would leave out units of little probability.
        generator = self.generator.clone_state()
        draws = torch.rand(shape, generator=generator, dtype=torch.float64).to(a)
        # A path that takes a limit holds a point in every layer.
        chunks = a.split(max(1, self.slopes.batching.max_points // draws.numel()))
        parts = [self._estimate(l, chunk, draws) for chunk in self.track(chunks, "samples")]
        return Estimate(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _estimate(self, l: int, a: Tensor, draws: Tensor) -> Estimate:
        layer = self.slopes.layers[l]
        units = layer.units(a, torch.zeros_like(a[:, 0]))
        row, unit = (units.step != 0).nonzero(as_tuple=True)
        anchors, t, z = a[row], units.step[row, unit], units.z[row, unit]
        active = (units.step != 0).to(a)
        shares = drawing_shares(active, units.z * active, self.importance[l + 1])
        count = self._allocated(shares)[row, unit]
        # Each anchor with any root has the same number of paths, and the same draws.
        root = torch.arange(len(row), device=a.device).repeat_interleave(count)
        onward = _Onward(root, draws[torch.arange(len(root), device=a.device) % self.paths])
        pairs = Pairs(anchors, layer.roots(anchors, t, unit), unit, row)
        there = self._expand(l, pairs, units.size[row], onward)
        mean, variance = _moments(there.factor, root, count)
        gains = torch.zeros_like(units.z).index_put((row, unit), t * mean)
        noise = torch.zeros_like(units.z).index_put((row, unit), t.square() * variance)
        relevance = a * layer.product.transposed(gains, a)
        square = a.square() * layer.product.mapped(torch.square).transposed(noise, a)
        total_square = torch.zeros_like(a[:, 0]).index_add(0, row, z.square() * variance)
        zero_order = torch.zeros_like(total_square)
        if len(there.others):
            share = there.shares
            columns = torch.cat([share, share.sum(1, True), there.value.unsqueeze(1)], 1)
            others, index = root[there.others].unique(return_inverse=True)
            mean, variance = _moments(columns, index, count[others])
            relevance.index_add_(0, row[others], mean[:, :-2])
            square.index_add_(0, row[others], variance[:, :-2])
            total_square.index_add_(0, row[others], variance[:, -2])
            zero_order.index_add_(0, row[others], mean[:, -1])
        limit_error = worst(there.limit_error, row[root], len(a))
        return Estimate(relevance, square.sqrt(), total_square.sqrt(), zero_order, limit_error)

    def _allocated(self, shares: Tensor) -> Tensor:
        """How many paths begin with each unit: two if it has a share (B, J), the rest by shares.

        Those that rounding leaves over go to the unit of the largest share.
        """
        count = 2 * (shares > 0)
        spare = self.paths - count.sum(1, keepdim=True)
        count += (spare * shares).floor().long()
        largest = shares.argmax(1, keepdim=True)
        return count.scatter_add(1, largest, self.paths - count.sum(1, keepdim=True))

    def _expand(self, l: int, pairs: Pairs, size: Tensor, onward: _Onward) -> _SampledExpansion:
        """Paths on from N roots in layer ``l``."""
        none = torch.full_like(size[onward.root], torch.nan)
        if l + 1 == self.slopes.network.depth:
            return _SampledExpansion(
                torch.ones_like(none), pairs.unit[:0], size[:0], pairs.roots[:0], none
            )
        reached = self.slopes.reach(l, pairs, size)
        plain, _ = _told_apart(reached.limits.limited[onward.root])
        there = onward.root[plain]
        units = Units(*(column[there] for column in reached.units))
        found = self._factor(l + 1, reached.a[there], units, pairs.unit[there], onward.draws[plain])
        # A limit that is not continuous has to be taken together with those around it: all paths
        # of that anchor are expanded as limits, so that which are does not depend on the draws.
        met = torch.cat([reached.limits.undecided.nonzero().squeeze(1), there[found.undecided]])
        together = torch.isin(pairs.anchor, pairs.anchor[met])
        limited = (reached.limits.limited | together)[onward.root]
        kept, (_, others) = ~limited[plain], _told_apart(limited)
        at_limits = self._limits(l, pairs.rows(onward.root[others]), onward.draws[others])
        limit_error = none.index_copy(0, plain[kept], found.limit_error[kept])
        return _SampledExpansion(
            torch.zeros_like(none).index_copy(0, plain[kept], found.value[kept]),
            others,
            at_limits.value,
            at_limits.shares.squeeze(1),
            limit_error.index_copy(0, others, at_limits.limit_error),
        )

    def _factor(
        self, l: int, a: Tensor, units: Units, unit: Tensor, draws: Tensor
    ) -> _SampledFactor:
        """An estimate of ``C_{l,unit}(a)`` from one path for each row, (N,).

        All paths climb together, a layer at a time, and nothing is kept of the layers below.
        """
        depth = self.slopes.network.depth
        row, weight = torch.arange(len(a), device=a.device), torch.ones_like(a[:, 0])
        factor, limit_error = torch.zeros_like(weight), torch.full_like(weight, torch.nan)
        undecided = torch.zeros_like(weight, dtype=torch.bool)
        for at in self.track(range(l, depth - 1), "paths"):
            layer = self.slopes.layers[at]
            terms = units.step * layer.product.columns(unit, a)
            # Also units whose term is zero, for their roots may need a limit that gives something.
            active = ((units.step != 0) & layer.moves(unit, a)).to(a)
            shares = drawing_shares(active, terms.abs(), self.importance[at + 1])
            alive = shares.sum(1).nonzero().squeeze(1)
            row, draws, unit, weight, a = (c[alive] for c in (row, draws, unit, weight, a))
            upper, inverse = draw(shares[alive], draws[:, at + 1 - depth])
            weight, t = weight * inverse, units.step[alive, upper]
            pairs = Pairs(a, layer.roots(a, t, upper), upper, row)
            reached = self.slopes.reach(at, pairs, units.size[alive])
            revived = units.revived[alive, upper] & reached.limits.limited
            undecided[row[reached.limits.undecided | revived]] = True
            weights = weight * terms[alive, upper]
            paths: tuple[Tensor, ...] = row, draws, weights, upper, reached.a, *reached.units
            plain, others = _told_apart(reached.limits.limited & ~revived)
            if len(others):
                # These paths end here: what is left of each is in the expansion.
                there = self._limits(at, pairs.rows(others), draws[others])
                slope = there.slope.gather(1, unit[others].unsqueeze(1)).squeeze(1)
                share = slope * (weight * t * layer.mask.entries(upper, unit))[others]
                factor = factor.index_copy(0, row[others], share)
                limit_error = limit_error.index_copy(0, row[others], there.limit_error)
                paths = tuple(column[plain] for column in paths)
            row, draws, weight, unit, a, *columns = paths
            units = Units(*columns)
        last = self.slopes.layers[depth - 1]
        terms = units.step.squeeze(1) * last.product.entries(torch.zeros_like(unit), unit, a)
        return _SampledFactor(factor.index_copy(0, row, weight * terms), limit_error, undecided)

    def _limits(self, l: int, pairs: Pairs, draws: Tensor) -> Slope:
        """The expansions at n roots where limits are needed, from one path each."""
        if not len(pairs.unit):
            nothing = pairs.roots[:0]
            numbers = nothing[:, 0]
            return Slope(numbers, nothing, nothing.unsqueeze(1), numbers, numbers.bool())
        # Every path is an expansion of its own.
        alone = pairs._replace(anchor=torch.arange(len(pairs.unit), device=pairs.unit.device))
        visits = Drawn(self.slopes.layers, self.importance, draws)
        return self.limits.at(l, alone, graph=False, visits=visits)


def _told_apart(flags: Tensor) -> tuple[Tensor, Tensor]:
    """The indices at which the flags (N,) are false, and those at which they are true."""
    return (~flags).nonzero().squeeze(1), flags.nonzero().squeeze(1)


def _moments(values: Tensor, root: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over the paths of each root, and the variance of that mean, (N, ...).

    ``values`` (P, ...) and ``root`` (P,) are of the paths, ``count`` (N,) says how many each root
    has.
    """
    size = count.view(-1, *[1] * (values.dim() - 1))
    nothing = values.new_zeros(len(count), *values.shape[1:])
    mean = nothing.index_add(0, root, values) / size
    squares = nothing.index_add(0, root, (values - mean[root]).square())
    return mean, squares / (size * (size - 1))
