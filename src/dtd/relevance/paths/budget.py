"""How many paths are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

_FIRST = 1000
"""The number of paths that is planned for before anything is known."""
_MARGIN = 1.5
"""How many more paths than needed are planned for, as pilots know their own error badly."""
_PILOTS = 1 / 20, 1 / 5
"""Up to which shares of all paths there are pilots."""


@dataclass(frozen=True)
class Budget:
    """Paths for one sample and layer.

    The first are pilots. Those that follow learn from them how to draw, and what the pilots
    themselves estimate is thrown away. So neither the probabilities of the paths that count nor
    their number depend on what these find, and the estimate has no bias.

    ``paths`` are drawn, or at most so many where a ``stderr`` of the sum of relevances is wanted,
    relative to the sum.
    """

    paths: int
    stderr: float | None = None

    @property
    def planned(self) -> int:
        """How many are planned for at first."""
        return self.paths if self.stderr is None else min(self.paths, _FIRST)

    def pilots(self, spent: int, planned: int) -> int:
        """How many pilots come next, after so many paths."""
        wanted = next((int(p * planned) for p in _PILOTS if spent < int(p * planned)), spent)
        return wanted - spent if wanted - spent > 1 else 0

    def counting(self, spent: int, planned: int) -> int:
        """How many paths count, after so many pilots."""
        return min(self.paths - spent, ceil((1 - _PILOTS[-1]) * planned))

    def revised(self, pilots: int, total: float, stderr: float) -> int:
        """How many paths are planned for after some pilots have estimated a sum."""
        if self.stderr is None:
            return self.paths
        if stderr == 0:
            return self.planned
        error = stderr / abs(total) if total else float("inf")
        needed = _MARGIN * pilots * (error / self.stderr) ** 2 / (1 - _PILOTS[-1])
        return ceil(min(max(needed, self.planned), self.paths))
