"""Layers in balls: what limits are computed with (theory, section 2.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray
from torch import Tensor

from dtd.networks.matrices.matrix import Matrix
from dtd.numerics.balls import Balls, Indices, Numbers, exact, matrix


class BallLayer(ABC):
    """A layer of J units on d inputs."""

    relu: bool

    @abstractmethod
    def preactivation(self, a: Balls) -> Balls:
        """``z`` (N, J) at the points a (N, d)."""

    @abstractmethod
    def along(self, direction: Balls, unit: Indices) -> Balls:
        """What directions (N, d) add to the pre-activations of units (N,), without the bias, (N,).

        A maximum is asked about directions that are multiples of the inputs in its window.
        """

    @abstractmethod
    def columns(self, place: Indices, a: Balls) -> Numbers:
        """The weights (N, J) of inputs (N,) at the points a (N, d)."""


@dataclass(frozen=True, eq=False)
class AffineBalls(BallLayer):
    """An affine layer; ``weights`` (J, d) and ``biases`` (J,) are taken as they are."""

    weights: Matrix
    biases: Tensor
    relu: bool

    @cached_property
    def weight(self) -> Numbers:
        """(J, d)."""
        return exact(self.weights.dense())

    @cached_property
    def bias(self) -> Numbers:
        """(J,)."""
        return exact(self.biases)

    @cached_property
    def _columns(self) -> arb_mat:
        return matrix(self.weight.T)

    def preactivation(self, a: Balls) -> Balls:
        return a.times(self._columns).shifted(self.bias)

    def along(self, direction: Balls, unit: Indices) -> Balls:
        return direction.scaled(self.weight[unit]).row_sums()

    def columns(self, place: Indices, a: Balls) -> Numbers:
        return self.weight.T[place]


@dataclass(frozen=True, eq=False)
class MaximumBalls(BallLayer):
    """The largest of the inputs ``places`` (J, K) of each unit; d stands for no input.

    What may be equal to the largest, to a third of the digits, is.
    """

    places: NDArray[np.intp]
    relu: bool = False

    def preactivation(self, a: Balls) -> Balls:
        units = len(self.places)
        row = np.repeat(np.arange(len(a)), units)
        unit = np.tile(np.arange(units), len(a))
        return self._largest(a.rows(row), unit).reshaped(len(a), units)

    def along(self, direction: Balls, unit: Indices) -> Balls:
        return self._largest(direction, unit)

    def columns(self, place: Indices, a: Balls) -> Numbers:
        columns = np.full((len(a), len(self.places)), arb(0), dtype=object)
        for row, unit in zip(
            *np.nonzero((self.places == place[:, None, None]).any(2)), strict=True
        ):
            columns[row, unit] = _shares(a.value[row], self.places[unit])[place[row]]
        return columns

    def _largest(self, a: Balls, unit: Indices) -> Balls:
        """The largest input in the window of units (N,) at the points (N, d), (N,)."""
        shares = np.array(
            [_shares(row, self.places[j]) for row, j in zip(a.value, unit, strict=True)],
            dtype=object,
        ).reshape(a.value.shape)
        return a.scaled(shares).row_sums()


def _shares(values: Numbers, places: NDArray[np.intp]) -> Numbers:
    """For values (d,): one for the largest at the places (K,), in equal parts, and else zero."""
    inside = places[places < len(values)]
    best = inside[0]
    for place in inside[1:]:
        if Balls(values[[place]] - values[[best]]).positive[0]:
            best = place
    winners = inside[~Balls(values[best] - values[inside]).nonzero]
    shares = np.full(len(values), arb(0), dtype=object)
    shares[winners] = arb(1) / len(winners)
    return shares
