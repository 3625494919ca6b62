"""With which probabilities paths go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dtd.numerics.balls import Balls, Indices, exact
from dtd.numerics.policy import policy, safe_divide
from dtd.relevance.limits.nested import Visited
from dtd.relevance.slopes.factor_layer import FactorLayer

_EVENLY = 1 / 8
"""The share of the probability that all units have alike, however little is expected of them."""
_RARELY = 1 / 8
"""How often units without a term are drawn, relative to others."""


@dataclass(eq=False)
class Drawn:
    """One path for each of N outermost pairs, drawn unit by unit with the numbers ``draws``
    (N, L), of which number ``l - L`` chooses a unit of layer l + 1.

    ``spread[l]`` (N, d_l) is what is expected of the units of layer l. Instead of drawing it, a
    path goes through its unit in ``units`` (N, L), where that is not -1, if the unit is alive.
    It remembers in ``by_chance`` (N,) which paths might have gone another way.
    """

    layers: Mapping[int, FactorLayer]
    spread: Mapping[int, Tensor]
    draws: Tensor
    units: Tensor
    by_chance: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.by_chance = torch.zeros_like(self.units[:, 0], dtype=torch.bool)

    def __call__(self, l: int, a: Balls, z: Balls, pair: Indices, unit: Indices) -> Visited:
        layer, numbers = self.layers[l], self.draws[pair, l - len(self.layers)]
        columns = layer.balls.columns(unit, a)
        moved = layer.may_give(torch.from_numpy(unit).to(self.draws.device), columns)
        given = self.units[pair, l - len(self.layers)].cpu().numpy()[:, None]
        chosen = (given < 0) | (given == np.arange(z.value.shape[1]))
        active, step = layer.ball_steps(a, z, moved & chosen)
        row = np.flatnonzero(active.any(1))
        terms = np.abs(step[row] * columns[row])
        # The largest counts as one: inside limits, terms may be too small for a double.
        size = np.array([max(one) for one in terms], dtype=object)
        scaled = (terms / np.where(size > 0, size, 1)[:, None]).astype(float)
        shares = drawing_shares(
            torch.from_numpy(active[row]).to(self.draws),
            torch.from_numpy(scaled).to(self.draws),
            self.spread[l + 1][torch.from_numpy(pair[row])],
        )
        upper, inverse = draw(shares, numbers[torch.from_numpy(row)].unsqueeze(1))
        self.by_chance[pair[row]] |= had_others(inverse.squeeze(1))
        return Visited(row, upper.squeeze(1).cpu().numpy(), exact(inverse.squeeze(1)))

    def entries(self, widths: Sequence[int]) -> int:
        return max(widths)


def drawing_shares(active: Tensor, terms: Tensor, spread: Tensor) -> Tensor:
    """What the probability of each active unit is proportional to, (N, J).

    ``active`` (N, J) is 1 or 0. A part evenly, and the rest in proportion to the term's size (N, J)
    times what is expected of the unit, ``spread`` (N, J). Units whose term is zero, as those whose
    window is elsewhere, give something at limits only, and are drawn more rarely.
    """
    active = torch.where(terms > 0, active, active * _RARELY)
    weights = terms * spread * (active > 0)
    evenly = safe_divide(terms.new_tensor(_EVENLY), active.sum(1, keepdim=True))
    by_weight = safe_divide(terms.new_tensor(1 - _EVENLY), weights.sum(1, keepdim=True))
    # Where terms leave the range of the dtype, only the first part is left.
    in_range = by_weight.isfinite() & weights.isfinite().all(1, keepdim=True)
    weights, by_weight = (torch.where(in_range, part, 0) for part in (weights, by_weight))
    return torch.addcmul(active * evenly, weights, by_weight)


def had_others(inverse: Tensor) -> Tensor:
    """Where one over a probability (N,) is that of a unit with others beside it."""
    return inverse > 1 + policy(inverse.dtype).tie


def draw(shares: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of shares (N, J), not all zero, n units drawn, and one over their probabilities.

    ``uniform`` (N, n) lies in [0, 1].
    """
    cumulated = shares.cumsum(1)
    total = cumulated[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))
    unit = torch.searchsorted(cumulated, torch.minimum(uniform * total, below), right=True)
    return unit, total / shares.gather(1, unit)
