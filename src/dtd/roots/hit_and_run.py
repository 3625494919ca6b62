"""Hit-and-run in the anchor's linear region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dtd.regions.cell import Cell
from dtd.roots.chains import ChainSearch


@dataclass(frozen=True)
class HitAndRun(ChainSearch):
    """A step goes to a uniform point of the chord through the state in a random direction.

    Both ends of the chord are exact, so every proposal lies in the cell.

    Source: R. L. Smith, Efficient Monte Carlo procedures for generating points uniformly
    distributed over bounded regions, Operations Research 32, 1984; theory, section 4.5.
    """

    name: ClassVar[str] = "hit_and_run"

    def propose(
        self, cell: Cell, states: Tensor, scale: Tensor, moves: Tensor, positions: Tensor
    ) -> Tensor:
        backwards, forwards = cell.chord(states, moves)
        along = positions * forwards - (1 - positions) * backwards
        return states + along.unsqueeze(2) * moves
