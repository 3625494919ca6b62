"""Layers in balls: what limits are computed with (theory, section 2.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtd.networks.matrices.matrix import Matrix
from dtd.numerics.ball_matrix import ball_matrix
from dtd.numerics.balls import BallMatrix, Balls, Indices, Numbers, exact, zeros


class BallLayer(ABC):
    """A layer of J units on d inputs."""

    relu: bool

    @abstractmethod
    def preactivation(self, a: Balls) -> Balls:
        """``z`` (N, J) at the points a (N, d)."""

    def on_side_of(self, anchors: Balls, roots: Balls, unit: Indices) -> Balls:
        """``z`` (N, J) at the roots (N, d) of units (N,), on the branches of the anchors (N, d)."""
        return self.preactivation(roots)

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
    def _matrix(self) -> BallMatrix:
        return ball_matrix(self.weights.dense())

    @cached_property
    def _bias(self) -> Numbers:
        """(J,)."""
        return exact(self.biases)

    def preactivation(self, a: Balls) -> Balls:
        return a.times(self._matrix).shifted(self._bias)

    def along(self, direction: Balls, unit: Indices) -> Balls:
        rows = self.weights.rows(self._places(unit))
        return direction.scaled(exact(rows)).row_sums()

    def columns(self, place: Indices, a: Balls) -> Numbers:
        return exact(self.weights.columns(self._places(place)))

    def _places(self, index: Indices) -> Tensor:
        return torch.from_numpy(index).to(self.biases.device)


@dataclass(frozen=True, eq=False)
class MaximumBalls(BallLayer):
    """The largest of the inputs ``places`` (J, K) of each unit; the ``size`` d stands for none.

    What may be equal to the largest, to a third of the digits, is.
    """

    places: NDArray[np.intp]
    size: int
    relu: bool = False

    def preactivation(self, a: Balls) -> Balls:
        units = len(self.places)
        row, unit = np.repeat(np.arange(len(a)), units), np.tile(np.arange(units), len(a))
        return self._largest(a, row, unit).reshaped(len(a), units)

    def on_side_of(self, anchors: Balls, roots: Balls, unit: Indices) -> Balls:
        # At the root of a window all of it is zero, and beside it the anchor's winner wins.
        row, column = np.arange(len(unit)), unit
        own = roots.mixed(row, self._inside[unit], self._shares(anchors, row, unit))
        others = np.ones((len(unit), len(self.places)), dtype=int)
        others[row, column] = 0
        z = self.preactivation(roots).scaled(others.astype(object))
        return z + own.repeated(len(self.places)).scaled((1 - others).astype(object))

    def along(self, direction: Balls, unit: Indices) -> Balls:
        return self._largest(direction, np.arange(len(unit)), unit)

    def columns(self, place: Indices, a: Balls) -> Numbers:
        row, unit, k = np.nonzero(self.places == place[:, None, None])
        columns = zeros(len(a), len(self.places))
        columns[row, unit] = self._shares(a, row, unit)[np.arange(len(k)), k]
        return columns

    def _largest(self, a: Balls, row: Indices, unit: Indices) -> Balls:
        """The largest input in the windows of units (M,) at the points ``row`` (M,) among all."""
        return a.mixed(row, self._inside[unit], self._shares(a, row, unit))

    def _shares(self, a: Balls, row: Indices, unit: Indices) -> Numbers:
        """One for the largest input of each window, in equal parts, and else zero, (M, K)."""
        places = self._inside[unit]
        values, nothing = a.value[row[:, None], places], zeros(1)
        best, winner = values[:, 0], places[:, 0]
        for value, place in zip(values.T[1:], places.T[1:], strict=True):
            # An interval is not compared with itself.
            wins = Balls(np.where(place == winner, nothing, value - best)).positive
            best, winner = np.where(wins, value, best), np.where(wins, place, winner)
        gaps = np.where(places == winner[:, None], nothing, best[:, None] - values)
        largest = ~Balls(gaps).nonzero & (self.places == self._inside)[unit]
        part = 1 / exact(torch.from_numpy(largest.sum(1)))[:, None]
        shares: Numbers = largest.astype(object) * part
        return shares

    @cached_property
    def _inside(self) -> NDArray[np.intp]:
        """The places, where an input of the window stands for no input, (J, K)."""
        first = self.places.min(1)[:, None]
        return np.where(self.places < self.size, self.places, first)
