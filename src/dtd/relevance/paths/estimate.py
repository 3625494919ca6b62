"""What comes of paths, added up: relevances, and how far chance may have moved them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.numerics.policy import policy
from dtd.relevance.paths.beginnings import Beginnings
from dtd.relevance.paths.climb import SampledExpansion
from dtd.relevance.paths.prefixes import Anchors
from dtd.relevance.slopes.factor_layer import FactorLayer
from dtd.relevance.slopes.slope import worst


class Estimate(NamedTuple):
    """``R_l`` at B anchors, with standard errors."""

    relevance: Tensor
    """(B, d)."""
    stderr: Tensor
    """(B, d); NaN for units that paths may give something, but that no path has met."""
    total_stderr: Tensor
    """(B,), of the sum of the relevances."""
    error_paths: Tensor
    """(B,), on how many paths this error rests, effectively: infinite where no path might have gone
    another way, and zero where some might, but all agree, so that they tell no error."""
    zero_order: Tensor
    """(B,), the estimated relevance at the roots of the anchors."""
    limit_error: Tensor
    """(B,), the largest relative error of a limit on the paths; NaN where none was needed."""

    @classmethod
    def mean(cls, estimates: Sequence[Estimate]) -> Estimate:
        """That of estimates from paths of their own."""
        columns = [torch.stack(column) for column in zip(*estimates, strict=True)]
        relevance, stderr, total_stderr, error_paths, zero_order, limit_error = columns
        fourth = (total_stderr.square().square() / error_paths).nan_to_num(nan=0.0).sum(0)
        whole = total_stderr.square().sum(0)
        return cls(
            relevance.mean(0),
            _of_known(stderr.square()).sqrt() / len(estimates),
            whole.sqrt() / len(estimates),
            torch.where(fourth > 0, whole.square() / fourth, error_paths.amin(0)),
            zero_order.mean(0),
            reduce(torch.fmax, limit_error),
        )


@dataclass(frozen=True, eq=False)
class ExpandedPaths:
    """P paths from B anchors, and what they contribute.

    What a path gives to the units is a multiple of a column of the ``layer``'s product, and where
    it is expanded from its first root on, there are ``shares`` beside it. ``expected`` (N,) is what
    each prefix passes on without any path.
    """

    layer: FactorLayer
    anchors: Anchors
    begun: Beginnings
    expansion: SampledExpansion
    expected: Tensor

    @property
    def estimate(self) -> Estimate:
        """The sum of the means of all strata, with its standard error."""
        zero_order = torch.zeros_like(self.anchors.a[:, 0])
        value = self._from_first.weight * self.expansion.value * self._from_first.parts
        return Estimate(
            self._relevance,
            torch.where(self._unmet, torch.nan, self._variance.sqrt()),
            self._by_anchor(self._squares).sqrt(),
            self._error_paths,
            zero_order.index_add(0, self._from_first.row, value),
            worst(self.expansion.limit_error, self.begun.row, len(self.anchors.a)),
        )

    @cached_property
    def _from_first(self) -> Beginnings:
        """The paths that are expanded from their first roots on."""
        return self.begun.rows(self.expansion.from_first)

    @cached_property
    def _steps(self) -> Tensor:
        """The step to the root of each path's first unit, (P,)."""
        return self.anchors.units.step[self.begun.row, self.begun.first]

    @cached_property
    def _beyond(self) -> Tensor:
        """What each path adds to what its first unit is expected to pass on, (P,)."""
        begun = self.begun
        weight = begun.weight * begun.all_weights[begun.prefix]
        return weight * (self.expansion.factor - self.expected[begun.prefix])

    @cached_property
    def _shares(self) -> Tensor:
        """What those that are expanded from their first root on give beside it, (n, d)."""
        return self._from_first.weight.unsqueeze(1) * self.expansion.shares

    @cached_property
    def _plain(self) -> Tensor:
        """0 for the paths that are expanded from their first root on, and 1 for the rest, (P,)."""
        return torch.ones_like(self._beyond).index_fill(0, self.expansion.from_first, 0)

    def _by_unit(self, numbers: Tensor) -> Tensor:
        """The sum over the paths (P,) with the same first unit, (B, J)."""
        index = self.begun.row, self.begun.first
        return torch.zeros_like(self.anchors.units.z).index_put(index, numbers, accumulate=True)

    def _given(self, gains: Tensor) -> Tensor:
        """What the units of the lower layer get where those above pass on ``gains`` (B, J)."""
        return self.anchors.a * self.layer.product.transposed(gains, self.anchors.a)

    @property
    def _relevance(self) -> Tensor:
        """(B, d)."""
        begun, parts = self.begun, self.begun.parts
        expected = torch.zeros_like(self.anchors.units.z).index_put(
            (begun.all_rows, begun.all_first), begun.all_weights * self.expected, accumulate=True
        )
        gains = self.anchors.units.step * expected + self._by_unit(
            self._beyond * parts * self._steps
        )
        shares = self._shares * self._from_first.parts.unsqueeze(1)
        return self._given(gains).index_add(0, self._from_first.row, shares)

    @property
    def _variance(self) -> Tensor:
        """Of each unit's relevance, (B, d)."""
        begun, given = self.begun, self._beyond * self._steps
        centred = given - begun.means(given)
        squares = self._by_unit((centred * self._plain).square() * begun.variances)
        product = self.layer.product.mapped(torch.square)
        variance = self.anchors.a.square() * product.transposed(squares, self.anchors.a)
        if len(self.expansion.from_first):
            paths, shares, beside = self._from_first, self._shares, self._beside(centred)
            usual = paths.means(shares)
            squares = (shares - usual + beside).square()
            # Paths of a stratum that have no shares are as far from its mean as it is from zero.
            rest = 1 - paths.means(torch.ones_like(paths.weight)).unsqueeze(1)
            squares += torch.where(rest > 0, usual * (rest * shares + 2 * beside), 0)
            variance.index_add_(0, paths.row, squares * paths.variances.unsqueeze(1))
        return variance.clamp(min=0)

    @property
    def _unmet(self) -> Tensor:
        """Units that paths may give something, but that no path has met, (B, d)."""
        begun, product = self.begun, self.layer.product.mapped(torch.abs)
        # A prefix with a single path is followed to its end.
        by_chance = (begun.size > 1).to(self._beyond)
        left = torch.ones_like(begun.all_weights).index_copy(0, begun.prefix, by_chance)
        index = begun.all_rows, begun.all_first
        left = torch.zeros_like(self.anchors.units.z).index_put(index, left, accumulate=True)
        reached, met = (
            product.transposed(units, self.anchors.a) for units in (left, self._by_unit(by_chance))
        )
        return (self.anchors.a != 0) & (reached > 0) & (met == 0)

    def _beside(self, numbers: Tensor) -> Tensor:
        """What the paths that are expanded from their first roots on give to the units, (n, d).

        Their first units pass on ``numbers`` (P,).
        """
        index, a = self.expansion.from_first, self.anchors.a[self._from_first.row]
        gains = self.anchors.units.z.new_zeros(len(index), self.anchors.units.z.shape[1])
        gains.scatter_(1, self._from_first.first.unsqueeze(1), numbers[index].unsqueeze(1))
        return a * self.layer.product.transposed(gains, a)

    @cached_property
    def _squares(self) -> Tensor:
        """What each path adds to the variance of the sum of the relevances, (P,)."""
        begun = self.begun
        totals = self._beyond * self.anchors.units.z[begun.row, begun.first]
        totals = totals.index_add(0, self.expansion.from_first, self._shares.sum(1))
        squares = (totals - begun.means(totals)).square() * begun.variances
        rounding = (policy(squares.dtype).tie * self._size).square() * begun.variances
        return torch.where(squares > rounding, squares, 0)

    @property
    def _size(self) -> Tensor:
        """How large the numbers are that each path adds up, (P,)."""
        begun = self.begun
        factor = self.expansion.factor.abs() + self.expected[begun.prefix].abs()
        size = begun.importance(self.anchors.units.z) * factor
        return size.index_add(0, self.expansion.from_first, self._shares.abs().sum(1))

    @property
    def _error_paths(self) -> Tensor:
        """``(Σ s)² / Σ s²`` for the parts s of the variance, (B,): n where n are alike.

        A stratum of two paths has the same deviation twice, and in general one too many. Paths
        that all agree may have missed what is rare.
        """
        again = self.begun.size / (self.begun.size - 1).clamp(min=1)
        fourth = self._by_anchor(self._squares.square() * again)
        whole = self._by_anchor(self._squares)
        begun = self.begun
        by_chance = self.expansion.by_chance | ((begun.size > 1) & (begun.weight != 1))
        agreed = torch.where(self._by_anchor(by_chance.to(fourth)) > 0, 0, torch.inf)
        return torch.where(fourth > 0, whole.square() / fourth, agreed)

    def _by_anchor(self, numbers: Tensor) -> Tensor:
        """The sum over the paths (P,) of each anchor, (B,)."""
        return torch.zeros_like(self.anchors.a[:, 0]).index_add(0, self.begun.row, numbers)


def _of_known(numbers: Tensor) -> Tensor:
    """The sum over the first dimension of all that are known; NaN where none is."""
    return torch.where(numbers.isnan().all(0), torch.nan, numbers.nansum(0))
