"""Which units the recursion in many digits decomposes: all of them, or those of given paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from torch import Tensor

from dtd.numerics.balls import Balls, Indices
from dtd.relevance.limits.nested import Visited


@dataclass(frozen=True)
class All:
    """Every unit that is alive."""

    def __call__(self, l: int, a: Balls, z: Balls, pair: Indices, unit: Indices) -> Visited:
        row, upper = np.nonzero(z.positive)
        return Visited(row, upper)

    def entries(self, widths: Sequence[int]) -> int:
        return prod(widths[2:-1]) * max(widths)


@dataclass(frozen=True, eq=False)
class Along:
    """One path for each of N outermost pairs: ``units[k]`` (N,) is its unit above layer
    ``start + k``."""

    start: int
    units: Sequence[Tensor]

    def __call__(self, l: int, a: Balls, z: Balls, pair: Indices, unit: Indices) -> Visited:
        upper = self.units[l - self.start].cpu().numpy()[pair]
        row = np.flatnonzero(z.positive[np.arange(len(pair)), upper])
        return Visited(row, upper[row])

    def entries(self, widths: Sequence[int]) -> int:
        return max(widths)
