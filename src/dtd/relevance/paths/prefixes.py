"""The prefixes of paths, the most important of which are followed up until they are too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.relevance.slopes.factor_layer import Units
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs

_TOGETHER = 2**20
"""How many numbers the largest array of the prefixes that are extended together has."""
_QUICK = 16
"""How many prefixes are looked at quickly in the time of one path."""
HELD = 2**22
"""How many numbers the points have, at most, from which the prefixes of one anchor and length go
on: 32 MiB in float64."""
_FEW = 16
"""How many prefixes are extended at first, to see how many they become."""


class Anchors(NamedTuple):
    """Where paths begin: B anchors in one layer."""

    l: int
    a: Tensor
    """(B, d)."""
    units: Units
    """Those of layer l + 1, (B, J)."""

    def pairs(self, slopes: ForwardSlopes, row: Tensor, unit: Tensor) -> Pairs:
        """The roots of units (N,) for the anchors with the numbers ``row`` (N,)."""
        anchors = self.a[row]
        roots = slopes.layers[self.l].roots(anchors, self.units.step[row, unit], unit)
        return Pairs(anchors, roots, unit, row)


@dataclass(frozen=True, eq=False)
class Prefixes:
    """N prefixes of paths from B anchors: the units from layer l + 1 to layer ``at`` + 1.

    ``C_first`` at the root of the first unit is the sum over its prefixes of ``weight C_unit``,
    with ``C_unit`` at the root of the last unit. So far nothing is left to chance.
    """

    at: int
    points: Tensor
    """(M, d), the anchors in layer ``at``; each is the root of the unit before, seen from there."""
    size: Tensor
    """(M,), the largest activation of layer ``at`` + 1 at each of them."""
    point: Tensor
    """(N,), the anchor of the last unit's root."""
    unit: Tensor
    """(N,), the last unit."""
    step: Tensor
    """(N,), its step from the anchor to the root."""
    row: Tensor
    """(N,), the anchor in layer l."""
    first: Tensor
    """(N,), the first unit."""
    units: Tensor
    """(N, L), the units after the first, of layer l + 1 as number l - L, and -1 elsewhere."""
    weight: Tensor
    """(N,), the product of the terms on the way."""

    @classmethod
    def of(cls, slopes: ForwardSlopes, anchors: Anchors) -> Prefixes:
        """Those of one unit."""
        l, a, units = anchors
        row, unit = (units.step != 0).nonzero(as_tuple=True)
        step = units.step[row, unit]
        none = torch.full((len(row), slopes.network.depth - l), -1, device=row.device)
        ones = torch.ones_like(step)
        every = cls(l, a, units.size, row, unit, step, row, unit, none, ones)
        return _that_pass(slopes, every).compact

    @property
    def compact(self) -> Prefixes:
        """The same, with no more points than they need."""
        source, point = self.point.unique(return_inverse=True)
        return replace(self, points=self.points[source], size=self.size[source], point=point)

    @property
    def sizes(self) -> Tensor:
        """The largest activation of layer ``at`` + 1 at the anchor of each, (N,)."""
        return self.size[self.point]

    def beginnings(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The anchors in layer l and the first units of some, each (n,)."""
        return self.row[index], self.first[index]

    def rows(self, index: Tensor) -> Prefixes:
        """Some of them."""
        names = "point", "unit", "step", "row", "first", "units", "weight"
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def pairs(self, slopes: ForwardSlopes) -> Pairs:
        """The roots of the last units."""
        anchors = self.points[self.point]
        roots = slopes.layers[self.at].roots(anchors, self.step, self.unit)
        return Pairs(anchors, roots, self.unit, self.row)


class _Room:
    """What each of B anchors may still hold of prefixes of one length."""

    def __init__(self, anchors: int, most: int, device: torch.device) -> None:
        self._most = most
        self._number, self._held = torch.zeros(2, anchors, device=device, dtype=torch.float64)
        self.left = torch.ones(anchors, dtype=torch.bool, device=device)

    def holds(self, row: Tensor, number: Tensor, held: Tensor) -> Tensor:
        """Which of n rows find room, each after those of its anchor before it; they take it."""
        order = row.argsort(stable=True)
        fits = torch.zeros_like(row, dtype=torch.bool)
        sums = []
        for whole, each in ((self._number, number), (self._held, held)):
            sums.append(whole[row[order]] + _within(row[order], each[order].double()))
        fits[order] = (sums[0] <= self._most) & (sums[1] <= HELD)
        self.left[row[~fits]] = False
        self._number.index_add_(0, row[fits], number[fits].double())
        self._held.index_add_(0, row[fits], held[fits].double())
        return fits


def _within(row: Tensor, numbers: Tensor) -> Tensor:
    """The sum of the numbers (n,) up to each, among those of the same row; rows stand together."""
    sums = numbers.cumsum(0)
    first = torch.searchsorted(row, row)
    return sums - (sums - numbers)[first]


def extended(
    slopes: ForwardSlopes,
    first: Prefixes,
    anchors: int,
    most: int,
    importance: Callable[[Prefixes], Tensor],
) -> list[Prefixes]:
    """Prefixes of which every path begins with one, of each length those that go no further.

    ``first`` are those of one unit, of so many anchors. In each layer the most important are
    extended, until an anchor has ``most`` that are longer, or their points are too many numbers. A
    prefix ends at a root that needs a limit.
    """
    done, here = list[Prefixes](), first
    while len(here.row):
        stay, longer = _extensions(slopes, here, _Room(anchors, most, here.row.device), importance)
        done.append(here.rows(stay.nonzero().squeeze(1)).compact)
        here = longer
    return [prefixes for prefixes in done if len(prefixes.row)] or [here]


def _extensions(
    slopes: ForwardSlopes,
    prefixes: Prefixes,
    room: _Room,
    importance: Callable[[Prefixes], Tensor],
) -> tuple[Tensor, Prefixes]:
    """Which of the N prefixes are not extended, and what becomes of the others."""
    stay = torch.ones_like(prefixes.row, dtype=torch.bool)
    parts = [prefixes.rows(prefixes.row[:0])]
    if prefixes.at + 2 < slopes.network.depth:
        together = _TOGETHER // max(slopes.network.widths[prefixes.at :])
        for ordered in _chunks(importance(prefixes).argsort(descending=True), together):
            chunk = ordered[room.left[prefixes.row[ordered]]]
            if not len(chunk):
                continue
            part, ended = _longer(slopes, prefixes.rows(chunk))
            looked = torch.bincount(part.point, minlength=len(chunk))
            part = _that_pass(slopes, part)
            number = torch.bincount(part.point, minlength=len(chunk))
            held = (number > 0) * part.points.shape[1]
            fits = room.holds(prefixes.row[chunk], number + looked / _QUICK, held) & ~ended
            stay[chunk] = ~fits
            parts.append(part.rows(fits[part.point].nonzero().squeeze(1)).compact)
    return stay, _together(parts[1:] or parts)


def _chunks(order: Tensor, most: int) -> Iterator[Tensor]:
    """The numbers in chunks that grow up to a size: what little room holds is seen by a few."""
    at, size = 0, _FEW
    while at < len(order):
        yield order[at : at + size]
        at, size = at + size, max(1, min(2 * size, most))


def _longer(slopes: ForwardSlopes, prefixes: Prefixes) -> tuple[Prefixes, Tensor]:
    """The prefixes with one unit more, and which of the N are not extended.

    These need a limit, or a unit without a term may do so and then give something.
    """
    at = prefixes.at
    pairs, above = prefixes.pairs(slopes), slopes.layers[at + 1]
    reached = slopes.reach(at, pairs, prefixes.sizes)
    units = reached.units
    terms = units.step * above.product.columns(pairs.unit, reached.a)
    unseen = units.rooted & (terms == 0) & above.moves(pairs.unit, reached.a)
    if not slopes.may_need_limits(at + 1, units.size):
        unseen &= units.step == 0
    stay = reached.limits.limited | unseen.any(1)
    prefix, unit = torch.where(stay.unsqueeze(1), 0, terms).nonzero(as_tuple=True)
    through = prefixes.units[prefix]
    through[:, at + 1 - slopes.network.depth] = unit
    longer = Prefixes(
        at + 1,
        reached.a,
        units.size,
        prefix,
        unit,
        units.step[prefix, unit],
        prefixes.row[prefix],
        prefixes.first[prefix],
        through,
        prefixes.weight[prefix] * terms[prefix, unit],
    )
    return longer, stay


def _that_pass(slopes: ForwardSlopes, prefixes: Prefixes) -> Prefixes:
    """Those of the prefixes whose last unit may be given something."""
    at = prefixes.at
    if at + 2 >= slopes.network.depth:
        return prefixes
    lower, above = slopes.network.layers[at], slopes.layers[at + 1]
    size = max(1, _TOGETHER // slopes.network.widths[at])
    parts = [prefixes.row[:0]]
    for chunk in torch.arange(len(prefixes.row), device=prefixes.row.device).split(size):
        some = prefixes.rows(chunk)
        pairs = some.pairs(slopes)
        parts.append(chunk[above.passes(lower, pairs.unit, pairs.roots, some.sizes)])
    return prefixes.rows(torch.cat(parts))


def _together(parts: Sequence[Prefixes]) -> Prefixes:
    """Those of all parts, which have points of their own."""
    before, points = 0, list[Tensor]()
    for part in parts:
        points.append(part.point + before)
        before += len(part.points)

    def column(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    names = "unit", "step", "row", "first", "units", "weight"
    return Prefixes(
        parts[0].at, column("points"), column("size"), torch.cat(points), *map(column, names)
    )
