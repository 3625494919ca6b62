"""With which probabilities paths go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dtd.numerics.balls import Balls, Indices, exact
from dtd.numerics.policy import safe_divide
from dtd.relevance.limits.nested import Visited
from dtd.relevance.slopes.factor_layer import FactorLayer

_RARELY = 1 / 8
"""How often units without a term are drawn, relative to others."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One path for each of N outermost pairs, drawn unit by unit with the numbers ``draws``
    (N, L), of which the last are for the layers above; see :class:`SampledPaths`.
    """

    layers: Mapping[int, FactorLayer]
    importance: Mapping[int, Tensor]
    draws: Tensor

    def __call__(self, l: int, a: Balls, z: Balls, line: Indices, unit: Indices) -> Visited:
        layer, numbers = self.layers[l], self.draws[line, l - len(self.importance) + 1]
        divisor, columns = layer.balls.preactivation(a), layer.balls.columns(unit, a)
        moved = layer.may_give(torch.from_numpy(unit).to(self.draws.device), columns)
        active = z.positive & divisor.nonzero & moved
        row = np.flatnonzero(active.any(1))
        step = z.value[row] / np.where(active, divisor.value, 1)[row] * active[row]
        terms = np.abs(step * columns[row])
        # The largest counts as one: inside limits, terms may be too small for a double.
        size = np.array([max(one) for one in terms], dtype=object)
        scaled = (terms / np.where(size > 0, size, 1)[:, None]).astype(float)
        shares = drawing_shares(
            torch.from_numpy(active[row]).to(self.draws),
            torch.from_numpy(scaled).to(self.draws),
            self.importance[l + 1],
        )
        upper, inverse = draw(shares, numbers[torch.from_numpy(row)])
        return Visited(row, upper.cpu().numpy(), exact(inverse))

    def entries(self, widths: Sequence[int]) -> int:
        return max(widths)


def drawing_shares(active: Tensor, terms: Tensor, importance: Tensor) -> Tensor:
    """What the probability of each active unit is proportional to, (N, J).

    ``active`` (N, J) is 1 or 0. One half evenly and one half in proportion to the term's size
    (N, J) times importance (J,). Of what was compared this was never far from the smallest
    variance: the second half alone is up to three times better where the guess is good, and up to
    thirty times worse where it is not. Units whose term is zero, as those whose window is
    elsewhere, give something at limits only, and are drawn more rarely.
    """
    active = torch.where(terms > 0, active, active * _RARELY)
    weights, half = terms * importance, terms.new_tensor(0.5)
    evenly, by_weight = (safe_divide(half, part.sum(1, keepdim=True)) for part in (active, weights))
    # Where terms leave the range of the dtype, only the first half is left.
    in_range = by_weight.isfinite() & weights.isfinite().all(1, keepdim=True)
    weights, by_weight = (torch.where(in_range, part, 0) for part in (weights, by_weight))
    return torch.addcmul(active * evenly, weights, by_weight)


def draw(shares: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of shares (N, J), not all zero, a unit drawn, and one over its probability.

    ``uniform`` (N,) lies in [0, 1].
    """
    cumulated = shares.cumsum(1)
    total = cumulated[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))
    level = torch.minimum(uniform.unsqueeze(1) * total, below)
    unit = torch.searchsorted(cumulated, level, right=True)
    return unit.squeeze(1), (total / shares.gather(1, unit)).squeeze(1)
