"""With which prefixes paths begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dtd.numerics.policy import safe_divide
from dtd.relevance.paths.draws import draw, drawing_shares
from dtd.relevance.paths.guess import Guess
from dtd.relevance.paths.prefixes import Prefixes

_USUAL = 1 / 8
"""The share of the paths of prefixes that counts on what is usual in a layer, not on its units."""


@dataclass(frozen=True, eq=False)
class Beginnings:
    """P paths that begin with N prefixes.

    They are drawn in strata: the mean of each stratum is estimated, and these add up. A prefix with
    which many paths begin is a stratum. Of the others, neighbours are one, with two paths or three.
    """

    groups: Sequence[Prefixes]
    """Those of one length each."""
    prefix: Tensor
    """(P,), the prefix of each path, counted through the groups."""
    draws: Tensor
    """(P, L), the uniform numbers of each path."""
    weight: Tensor
    """(P,), one over the probability of the prefix within the stratum."""
    stratum: Tensor
    """(P,), the number of its stratum."""
    size: Tensor
    """(P,), how many paths the stratum has."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to chance."""
        return bool((self.size == 1).all())

    def rows(self, index: Tensor) -> Beginnings:
        """Some of the paths."""
        columns = self.prefix, self.draws, self.weight, self.stratum, self.size
        return Beginnings(self.groups, *(column[index] for column in columns))

    @cached_property
    def all_rows(self) -> Tensor:
        """The anchor of each prefix, (N,)."""
        return torch.cat([group.row for group in self.groups])

    @cached_property
    def all_first(self) -> Tensor:
        """The first unit of each prefix, (N,)."""
        return torch.cat([group.first for group in self.groups])

    @cached_property
    def all_weights(self) -> Tensor:
        """The product of the terms of each prefix, (N,)."""
        return torch.cat([group.weight for group in self.groups])

    @cached_property
    def row(self) -> Tensor:
        """The anchor of each path, (P,)."""
        return self.all_rows[self.prefix]

    @cached_property
    def first(self) -> Tensor:
        """The first unit of each path, (P,)."""
        return self.all_first[self.prefix]

    @property
    def by_group(self) -> list[tuple[Tensor, Tensor]]:
        """For each group the places (p,) of its paths among all, and their prefixes in it."""
        places, before = [], 0
        for group in self.groups:
            after = before + len(group.row)
            place = ((self.prefix >= before) & (self.prefix < after)).nonzero().squeeze(1)
            places.append((place, self.prefix[place] - before))
            before = after
        return places

    def expected(self, numbers: Guess) -> Tensor:
        """What each prefix is expected to pass on, (N,)."""
        return torch.cat(
            [numbers.mean[group.at + 1][group.row, group.unit] for group in self.groups]
        )

    def importance(self, z: Tensor) -> Tensor:
        """How much of the sum of relevances each path stands for, (P,).

        ``z`` (B, J) are the pre-activations of the first units.
        """
        size = self.weight * self.all_weights[self.prefix].abs()
        return size * z[self.row, self.first]

    def means(self, values: Tensor) -> Tensor:
        """For each path the mean of the values (P, ...) of its stratum."""
        stratum = self.stratum.unique(return_inverse=True)[1]
        sums = torch.zeros_like(values).index_add(0, stratum, values)[stratum]
        return sums / self.size.view(-1, *[1] * (values.dim() - 1))

    @property
    def parts(self) -> Tensor:
        """How much each path counts in the sum of the means, (P,)."""
        return 1 / self.size

    @property
    def variances(self) -> Tensor:
        """How much the squared distance from the mean counts in the variance of the sum, (P,)."""
        return 1 / (self.size * (self.size - 1)).clamp(min=1)


def left_to_chance(prefixes: Prefixes, z: Tensor, guess: Guess) -> Tensor:
    """How far chance above it may move the sum of relevances through each of N prefixes, (N,).

    ``z`` (B, J) are the pre-activations of the first units.
    """
    return _terms(prefixes, z) * guess.spread[prefixes.at + 1][prefixes.row, prefixes.unit]


def _terms(prefixes: Prefixes, z: Tensor) -> Tensor:
    return z[prefixes.row, prefixes.first] * prefixes.weight.abs()


def drawn(
    groups: Sequence[Prefixes], z: Tensor, guess: Guess, draws: Tensor, depth: int
) -> Beginnings:
    """As many paths from each anchor as there are ``draws`` (n, L), two or more.

    Each prefix has paths in proportion to what is left to chance above it, but for a part as if
    all units of a layer had one spread, and an even part. ``z`` (B, J) are the pre-activations of
    the first units. Prefixes with less than two paths are drawn. A prefix above which nothing is
    drawn has one path, in a network of ``depth`` layers.
    """
    row = torch.cat([group.row for group in groups])
    spread = torch.cat([left_to_chance(group, z, guess) for group in groups])
    usual = torch.cat([_terms(group, z) * guess.usual(group.at + 1)[group.row] for group in groups])
    ends = [torch.full_like(group.row, group.at + 2 >= depth, dtype=torch.bool) for group in groups]
    whole = torch.cat(ends)
    complete = whole.nonzero().squeeze(1)
    ones = torch.ones_like(usual[complete])
    numbers = torch.arange(len(complete), device=complete.device)
    parts: list[tuple[Tensor, ...]] = [
        (complete, draws[:1].expand(len(ones), -1), ones, numbers, ones)
    ]
    before = len(complete)
    for anchor in row[~whole].unique():
        index = ((row == anchor) & ~whole).nonzero().squeeze(1)
        prefix, own, weight, stratum, size = _drawn(spread[index], usual[index], draws)
        parts.append((index[prefix], own, weight, before + stratum, size))
        before += len(draws)
    return Beginnings(groups, *(torch.cat(column) for column in zip(*parts, strict=True)))


def _drawn(spread: Tensor, usual: Tensor, draws: Tensor) -> tuple[Tensor, ...]:
    """Of one anchor the prefix, draws, weight, stratum and size of each path."""
    learned, by_layer = (
        part * safe_divide(part.new_tensor(share), part.sum())
        for part, share in ((spread, 1 - _USUAL), (usual, _USUAL))
    )
    ones = torch.ones_like(usual)
    shares = drawing_shares(
        *(row.unsqueeze(0) for row in (ones, learned + by_layer, ones))
    ).squeeze(0)
    count = (len(draws) - 2) * shares / shares.sum()
    count = torch.where(count >= 2, count.floor(), 0).long()
    rest = torch.where(count > 0, 0, shares)
    left = len(draws) - int(count.sum())
    if not rest.any():
        # Where no prefix is left to be drawn, the largest has the paths that rounding leaves over.
        count[shares.argmax()] += left
        left = 0
    stratum = torch.arange(len(count), device=count.device).repeat_interleave(count)
    prefix, size, weight = stratum, count[stratum], torch.ones_like(draws[:, 0])
    if left:
        # Strata of one probability, in the order of prefixes, so that they are alike inside.
        strata = left // 2
        number = (torch.arange(left, device=count.device) // 2).clamp(max=strata - 1)
        uniform = (number + draws[-left:, 0]) / strata
        others, inverse = (one.squeeze(0) for one in draw(rest.unsqueeze(0), uniform.unsqueeze(0)))
        weight[-left:] = inverse / strata
        prefix = torch.cat([prefix, others])
        size = torch.cat([size, torch.bincount(number)[number]])
        # A prefix has at least two paths of its own: these numbers are free.
        stratum = torch.cat(
            [stratum.unique(return_inverse=True)[1], number + len(draws) // 2 - strata]
        )
    return prefix, draws, weight, stratum, size.to(weight)
