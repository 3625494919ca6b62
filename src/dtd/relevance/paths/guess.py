"""What the units of the upper layers are expected to pass on, learned from paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_FLOOR = 1 / 10
"""How much of a layer's mean square the square of a unit's spread is at least."""
_PRIOR = 10
"""How many observations the guess from before counts for, beside those that a unit has."""
_FEW = 2
"""How many observations it counts for beside those that all units of a layer have together."""


class Observations(NamedTuple):
    """The values that n paths found at units of one layer; all (n,)."""

    sample: Tensor
    unit: Tensor
    weight: Tensor
    """How much of the sum that is estimated goes through the unit, not negative."""
    value: Tensor
    """``C_unit`` at a root, as the rest of the path estimates it."""

    @classmethod
    def of(cls, parts: Sequence[Observations]) -> Observations:
        """Those of all parts."""
        return cls(*map(torch.cat, zip(*parts, strict=True)))

    @classmethod
    def merged(cls, by_layer: Sequence[Mapping[int, Observations]]) -> dict[int, Observations]:
        """Those of all, for each layer in which one of them has some."""
        layers = sorted({l for observed in by_layer for l in observed})
        return {l: cls.of([observed[l] for observed in by_layer if l in observed]) for l in layers}


@dataclass(frozen=True, eq=False)
class Guess:
    """For B samples and each layer the numbers that paths are drawn by; any leave them unbiased.

    Each maps a layer to (B, d).
    """

    mean: Mapping[int, Tensor]
    """Of ``C_unit`` at roots: the control variate."""
    spread: Mapping[int, Tensor]
    """The standard deviation of its estimates from this mean."""
    profile: Mapping[int, Tensor]
    """What means are expected to be proportional to."""

    @classmethod
    def of(cls, ratios: Mapping[int, Tensor]) -> Guess:
        """Before any path: every unit may pass on nothing, or as much as its ratio (B, d)."""
        nothing = {l: torch.zeros_like(ratio) for l, ratio in ratios.items()}
        spread = {l: _floored(ratio.square()).sqrt() for l, ratio in ratios.items()}
        return cls(nothing, spread, ratios)

    def rows(self, index: slice) -> Guess:
        """Of some of the samples."""
        return Guess(*({l: part[index] for l, part in each.items()} for each in self._parts))

    @classmethod
    def together(cls, guesses: Sequence[Guess]) -> Guess:
        """That for the samples of all."""
        parts = zip(*(guess._parts for guess in guesses), strict=True)
        return cls(*({l: torch.cat([one[l] for one in each]) for l in each[0]} for each in parts))

    def learned(self, observed: Mapping[int, Observations]) -> Guess:
        """The guess after some paths more, for the layers in which they were observed."""
        learned = {l: _learned(self.profile[l], at) for l, at in observed.items()}
        parts = (
            {**before, **{l: each[k] for l, each in learned.items()}}
            for k, before in enumerate(self._parts)
        )
        return Guess(*parts)

    def usual(self, l: int) -> Tensor:
        """The spread of layer l as if all units had the same, (B,)."""
        return self.spread[l].square().mean(1).sqrt()

    @property
    def _parts(self) -> tuple[Mapping[int, Tensor], ...]:
        return self.mean, self.spread, self.profile


def _floored(squares: Tensor) -> Tensor:
    """The squares (B, d), raised by a part of their mean: a unit that is dead may live at roots."""
    return squares + _FLOOR * squares.mean(1, keepdim=True)


def _learned(profile: Tensor, observed: Observations) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and spread of every unit (B, d), both drawn towards what is usual for the layer.

    Units that were hardly observed are taken to be like the others of their layer and sample: their
    means and spreads are in proportion to the ``profile`` (B, d), which the means are from then on,
    unless nothing was observed.
    """
    sample, weight, value = observed.sample, observed.weight, observed.value
    entry = sample * profile.shape[1] + observed.unit

    def by_sample(numbers: Tensor) -> Tensor:
        return profile.new_zeros(len(profile)).index_add(0, sample, numbers)

    def by_unit(numbers: Tensor) -> Tensor:
        flat = profile.new_zeros(profile.numel()).index_add(0, entry, numbers)
        return flat.view_as(profile)

    def ratio(above: Tensor, below: Tensor) -> Tensor:
        return torch.where(below > 0, above / below, 0).unsqueeze(1)

    # Every sample counts alike, however large its sum.
    weight = weight / ratio(by_sample(weight), by_sample(torch.ones_like(weight)))[sample, 0]
    expected = profile.flatten()[entry]
    few = _FEW * profile.square().mean(1)
    squares = by_sample(weight * expected.square()) + few
    usual = ratio(by_sample(weight * value * expected), squares) * profile
    whole = by_unit(weight) + _PRIOR
    mean = (by_unit(weight * value) + _PRIOR * usual) / whole
    square, typical = (value - mean.flatten()[entry]).square(), _floored(profile.square())
    few = _FEW * typical.mean(1)
    squares = by_sample(weight * typical.flatten()[entry]) + few
    usual = ratio(by_sample(weight * square) + few, squares) * typical
    spread = ((by_unit(weight * square) + _PRIOR * usual) / whole).sqrt()
    return mean, spread, torch.where(mean.any(1, keepdim=True), mean, profile)
