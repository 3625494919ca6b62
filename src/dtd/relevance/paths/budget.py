"""How many paths are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, sqrt

from dtd.relevance.paths.estimate import Estimate

_FIRST = 1000
"""The number of paths that is planned for before anything is known."""
_GROWTH = 4
"""How many times as many a plan may have as the one before: the first pilots know their own error
badly."""
_PILOTS = 1 / 20, 1 / 5
"""Up to which shares of all paths there are pilots."""
_DOUBTS = 2, 4
"""By how many of its standard deviations a variance may be too small that was estimated from
pilots, and from paths that count: no path has met what is rare."""
_COUNTING = 3
"""In how many batches those paths are drawn that count, where an error is wanted."""
_LEAST = 1 / 2
"""How large a batch that counts is at least, relative to the one before it."""
_AIM = 0.85
"""What share of the wanted error is aimed at: the last batch may meet what none before it met."""


@dataclass(frozen=True)
class Batch:
    """Paths that are drawn together, planned before any of them is known."""

    before: int
    """How many paths were drawn before them."""
    number: int
    planned: int
    """How many there will be in all, as far as is known."""
    counts: bool
    """Whether they are part of the estimate, as all batches that count alike; if not, they are
    pilots."""
    last: bool
    errors: tuple[float, ...] = ()
    """The squared relative errors of the batches before it that count, if they are several."""


@dataclass(frozen=True)
class Budget:
    """Paths for one sample and layer.

    The first are pilots. Those that follow learn from them how to draw, and what the pilots
    themselves estimate is thrown away. ``paths`` are drawn, or at most so many where a ``stderr``
    of the sum of relevances is wanted, relative to the sum: then those that count are drawn in
    three batches. How a batch is drawn, how many it has and how much it counts is known before it
    is drawn, so each is an estimate without bias, and so is their mean.
    """

    paths: int
    stderr: float | None = None

    @property
    def first(self) -> Batch:
        """The first paths."""
        return self._next(0, self.paths if self.stderr is None else min(self.paths, _FIRST))

    def after(self, batch: Batch, estimate: Estimate) -> Batch | None:
        """The paths that follow those of this estimate, if any do.

        With ``stderr`` it has one anchor.
        """
        if batch.last:
            return None
        spent = batch.before + batch.number
        if batch.counts:
            return self._counting(batch, estimate)
        return self._next(spent, self._revised(batch, estimate))

    def needed(self, number: int, total: float, stderr: float) -> int:
        """About how many paths are drawn where ``number`` paths had this error of their total."""
        if self.stderr is None:
            return self.paths
        error = (stderr / total / self.stderr) ** 2 if total else 0.0
        return min(self.paths, max(self.first.planned, ceil(number * error)))

    def _next(self, spent: int, planned: int) -> Batch:
        """The pilots that come next, after so many paths, or the first paths that count."""
        pilots = next((int(p * planned) for p in _PILOTS if spent < int(p * planned)), 0) - spent
        if pilots > 1:
            return Batch(spent, pilots, planned, counts=False, last=False)
        left = self.paths - spent
        if self.stderr is None:
            return Batch(spent, left, planned, counts=True, last=True)
        part = min(ceil((1 - _PILOTS[-1]) * planned), left) // _COUNTING
        return Batch(spent, part, planned, counts=True, last=False)

    def _revised(self, batch: Batch, estimate: Estimate) -> int:
        """How many paths are planned for after some pilots."""
        if self.stderr is None or estimate.total_stderr == 0:
            return batch.planned
        _, doubtful = _squared_errors(estimate, _DOUBTS[0])
        needed = batch.number * doubtful / self.stderr**2 / (1 - _PILOTS[-1])
        most = min(self.paths, _GROWTH * batch.planned)
        return ceil(max(min(needed, most), self.first.planned))

    def _counting(self, batch: Batch, estimate: Estimate) -> Batch:
        """The batch that counts which follows another one."""
        assert self.stderr is not None, "without one there is a single batch"
        error, doubtful = _squared_errors(estimate, _DOUBTS[1])
        errors = (*batch.errors, error)
        ahead, spent = _COUNTING - len(errors), batch.before + batch.number
        # The squared error of a mean of n is the sum of theirs over n².
        left = ((_COUNTING * _AIM * self.stderr) ** 2 - sum(errors)) / ahead
        needed = doubtful / left if left > 0 else inf
        number = ceil(batch.number * min(max(needed, _LEAST), _GROWTH))
        number = min(number, (self.paths - spent) // ahead)
        return Batch(spent, number, batch.planned, counts=True, last=ahead == 1, errors=errors)


def _squared_errors(estimate: Estimate, doubts: float) -> tuple[float, float]:
    """The squared error of the sum of relevances relative to it, as it was estimated, and with so
    many of its own standard deviations more."""
    total, stderr = float(estimate.relevance.sum()), float(estimate.total_stderr)
    error = (stderr / total) ** 2 if total else inf
    return error, error * (1 + doubts / sqrt(max(1, float(estimate.error_paths))))
