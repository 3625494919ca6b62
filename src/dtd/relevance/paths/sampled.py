"""Relevance from sampled paths: the exact recursion as an expectation.

``R_{l,i}(a) = a_i Σ_j C_{l+1,j}(f_{l+1}(ã_j)) t_j w_ji mask_ji`` (see ``slopes/forward.py``) is a
sum over paths of units from layer l + 1 to the output. A path is drawn unit by unit from below, and
its term is divided by the probability of the path: the mean of many terms is an unbiased estimate
of the sum. The cost grows linearly with depth, not with the number of paths: in every layer a path
stands at one root, and needs the layer above it and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dtd.progress import Track, untracked
from dtd.relevance.limits.limits import Limits
from dtd.relevance.paths.beginnings import drawn, left_to_chance
from dtd.relevance.paths.budget import Batch, Budget
from dtd.relevance.paths.climb import Climb, Onward, SampledExpansion
from dtd.relevance.paths.estimate import Estimate, ExpandedPaths
from dtd.relevance.paths.guess import Guess, Observations
from dtd.relevance.paths.prefixes import HELD, Anchors, Prefixes, extended
from dtd.relevance.slopes.forward import ForwardSlopes

_PREFIXES = 1
"""How many prefixes of one length are visited for each path that is planned, at most."""
_MOST = 2**17
"""How many prefixes of one length an anchor has at most."""


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
        chunks = [slice(at, at + self._together) for at in range(0, len(a), self._together)]
        parts = [
            self._estimate(l, a[chunk], guess.rows(chunk), draws)
            for chunk in self.track(chunks, "samples")
        ]
        estimates, guesses = zip(*parts, strict=True)
        estimate = Estimate(*(torch.cat(columns) for columns in zip(*estimates, strict=True)))
        return estimate, Guess.together(guesses)

    @property
    def _together(self) -> int:
        """How many anchors have their paths drawn together."""
        # How many paths a sample needs is its own affair.
        if self.budget.stderr is not None:
            return 1
        widths, paths = self.slopes.network.widths, self.budget.paths
        most = self.slopes.batching.max_points // (paths * len(widths))
        return max(1, min(most, HELD // (_PREFIXES * paths * max(widths))))

    def _estimate(self, l: int, a: Tensor, guess: Guess, draws: Tensor) -> tuple[Estimate, Guess]:
        anchors = Anchors(l, a, self.slopes.layers[l].units(a, torch.zeros_like(a[:, 0])))
        one = Prefixes.of(self.slopes, anchors)
        before, observed, counting = guess, list[dict[int, Observations]](), list[Estimate]()
        batch: Batch | None = self.budget.first
        most, prefixes = 0, [one]
        while batch:
            if min(_PREFIXES * batch.planned, _MOST) > most:
                most = min(_PREFIXES * batch.planned, _MOST)
                chance = partial(left_to_chance, z=anchors.units.z, guess=guess)
                prefixes = extended(self.slopes, one, len(a), most, chance)
            numbers = draws[batch.before : batch.before + batch.number]
            paths = self._expanded(anchors, prefixes, guess, numbers)
            estimate = paths.estimate
            if paths.begun.complete:
                return estimate, guess
            if batch.counts:
                counting.append(estimate)
            observed += [_last_observed(paths), paths.expansion.observed]
            guess = before.learned(Observations.merged(observed))
            batch = self.budget.after(batch, estimate)
        return Estimate.mean(counting), guess

    def _expanded(
        self, anchors: Anchors, prefixes: Sequence[Prefixes], guess: Guess, draws: Tensor
    ) -> ExpandedPaths:
        """What comes of paths on from some prefixes."""
        depth, z = self.slopes.network.depth, anchors.units.z
        climb = Climb(self.slopes, self.limits, guess, self.track)
        begun = drawn(prefixes, z, guess, draws, depth)
        importance = begun.importance(z)
        parts = []
        for group, (place, inside) in zip(prefixes, begun.by_group, strict=True):
            onward = Onward(inside, begun.draws[place], importance[place])
            parts.append((place, climb.expand(anchors, group, onward)))
        expansion, layer = SampledExpansion.together(parts), self.slopes.layers[anchors.l]
        return ExpandedPaths(layer, anchors, begun, expansion, begun.expected(guess))


def _last_observed(paths: ExpandedPaths) -> dict[int, Observations]:
    """The values of the paths without limits at the last units of their prefixes."""
    begun, expansion = paths.begun, paths.expansion
    weight = begun.importance(paths.anchors.units.z)
    plain = torch.ones_like(begun.row, dtype=torch.bool).index_fill(0, expansion.from_first, False)
    observed = {}
    for group, (place, inside) in zip(begun.groups, begun.by_group, strict=True):
        unit, kept = group.unit[inside], plain[place]
        columns = begun.row[place], unit, weight[place], expansion.factor[place]
        observed[group.at + 1] = Observations(*(column[kept] for column in columns))
    return observed
