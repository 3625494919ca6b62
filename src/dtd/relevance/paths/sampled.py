"""Relevance from sampled paths: the exact recursion as an expectation.

``R_{l,i}(a) = a_i Σ_j C_{l+1,j}(f_{l+1}(ã_j)) t_j w_ji mask_ji`` (see ``slopes/forward.py``) is a
sum over paths of units from layer l + 1 to the output. A path is drawn unit by unit from below, and
its term is divided by the probability of the path: the mean of many terms is an unbiased estimate
of the sum. The cost grows linearly with depth, not with the number of paths: in every layer a path
stands at one root, and needs the layer above it and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.progress import Track, untracked
from dtd.relevance.limits.limits import Limits
from dtd.relevance.paths.beginnings import Beginnings, drawn, one_each
from dtd.relevance.paths.budget import Budget
from dtd.relevance.paths.climb import Climb, Onward, SampledExpansion
from dtd.relevance.paths.guess import Guess, Visits
from dtd.relevance.slopes.factor_layer import Units
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs, worst


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


@dataclass(frozen=True, eq=False)
class SampledPaths:
    """Paths through a network whose layers all carry the factor.

    ``generator`` is read from a copy, and its numbers are shared by all anchors. ``track`` shows
    how far the work is.
    """

    slopes: ForwardSlopes
    limits: Limits
    budget: Budget
    generator: torch.Generator
    track: Track = untracked

    def estimate(self, l: int, a: Tensor, guess: Guess) -> tuple[Estimate, Guess]:
        """``R_l`` at the anchors ``a`` (B, d), and what the paths have taught about each.

        Any ``guess`` leaves the estimate unbiased.
        """
        shape = (self.budget.paths, self.slopes.network.depth - l)
        # Not in float32: its steps of 2**-24 would leave out units of little probability.
        generator = self.generator.clone_state()
        draws = torch.rand(shape, generator=generator, dtype=torch.float64).to(a)
        # How many paths a sample needs is its own affair.
        alone = self.budget.stderr is not None
        size = 1 if alone else max(1, self.slopes.batching.max_points // draws.numel())
        chunks = [slice(at, at + size) for at in range(0, len(a), size)]
        parts = [
            self._estimate(l, a[chunk], guess.rows(chunk), draws)
            for chunk in self.track(chunks, "samples")
        ]
        estimates, guesses = zip(*parts, strict=True)
        estimate = Estimate(*(torch.cat(columns) for columns in zip(*estimates, strict=True)))
        return estimate, Guess.together(guesses)

    def _estimate(self, l: int, a: Tensor, guess: Guess, draws: Tensor) -> tuple[Estimate, Guess]:
        units = self.slopes.layers[l].units(a, torch.zeros_like(a[:, 0]))
        if l + 2 >= self.slopes.network.depth:
            # Nothing above the first unit is drawn.
            begun = one_each(units, draws)
            there = self._expansion(l, a, units, guess, begun)
            return self._mean(l, a, units, guess, begun, there), guess
        spent, planned = 0, self.budget.planned
        while pilots := self.budget.pilots(spent, planned):
            begun = drawn(units, guess.spread[l + 1], draws[spent : spent + pilots])
            there = self._expansion(l, a, units, guess, begun)
            found = self._mean(l, a, units, guess, begun, there)
            total = float(found.relevance.sum())
            planned = self.budget.revised(pilots, total, float(found.total_stderr.max()))
            guess = guess.learned({l + 1: _first_visits(units, begun, there), **there.visits})
            spent += pilots
        counting = draws[spent : spent + self.budget.counting(spent, planned)]
        begun = drawn(units, guess.spread[l + 1], counting)
        there = self._expansion(l, a, units, guess, begun)
        return self._mean(l, a, units, guess, begun, there), guess

    def _expansion(
        self, l: int, a: Tensor, units: Units, guess: Guess, begun: Beginnings
    ) -> SampledExpansion:
        """What the paths find from their first roots on."""
        row, unit = begun.row, begun.unit
        roots = self.slopes.layers[l].roots(a[row], units.step[row, unit], unit)
        importance = begun.weight * units.z[row, unit][begun.root]
        climb = Climb(self.slopes, self.limits, guess, self.track)
        onward = Onward(begun.root, begun.draws, importance)
        return climb.expand(l, Pairs(a[row], roots, unit, row), units.size[row], onward)

    def _mean(
        self,
        l: int,
        a: Tensor,
        units: Units,
        guess: Guess,
        begun: Beginnings,
        there: SampledExpansion,
    ) -> Estimate:
        """The sum of the means of all strata, with its standard error."""
        product, expected = self.slopes.layers[l].product, guess.mean[l + 1]
        row, unit = begun.row[begun.root], begun.unit[begun.root]
        t, z = units.step[row, unit], units.z[row, unit]
        # What each path adds to what its unit is expected to pass on.
        beyond = begun.weight * (there.factor - expected[row, unit])

        def gathered(numbers: Tensor, steps: Tensor = t) -> Tensor:
            """The sum over the paths, for each anchor and unit, (B, J)."""
            return torch.zeros_like(units.z).index_put(
                (row, unit), numbers * steps, accumulate=True
            )

        gains = units.step * expected + gathered(beyond * begun.parts)
        relevance = a * product.transposed(gains, a)
        plain = torch.ones_like(beyond).index_fill(0, there.others, 0)
        centred = (beyond - begun.means(beyond) * begun.alone) * plain
        noise = gathered(centred.square() * begun.variances, t.square())
        square = a.square() * product.mapped(torch.square).transposed(noise, a)
        drawn = gathered(beyond * begun.parts * plain * ~begun.alone)
        mean = a * product.transposed(drawn, a)
        totals, zero_order = beyond * z, torch.zeros_like(a[:, 0])
        if len(there.others):
            others, where = begun.rows(there.others), row[there.others]
            shares = others.weight.unsqueeze(1) * there.shares
            parts, alone = others.parts.unsqueeze(1), others.alone.unsqueeze(1)
            relevance.index_add_(0, where, shares * parts)
            zero_order.index_add_(0, where, others.weight * there.value * others.parts)
            totals.index_add_(0, there.others, shares.sum(1))
            gives = units.z.new_zeros(len(where), units.z.shape[1])
            gives.scatter_(
                1, unit[there.others].unsqueeze(1), (beyond * t)[there.others].unsqueeze(1)
            )
            whole = shares + a[where] * product.transposed(gives, a[where])
            centred = whole - others.means(whole) * alone
            square.index_add_(0, where, centred.square() * others.variances.unsqueeze(1))
            mean.index_add_(0, where, whole * parts * ~alone)
        # Of the mean of n values the variance is (Σ v² - n mean²) / (n (n - 1)).
        n = torch.zeros_like(zero_order).scatter_reduce(0, row, begun.size * ~begun.alone, "amax")
        square = (square - mean.square() / (n - 1).clamp(min=1).unsqueeze(1)).clamp(min=0)
        deviations = (totals - begun.means(totals)).square() * begun.variances
        total_square = torch.zeros_like(zero_order).index_add(0, row, deviations)
        limit_error = worst(there.limit_error, row, len(a))
        return Estimate(relevance, square.sqrt(), total_square.sqrt(), zero_order, limit_error)


def _first_visits(units: Units, begun: Beginnings, there: SampledExpansion) -> Visits:
    """What the paths without limits found at the units that they begin with."""
    row, unit = begun.row[begun.root], begun.unit[begun.root]
    found = Visits(row, unit, begun.weight * units.z[row, unit], there.factor)
    plain = torch.ones_like(row, dtype=torch.bool).index_fill(0, there.others, False)
    return Visits(*(column[plain] for column in found))
