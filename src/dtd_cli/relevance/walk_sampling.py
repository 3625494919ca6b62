"""Relevance by random walks: the exact recursion as an expectation.

``R_{l,i}(a) = a_i Σ_j C_{l+1,j}(f_{l+1}(ã_j)) t_j w_ji mask_ji`` is a sum over paths of units from
layer l + 1 to the output (see ``factors.py``). A walk draws one path, unit by unit from below,
and weighs its term with one over the probability of the path: the mean of many walks is an
unbiased estimate of the sum, at a cost that grows with depth and not with the number of paths.

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

from dtd_cli.numerics import policy, safe_divide
from dtd_cli.relevance.factor_layer import Units
from dtd_cli.relevance.factors import FactorPath
from dtd_cli.relevance.one_sided import nudged


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


@dataclass(frozen=True, eq=False)
class WalkSampling:
    """Walks through a network whose layers all carry the factor.

    A unit is drawn with a probability that is proportional to the size of its term times
    ``importance[l]``, (d_l,), a guess at what the units of layer l pass on; any positive numbers
    leave the estimate unbiased. ``walks`` is even. ``generator`` is read from a copy, and its
    numbers are shared by all anchors.
    """

    factors: FactorPath
    walks: int
    importance: Mapping[int, Tensor]
    generator: torch.Generator

    def estimate(self, start: int, a: Tensor) -> Estimate:
        """``R_l`` at the anchors ``a`` (B, d), l = ``start``."""
        shape = (self.walks, self.factors.network.depth - start)
        # Not in float32: its steps of 2**-24 would leave out units of little probability.
        draws = torch.rand(shape, generator=self.generator.clone_state(), dtype=torch.float64)
        # Two walks in each of N / 2 equal parts of the first unit's distribution.
        strata = torch.arange(self.walks) // 2
        draws[:, 0] = (strata + draws[:, 0]) / (self.walks // 2)
        draws = draws.to(a)
        chunks = a.split(max(1, self.factors.max_points // self.walks))
        parts = [self._estimate(start, chunk, draws) for chunk in chunks]
        return Estimate(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _estimate(self, start: int, a: Tensor, draws: Tensor) -> Estimate:
        step = self.factors.layers[start]
        units = step.units(a, torch.zeros_like(a[:, 0]))
        weights = units.step.abs() * step.totals(a)[1] * self.importance[start + 1]
        walk = torch.arange(self.walks, device=a.device).repeat(len(a))
        row = torch.arange(len(a), device=a.device).repeat_interleave(self.walks)
        unit, inverse = _draw(weights[row], draws[walk, 0])
        anchors, t = a[row], units.step[row, unit]
        roots = step.roots(anchors, t, unit)
        there = self._expand(start, anchors, units.size[row], roots, unit, draws, walk)
        shares = (inverse * t * there.factor).unsqueeze(1) * step.product[unit] * anchors
        shares[there.lost] = (
            inverse[there.lost].unsqueeze(1) * there.slope * (anchors - roots)[there.lost]
        )
        zero_order = torch.zeros_like(t).index_copy(0, there.lost, there.value) * inverse
        shares = shares.view(len(a), -1, 2, a.shape[1])
        return Estimate(
            shares.mean((1, 2)),
            _stderr(shares),
            _stderr(shares.sum(3)),
            zero_order.view(len(a), -1).mean(1),
        )

    def _expand(
        self,
        start: int,
        anchors: Tensor,
        size: Tensor,
        roots: Tensor,
        unit: Tensor,
        draws: Tensor,
        walk: Tensor,
    ) -> _Expansion:
        """One walk on from each of N roots; ``walk`` (N,) is its row of ``draws``."""
        if start + 1 == self.factors.network.depth:
            nowhere = unit[:0]
            return _Expansion(torch.ones_like(size), nowhere, size[:0], anchors[:0])
        reached = self.factors.reach(start, anchors, size, roots, unit)
        factor = self._factor(start + 1, reached.a, reached.units, unit, draws, walk)
        lost = reached.lost.nonzero().squeeze(1)
        keep = torch.is_grad_enabled()
        tolerance = policy(anchors.dtype)
        with torch.enable_grad():
            # A limit inside another takes the smaller step.
            nudge = tolerance.nudge if keep else tolerance.outer
            points = nudged(anchors[lost], roots[lost], nudge)
            if not points.requires_grad:
                points.requires_grad_()
            a = self.factors.network.layers[start](points)
            units = self.factors.layers[start + 1].units(a, a.amax(1))
            own = a.gather(1, unit[lost].unsqueeze(1)).squeeze(1)
            value = own * self._factor(start + 1, a, units, unit[lost], draws, walk[lost])
            (slope,) = torch.autograd.grad(
                value.sum(), points, create_graph=keep, materialize_grads=True
            )
            value = value - (slope * (points - roots[lost])).sum(1)
        return _Expansion(factor, lost, value if keep else value.detach(), slope)

    def _factor(
        self, start: int, a: Tensor, units: Units, unit: Tensor, draws: Tensor, walk: Tensor
    ) -> Tensor:
        """An estimate of ``C_{l,unit}(a)``, l = ``start``, from one walk for each row, (N,)."""
        step = self.factors.layers[start]
        terms = units.step * step.product.T[unit]
        if start + 1 == self.factors.network.depth:
            return terms.squeeze(1)
        weights = terms.detach().abs() * self.importance[start + 1]
        alive = (weights.sum(1) > 0).nonzero().squeeze(1)
        walk, unit, a = walk[alive], unit[alive], a[alive]
        depth = start + 1 - self.factors.network.depth
        upper, inverse = _draw(weights[alive], draws[walk, depth])
        t = units.step[alive, upper]
        roots = step.roots(a, t, upper)
        there = self._expand(start, a, units.size[alive], roots, upper, draws, walk)
        share = there.factor * terms[alive, upper]
        slope = there.slope.gather(1, unit[there.lost].unsqueeze(1)).squeeze(1)
        lost = slope * (t * step.mask[upper, unit])[there.lost]
        share = share.index_copy(0, there.lost, lost) * inverse
        return torch.zeros_like(units.z[:, 0]).index_copy(0, alive, share)


class _Expansion(NamedTuple):
    """As of :class:`FactorPath`, estimated from one walk each."""

    factor: Tensor
    lost: Tensor
    value: Tensor
    """(n,), of the lost ones."""
    slope: Tensor


def _draw(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of weights (N, J) a unit drawn in proportion, and one over its probability.

    ``uniform`` (N,) lies in [0, 1]. A unit of weight zero is drawn only where all weights are
    zero; one over its probability is then returned as zero.
    """
    cumulated = weights.cumsum(1)
    total = cumulated[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))
    unit = torch.searchsorted(cumulated, torch.minimum(uniform.unsqueeze(1) * total, below), right=True)
    unit = unit.clamp(max=weights.shape[1] - 1)
    return unit.squeeze(1), safe_divide(total, weights.gather(1, unit)).squeeze(1)


def _stderr(pairs: Tensor) -> Tensor:
    """The standard error of the mean over strata of two walks, (B, S, 2, ...) -> (B, ...)."""
    gap = pairs[:, :, 0] - pairs[:, :, 1]
    return gap.square().sum(1).sqrt() / (2 * pairs.shape[1])
