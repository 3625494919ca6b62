"""The prefixes of paths: all that there are, as far up as they are not too many."""

from __future__ import annotations

from collections.abc import Sequence
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
_HELD = 2**25
"""How many numbers the points have, at most, from which the prefixes of one anchor go on."""


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
        return _that_pass(slopes, every)

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

    def where(self, anchors: Tensor) -> Prefixes:
        """Those of some of the anchors (B,)."""
        return self.rows(anchors[self.row].nonzero().squeeze(1))

    def pairs(self, slopes: ForwardSlopes) -> Pairs:
        """The roots of the last units."""
        anchors = self.points[self.point]
        roots = slopes.layers[self.at].roots(anchors, self.step, self.unit)
        return Pairs(anchors, roots, self.unit, self.row)


def extended(slopes: ForwardSlopes, first: Prefixes, anchors: int, most: int) -> list[Prefixes]:
    """The prefixes of each of so many anchors as far up as there are no more than ``most`` of them.

    ``first`` are those of one unit. A prefix ends at a root that needs a limit.
    """
    done, here = list[Prefixes](), first
    while len(here.row):
        stay, longer = _extensions(slopes, here, anchors, most)
        done.append(here.rows(stay.nonzero().squeeze(1)))
        here = longer
    return [prefixes for prefixes in done if len(prefixes.row)] or [here]


def _extensions(
    slopes: ForwardSlopes, prefixes: Prefixes, anchors: int, most: int
) -> tuple[Tensor, Prefixes]:
    """Which of the N prefixes are not extended, and what becomes of the others."""
    stay = torch.full_like(prefixes.row, prefixes.at + 2 >= slopes.network.depth, dtype=torch.bool)
    if stay.all():
        return stay, prefixes.rows(prefixes.row[:0])
    number, held = torch.zeros(2, anchors, dtype=torch.long, device=stay.device)
    too_many = torch.zeros_like(number, dtype=torch.bool)
    too_many[torch.bincount(prefixes.row, minlength=anchors) == 0] = True
    parts = []
    size = max(1, _TOGETHER // max(slopes.network.widths[prefixes.at :]))
    for chunk in torch.arange(len(stay), device=stay.device).split(size):
        if too_many.all():
            break
        part, stay[chunk] = _longer(slopes, prefixes.rows(chunk))
        number += torch.bincount(part.row, minlength=anchors) // _QUICK
        too_many |= number > most
        part = _that_pass(slopes, part.where(~too_many))
        number += torch.bincount(part.row, minlength=anchors)
        source = torch.zeros_like(part.points[:, 0], dtype=torch.long)
        source[part.point] = part.row
        held += torch.bincount(source, minlength=anchors) * part.points.shape[1]
        too_many |= (number > most) | (held > _HELD)
        parts.append(part.where(~too_many))
    return stay | too_many[prefixes.row], _together(parts).where(~too_many)


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
    """Those of the prefixes, with the points they need, whose last unit may be given something."""
    at = prefixes.at
    if at + 2 < slopes.network.depth:
        lower, above = slopes.network.layers[at], slopes.layers[at + 1]
        size = max(1, _TOGETHER // slopes.network.widths[at])
        parts = []
        for chunk in torch.arange(len(prefixes.row), device=prefixes.row.device).split(size):
            some = prefixes.rows(chunk)
            pairs = some.pairs(slopes)
            parts.append(chunk[above.passes(lower, pairs.unit, pairs.roots, some.sizes)])
        prefixes = prefixes.rows(torch.cat([prefixes.row[:0], *parts]))
    source, point = prefixes.point.unique(return_inverse=True)
    return replace(
        prefixes, points=prefixes.points[source], size=prefixes.size[source], point=point
    )


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
