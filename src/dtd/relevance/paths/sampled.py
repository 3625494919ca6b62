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

import torch
from torch import Tensor

from dtd.progress import Track, untracked
from dtd.relevance.limits.limits import Limits
from dtd.relevance.paths.beginnings import drawn
from dtd.relevance.paths.budget import Budget
from dtd.relevance.paths.climb import Climb, Onward, SampledExpansion
from dtd.relevance.paths.estimate import Estimate, Found
from dtd.relevance.paths.guess import Guess, Observations
from dtd.relevance.paths.prefixes import Anchors, Prefixes, extended
from dtd.relevance.slopes.forward import ForwardSlopes

_PREFIXES = 4
"""How many prefixes are visited for each path that is planned: in so many layers a path stands."""


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
        anchors = Anchors(l, a, self.slopes.layers[l].units(a, torch.zeros_like(a[:, 0])))
        first = Prefixes.of(self.slopes, anchors)
        spent, planned, most, prefixes = 0, self.budget.planned, 0, [first]
        while True:
            if _PREFIXES * planned > most:
                most = _PREFIXES * planned
                prefixes = extended(self.slopes, first, len(a), most)
            pilots = self.budget.pilots(spent, planned)
            number = pilots or self.budget.counting(spent, planned)
            found = self._found(anchors, prefixes, guess, draws[spent : spent + number])
            estimate = found.estimate
            if not pilots or found.begun.complete:
                return estimate, guess
            total, stderr = estimate.relevance.sum(), estimate.total_stderr.max()
            planned = self.budget.revised(pilots, float(total), float(stderr))
            guess = guess.learned(
                Observations.merged([_last_observed(found), found.expansion.observed])
            )
            spent += pilots

    def _found(
        self, anchors: Anchors, prefixes: Sequence[Prefixes], guess: Guess, draws: Tensor
    ) -> Found:
        """What paths find from some prefixes on."""
        depth, z = self.slopes.network.depth, anchors.units.z
        climb = Climb(self.slopes, self.limits, guess, self.track)
        begun = drawn(prefixes, z, guess, draws, depth)
        importance = begun.importance(z)
        parts = []
        for group, (place, inside) in zip(prefixes, begun.by_group, strict=True):
            onward = Onward(inside, begun.draws[place], importance[place])
            parts.append((place, climb.expand(anchors, group, onward)))
        expansion, layer = SampledExpansion.together(parts), self.slopes.layers[anchors.l]
        return Found(layer, anchors, begun, expansion, begun.expected(guess))


def _last_observed(found: Found) -> dict[int, Observations]:
    """What the paths without limits found at the last units of their prefixes."""
    begun, expansion = found.begun, found.expansion
    weight = begun.importance(found.anchors.units.z)
    plain = torch.ones_like(begun.alone).index_fill(0, expansion.from_first, False)
    observed = {}
    for group, (place, inside) in zip(begun.groups, begun.by_group, strict=True):
        unit, kept = group.unit[inside], plain[place]
        columns = begun.row[place], unit, weight[place], expansion.factor[place]
        observed[group.at + 1] = Observations(*(column[kept] for column in columns))
    return observed
