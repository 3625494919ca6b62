"""Random paths from a root up to the output.

``C_{l,i}(a) = Σ_j C_{l+1,j}(f_{l+1}(ã_j)) τ_j`` (see ``slopes/forward.py``), with the terms
``τ_j = t_j w_ji mask_ji``, is estimated from one unit u, drawn with probability p_u:
``Σ_j τ_j c_j + (C_u - c_u) τ_u / p_u``. Here ``C_u`` is estimated in the same way in its turn, and
``c_j`` is a guess at C_j, the control variate: the better the guess, the smaller is what is left to
chance. Theory, section 5.6.

Where the slope at a root exists as a one-sided limit only, what is left of the path is expanded in
many digits (theory, section 2.4), with the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.progress import Track, untracked
from dtd.relevance.limits.limits import Limits
from dtd.relevance.paths.draws import Drawn, draw, drawing_shares
from dtd.relevance.paths.guess import Guess, Visits
from dtd.relevance.slopes.factor_layer import Units
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs, Slope

_ENTRIES = 2**20
"""How many numbers the largest array of the paths that are held together has: few enough for the
caches of a processor, and enough for the cost of a call not to matter."""


class Onward(NamedTuple):
    """Where P paths go on from the roots that they stand at; each belongs to one of N roots."""

    root: Tensor
    """(P,), the root of each path."""
    draws: Tensor
    """(P, L), uniform numbers, of which number ``l - L`` chooses a unit of layer l + 1."""
    weight: Tensor
    """(P,), how much of the sum that is estimated goes through each path; not negative."""

    def rows(self, index: Tensor) -> Onward:
        """Some of the paths."""
        return Onward(*(column[index] for column in self))


class SampledExpansion(NamedTuple):
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
    visits: dict[int, Visits]
    """What the paths without limits found in the layers above; ``sample`` is that of the pairs'
    ``anchor``."""


class _Factor(NamedTuple):
    """``C_unit`` at N anchors, estimated from one path each; all (N,)."""

    value: Tensor
    limit_error: Tensor
    """The relative error of a limit on the path, NaN without one."""
    limited: Tensor
    """Whether there is an expansion in place of the factor."""
    undecided: Tensor
    """Whether the path met a limit that is not continuous in its anchor."""
    visits: dict[int, Visits]

    @classmethod
    def of(cls, parts: Sequence[_Factor]) -> _Factor:
        """Those of all paths."""
        value, limit_error, limited, undecided = (
            torch.cat([getattr(part, name) for part in parts]) for name in cls._fields[:-1]
        )
        visits = {l: Visits.of([part.visits[l] for part in parts]) for l in parts[0].visits}
        return cls(value, limit_error, limited, undecided, visits)


@dataclass(frozen=True, eq=False)
class Climb:
    """Paths through a network whose layers all carry the factor, drawn by a guess."""

    slopes: ForwardSlopes
    limits: Limits
    guess: Guess
    track: Track = untracked

    def expand(self, l: int, pairs: Pairs, size: Tensor, onward: Onward) -> SampledExpansion:
        """Paths on from N roots in layer ``l``; ``pairs.anchor`` is the sample.

        ``size`` (N,) is the largest activation of layer l + 1 at each anchor.
        """
        nothing = torch.full_like(size[onward.root], torch.nan)
        if l + 1 == self.slopes.network.depth:
            no_others = pairs.unit[:0], size[:0], pairs.roots[:0]
            return SampledExpansion(torch.ones_like(nothing), *no_others, nothing, {})
        paths = torch.arange(len(nothing), device=nothing.device)
        parts = [
            self._from_roots(l, pairs, size, onward.rows(chunk))
            for chunk in self.track(paths.split(self._held_together), "paths")
        ]
        found = _Factor.of(parts)
        # A limit that is not continuous has to be taken together with those around it: all paths
        # of that anchor are expanded as limits, so that which are does not depend on the draws.
        anchor = pairs.anchor[onward.root]
        others = (found.limited | torch.isin(anchor, anchor[found.undecided])).nonzero().squeeze(1)
        root = onward.root[others]
        at_limits = self._limits(l, pairs.rows(root), anchor[others], onward.draws[others])
        return SampledExpansion(
            found.value.index_fill(0, others, 0),
            others,
            at_limits.value,
            at_limits.shares.squeeze(1),
            found.limit_error.index_copy(0, others, at_limits.limit_error),
            found.visits,
        )

    @property
    def _held_together(self) -> int:
        """How many paths stand at their roots together."""
        network = self.slopes.network
        return max(1, min(self.slopes.batching.max_points, _ENTRIES // max(network.widths)))

    def _from_roots(self, l: int, pairs: Pairs, size: Tensor, onward: Onward) -> _Factor:
        """The factors of the slopes at the roots of P paths; zero where a limit is needed."""
        index, root = onward.root.unique(return_inverse=True)
        there = pairs.rows(index)
        reached = self.slopes.reach(l, there, size[index])
        limited, undecided = (flags[root] for flags in reached.limits)
        plain, _ = _told_apart(limited)
        at = root[plain]
        units = Units(*(column[at] for column in reached.units))
        found = self._factor(l + 1, reached.a[at], units, there.rows(at), onward.rows(plain))
        nothing = torch.zeros_like(onward.weight)
        return _Factor(
            nothing.index_copy(0, plain, found.value),
            torch.full_like(nothing, torch.nan).index_copy(0, plain, found.limit_error),
            limited,
            undecided.index_copy(0, plain, undecided[plain] | found.undecided),
            found.visits,
        )

    def _factor(self, l: int, a: Tensor, units: Units, there: Pairs, onward: Onward) -> _Factor:
        """An estimate of ``C_{l,unit}(a)`` from one path for each row, (N,).

        The unit and the sample are those of the pairs ``there``, from whose roots paths come. All
        paths climb together, a layer at a time, and nothing is kept of the layers below.
        """
        depth, guess = self.slopes.network.depth, self.guess
        unit, sample, draws = there.unit, there.anchor, onward.draws
        row, weight = torch.arange(len(a), device=a.device), torch.ones_like(a[:, 0])
        factor, limit_error = torch.zeros_like(weight), torch.full_like(weight, torch.nan)
        undecided = torch.zeros_like(weight, dtype=torch.bool)
        arrivals: dict[int, tuple[Tensor, ...]] = {}
        for at in range(l, depth - 1):
            layer = self.slopes.layers[at]
            terms = units.step * layer.product.columns(unit, a)
            expected = guess.mean[at + 1][sample]
            factor = factor.index_add(0, row, weight * (terms * expected).sum(1))
            # Also units whose term is zero, for their roots may need a limit that gives something.
            active = ((units.step != 0) & layer.moves(unit, a)).to(a)
            shares = drawing_shares(active, terms.abs(), guess.spread[at + 1][sample])
            alive = shares.sum(1).nonzero().squeeze(1)
            row, sample, draws, unit, weight, a = (
                column[alive] for column in (row, sample, draws, unit, weight, a)
            )
            upper, inverse = draw(shares[alive], draws[:, at - depth])
            weight, t = weight * inverse, units.step[alive, upper]
            passed = weight * terms[alive, upper]
            factor = factor.index_add(0, row, -passed * expected[alive, upper])
            pairs = Pairs(a, layer.roots(a, t, upper), upper, row)
            reached = self.slopes.reach(at, pairs, units.size[alive])
            revived = units.revived[alive, upper] & reached.limits.limited
            undecided[row[reached.limits.undecided | revived]] = True
            paths: tuple[Tensor, ...] = row, sample, draws, passed, upper, reached.a, *reached.units
            plain, others = _told_apart(reached.limits.limited & ~revived)
            if len(others):
                # These paths end here: what is left of each is in the expansion.
                at_limits = self._limits(at, pairs.rows(others), sample[others], draws[others])
                slope = at_limits.slope.gather(1, unit[others].unsqueeze(1)).squeeze(1)
                share = slope * (weight * t * layer.mask.entries(upper, unit))[others]
                factor = factor.index_add(0, row[others], share)
                limit_error = limit_error.index_copy(0, row[others], at_limits.limit_error)
                paths = tuple(column[plain] for column in paths)
            row, sample, draws, weight, unit, a, *columns = paths
            units = Units(*columns)
            arrivals[at + 1] = row, sample, unit, weight, factor[row]
        last = self.slopes.layers[depth - 1]
        terms = units.step.squeeze(1) * last.product.entries(torch.zeros_like(unit), unit, a)
        factor = factor.index_add(0, row, weight * terms)
        visits = {at: _visits(factor, onward.weight, *arrived) for at, arrived in arrivals.items()}
        return _Factor(factor, limit_error, torch.zeros_like(undecided), undecided, visits)

    def _limits(self, l: int, pairs: Pairs, sample: Tensor, draws: Tensor) -> Slope:
        """The expansions at n roots where limits are needed, from one path each."""
        if not len(pairs.unit):
            nothing = pairs.roots[:0]
            numbers = nothing[:, 0]
            return Slope(numbers, nothing, nothing.unsqueeze(1), numbers, numbers.bool())
        # Every path is an expansion of its own.
        alone = pairs._replace(anchor=torch.arange(len(pairs.unit), device=pairs.unit.device))
        spread = {at: numbers[sample] for at, numbers in self.guess.spread.items() if at > l}
        visits = Drawn(self.slopes.layers, spread, draws)
        return self.limits.at(l, alone, graph=False, visits=visits)


def _visits(
    factor: Tensor,
    first: Tensor,
    row: Tensor,
    sample: Tensor,
    unit: Tensor,
    weight: Tensor,
    before: Tensor,
) -> Visits:
    """What paths found from a unit on, where ``before`` is what they had found below it.

    ``factor`` is what each of the N paths found in all, and ``first`` its weight, both (N,).
    """
    value = (factor[row] - before) / weight
    columns = sample, unit, first[row] * weight.abs(), value
    return Visits(*(column[weight != 0] for column in columns))


def _told_apart(flags: Tensor) -> tuple[Tensor, Tensor]:
    """The indices at which the flags (N,) are false, and those at which they are true."""
    return (~flags).nonzero().squeeze(1), flags.nonzero().squeeze(1)
