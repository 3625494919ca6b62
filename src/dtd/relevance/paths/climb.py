"""Random paths from a root up to the output.

``C_{l,i}(a) = Σ_j C_{l+1,j}(f_{l+1}(ã_j)) τ_j`` (see ``slopes/forward.py``), with the terms
``τ_j = t_j w_ji mask_ji``, is estimated from one unit u, drawn with probability p_u:
``Σ_j τ_j c_j + (C_u - c_u) τ_u / p_u``. Here ``C_u`` is estimated in the same way in its turn, and
``c_j`` is a guess at C_j, the control variate: the better the guess, the smaller is what is left to
chance. Theory, section 5.6.

Where the slope at a root exists as a one-sided limit only, what is left of the path is expanded in
many digits (theory, section 2.4), with the same draws. Where that limit is not continuous in its
anchor, the path is expanded from its first root on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.progress import Track, untracked
from dtd.relevance.limits.limits import Limits
from dtd.relevance.paths.draws import Drawn, draw, drawing_shares, had_others
from dtd.relevance.paths.guess import Guess, Observations
from dtd.relevance.paths.prefixes import Anchors, Prefixes
from dtd.relevance.slopes.factor_layer import Units
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs, RootExpansions

_ENTRIES = 2**20
"""How many numbers the largest array of the paths that are held together has: few enough for the
caches of a processor, and enough for the cost of a call not to matter."""


class Onward(NamedTuple):
    """How P paths go on from the roots that they stand at; each belongs to one of N prefixes."""

    prefix: Tensor
    """(P,), the prefix of each path."""
    draws: Tensor
    """(P, L), uniform numbers, of which number ``l - L`` chooses a unit of layer l + 1."""
    weight: Tensor
    """(P,), how much of the sum that is estimated goes through each path; not negative."""

    def rows(self, index: Tensor) -> Onward:
        """Some of the paths."""
        return Onward(*(column[index] for column in self))


class SampledExpansion(NamedTuple):
    """What each of P paths finds from the root of its prefix on."""

    factor: Tensor
    """(P,): the slope at the root is ``factor w_unit``."""
    from_first: Tensor
    """(n,), which paths are expanded from their first root on, beside the factor."""
    value: Tensor
    """(n,), of these expansions ``h`` at the first root."""
    shares: Tensor
    """(n, d), what they give to the anchor in layer l."""
    limit_error: Tensor
    """(P,), the relative error of a limit on the path, NaN without one."""
    by_chance: Tensor
    """(P,), whether the path might have gone another way from its prefix on."""
    observed: dict[int, Observations]
    """What the factors consist of in the layers above; ``sample`` is the anchor in layer l."""

    @classmethod
    def together(cls, parts: Sequence[tuple[Tensor, SampledExpansion]]) -> SampledExpansion:
        """Those of all paths, from the places (p,) that each part has among them."""
        expansions = [one for _, one in parts]
        order = torch.cat([place for place, _ in parts]).argsort()
        factor, value, shares, limit_error, by_chance = (
            torch.cat([getattr(one, name) for one in expansions])
            for name in ("factor", "value", "shares", "limit_error", "by_chance")
        )
        from_first = torch.cat([place[one.from_first] for place, one in parts])
        observed = Observations.merged([one.observed for one in expansions])
        each = limit_error[order], by_chance[order]
        return cls(factor[order], from_first, value, shares, *each, observed)


class _Factor(NamedTuple):
    """``C_unit`` at N anchors, estimated from one path each."""

    value: Tensor
    """(N,)."""
    limit_error: Tensor
    """(N,), the relative error of a limit on the path, NaN without one."""
    from_first: Tensor
    """(N,), whether the path is expanded from its first root on, beside the factor."""
    units: Tensor
    """(N, L), the units that were drawn, -1 beyond the end; as :class:`Onward` has the draws."""
    inverse: Tensor
    """(N,), one over their probability."""
    by_chance: Tensor
    """(N,), whether the path might have gone another way."""
    observed: dict[int, Observations]

    @classmethod
    def of(cls, parts: Sequence[_Factor]) -> _Factor:
        """Those of all paths."""
        value, limit_error, from_first, units, inverse, by_chance = (
            torch.cat([getattr(part, name) for part in parts]) for name in cls._fields[:-1]
        )
        observed = {
            l: Observations.of([part.observed[l] for part in parts]) for l in parts[0].observed
        }
        return cls(value, limit_error, from_first, units, inverse, by_chance, observed)


@dataclass(frozen=True, eq=False)
class Climb:
    """Paths through a network whose layers all carry the factor, drawn by a guess."""

    slopes: ForwardSlopes
    limits: Limits
    guess: Guess
    track: Track = untracked

    def expand(self, anchors: Anchors, prefixes: Prefixes, onward: Onward) -> SampledExpansion:
        """Paths on from the roots of prefixes."""
        nothing = torch.full_like(onward.weight, torch.nan)
        if prefixes.at + 1 == self.slopes.network.depth:
            none = onward.prefix[:0], nothing[:0], anchors.a[:0]
            certain = torch.zeros_like(nothing, dtype=torch.bool)
            return SampledExpansion(torch.ones_like(nothing), *none, nothing, certain, {})
        paths = torch.arange(len(nothing), device=nothing.device)
        parts = [
            self._from_roots(prefixes, onward.rows(chunk))
            for chunk in self.track(paths.split(self._held_together(prefixes.at)), "paths")
        ]
        expanded = _Factor.of(parts)
        from_first = expanded.from_first.nonzero().squeeze(1)
        inverse, path = expanded.inverse[from_first], onward.rows(from_first)
        first = anchors.pairs(self.slopes, *prefixes.beginnings(path.prefix))
        at_limits, by_chance = self._limits(
            anchors.l, first, first.anchor, path, expanded.units[from_first]
        )
        return SampledExpansion(
            expanded.value,
            from_first,
            at_limits.value * inverse,
            at_limits.shares.squeeze(1) * inverse.unsqueeze(1),
            expanded.limit_error.index_copy(0, from_first, at_limits.limit_error),
            expanded.by_chance.index_put((from_first,), by_chance | expanded.by_chance[from_first]),
            expanded.observed,
        )

    def _held_together(self, l: int) -> int:
        """How many paths stand at their roots in layer ``l`` together."""
        most = _ENTRIES // max(self.slopes.network.widths[l:])
        return max(1, min(self.slopes.batching.max_points, most))

    def _from_roots(self, prefixes: Prefixes, onward: Onward) -> _Factor:
        """The factors of the slopes at the roots of P paths; zero where a limit is needed."""
        index, prefix = onward.prefix.unique(return_inverse=True)
        some = prefixes.rows(index)
        pairs = some.pairs(self.slopes)
        reached = self.slopes.reach(prefixes.at, pairs, some.sizes)
        limited = reached.limits.limited[prefix]
        plain = (~limited).nonzero().squeeze(1)
        at = prefix[plain]
        units = Units(*(column[at] for column in reached.units))
        go_on, drawn = onward.rows(plain), some.units[prefix]
        expanded = self._factor(
            prefixes.at + 1, reached.a[at], units, pairs.rows(at), go_on, drawn[plain]
        )
        ones = torch.ones_like(onward.weight)
        return _Factor(
            torch.zeros_like(ones).index_copy(0, plain, expanded.value),
            torch.full_like(ones, torch.nan).index_copy(0, plain, expanded.limit_error),
            limited.index_copy(0, plain, expanded.from_first),
            drawn.index_copy(0, plain, expanded.units),
            ones.index_copy(0, plain, expanded.inverse),
            torch.zeros_like(limited).index_copy(0, plain, expanded.by_chance),
            expanded.observed,
        )

    def _factor(
        self, l: int, a: Tensor, units: Units, start: Pairs, onward: Onward, drawn: Tensor
    ) -> _Factor:
        """An estimate of ``C_{l,unit}(a)`` from one path for each row, (N,).

        The unit and the sample are those of the pairs ``start``, from whose roots paths come, and
        ``drawn`` (N, L) the units before. All paths climb together, a layer at a time, and nothing
        is kept of the layers below.
        """
        depth, guess = self.slopes.network.depth, self.guess
        unit, sample, draws = start.unit, start.anchor, onward.draws
        row, weight = torch.arange(len(a), device=a.device), torch.ones_like(a[:, 0])
        factor, limit_error = torch.zeros_like(weight), torch.full_like(weight, torch.nan)
        from_first, by_chance = torch.zeros(2, len(a), dtype=torch.bool, device=a.device)
        drawn, product = drawn.clone(), torch.ones_like(weight)
        arrivals: dict[int, tuple[Tensor, ...]] = {}
        for at in range(l, depth - 1):
            layer = self.slopes.layers[at]
            terms = units.step * layer.product.columns(unit, a)
            expected = guess.mean[at + 1][sample]
            factor = factor.index_add(0, row, weight * (terms * expected).sum(1))
            # Also units whose term is zero, for their roots may need a limit that gives something.
            active = (units.rooted & layer.moves(unit, a)).to(a)
            shares = drawing_shares(active, terms.abs(), guess.spread[at + 1][sample])
            alive = shares.sum(1).nonzero().squeeze(1)
            row, sample, draws, unit, weight, a = (
                column[alive] for column in (row, sample, draws, unit, weight, a)
            )
            chosen = draw(shares[alive], draws[:, at - depth].unsqueeze(1))
            upper, inverse = (column.squeeze(1) for column in chosen)
            drawn[row, at - depth] = upper
            product[row] *= inverse
            weight, t = weight * inverse, units.step[alive, upper]
            passed = weight * terms[alive, upper]
            factor = factor.index_add(0, row, -passed * expected[alive, upper])
            pairs = Pairs(a, layer.roots(a, t, upper), upper, row)
            reached = self.slopes.reach(at, pairs, units.size[alive])
            limited, undecided = reached.limits
            # Where other units are alive, limits further up depend on what is below this root.
            shared = reached.a.any(1) if at + 2 < depth else torch.zeros_like(limited)
            undecided = limited & (undecided | units.revived[alive].any(1) | shared)
            from_first[row[undecided]] = True
            ending = (limited & ~undecided & (t != 0)).nonzero().squeeze(1)
            if len(ending):
                # These paths end here: what is left of each is in the expansion.
                path = row[ending]
                at_limits, by_chance[path] = self._limits(
                    at, pairs.rows(ending), sample[ending], onward.rows(path), drawn[path]
                )
                slope = at_limits.slope.gather(1, unit[ending].unsqueeze(1)).squeeze(1)
                share = slope * (weight * t * layer.mask.entries(upper, unit))[ending]
                factor = factor.index_add(0, path, share)
                limit_error = limit_error.index_copy(0, path, at_limits.limit_error)
            plain = (~limited).nonzero().squeeze(1)
            paths = row, sample, draws, passed, upper, reached.a, *reached.units
            row, sample, draws, weight, unit, a, *columns = (column[plain] for column in paths)
            units = Units(*columns)
            arrivals[at + 1] = row, sample, unit, weight, factor[row]
        last = self.slopes.layers[depth - 1]
        terms = units.step.squeeze(1) * last.product.entries(torch.zeros_like(unit), unit, a)
        factor = factor.index_add(0, row, weight * terms)
        observed = {
            at: _observed(factor, onward.weight, *arrived) for at, arrived in arrivals.items()
        }
        by_chance |= had_others(product)
        return _Factor(factor, limit_error, from_first, drawn, product, by_chance, observed)

    def _limits(
        self, l: int, pairs: Pairs, sample: Tensor, onward: Onward, units: Tensor
    ) -> tuple[RootExpansions, Tensor]:
        """The expansions at n roots where limits are needed, from one path each, and which of these
        might have gone another way.

        ``units`` (n, L) are those that were drawn already, as :class:`_Factor` has them. Paths that
        have all in common, but for draws that do not count, share an expansion.
        """
        if not len(pairs.unit):
            nothing = pairs.roots[:0]
            numbers = nothing[:, 0]
            none = numbers.bool()
            return RootExpansions(numbers, nothing, nothing.unsqueeze(1), numbers, none), none
        above = slice(l + 1 - self.slopes.network.depth, -1)
        free = torch.where(units < 0, onward.draws, 0)[:, above]
        which = torch.cat([onward.prefix.unsqueeze(1), units, free], 1)
        distinct, inverse = which.unique(dim=0, return_inverse=True)
        first = torch.full_like(distinct[:, 0], len(which)).long()
        every = torch.arange(len(which), device=which.device)
        first = first.scatter_reduce(0, inverse, every, "amin")
        # Every path is an expansion of its own.
        alone = pairs.rows(first)._replace(anchor=every[: len(first)])
        spread = {at: each[sample[first]] for at, each in self.guess.spread.items() if at > l}
        visits = Drawn(self.slopes.layers, spread, onward.draws[first], units[first])
        taken = self.limits.at(l, alone, graph=False, visits=visits)
        return taken.rows(inverse), visits.by_chance[inverse]


def _observed(
    factor: Tensor,
    first: Tensor,
    row: Tensor,
    sample: Tensor,
    unit: Tensor,
    weight: Tensor,
    before: Tensor,
) -> Observations:
    """The values of paths from a unit on, where ``before`` is what they had summed below it.

    ``factor`` is the whole sum of each of the N paths, and ``first`` its weight, both (N,).
    """
    value = (factor[row] - before) / weight
    columns = sample, unit, first[row] * weight.abs(), value
    return Observations(*(column[weight != 0] for column in columns))
