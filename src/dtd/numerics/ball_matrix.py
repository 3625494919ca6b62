"""Matrices that arrays of balls are multiplied with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from flint import arb_mat
from torch import Tensor

from dtd.numerics.balls import BallMatrix, Indices, Numbers, exact, matrix, zeros

_SPARSE = 1 / 8
"""The largest share of entries in a row for which they are multiplied one by one."""


def ball_matrix(numbers: Tensor) -> BallMatrix:
    """A matrix (J, d) with these entries; where most are zero, as in convolutions, without them."""
    most = max(int((numbers != 0).sum(axis).amax()) for axis in (0, 1)) if numbers.numel() else 0
    if most <= _SPARSE * min(numbers.shape):
        return _Sparse.of(numbers)
    return DenseBallMatrix(matrix(exact(numbers.T)))


@dataclass(frozen=True, eq=False)
class DenseBallMatrix(BallMatrix):
    """One whose transposed matrix, (d, J), is given."""

    columns: arb_mat

    def product(self, v: Numbers) -> Numbers:
        product = np.empty((len(v), self.columns.ncols()), dtype=object)
        if len(v):
            product.reshape(-1)[:] = (matrix(v) * self.columns).entries()
        return product

    @cached_property
    def transposed(self) -> DenseBallMatrix:
        return DenseBallMatrix(self.columns.transpose())


@dataclass(frozen=True, eq=False)
class _Sparse(BallMatrix):
    """Row j has the entries ``values[j]`` (K,) at the places ``places[j]`` (K,), and so has the
    transposed matrix; the place d stands for none."""

    places: Indices
    values: Numbers
    transposed_places: Indices
    transposed_values: Numbers

    @classmethod
    def of(cls, numbers: Tensor) -> _Sparse:
        """The matrix without its zeros."""
        return cls(*_entries(numbers), *_entries(numbers.T))

    def product(self, v: Numbers) -> Numbers:
        wide, product = np.hstack([v, zeros(len(v), 1)]), zeros(len(v), len(self.places))
        for places, values in zip(self.places.T, self.values.T, strict=True):
            product = product + wide[:, places] * values
        return product

    @property
    def transposed(self) -> _Sparse:
        return _Sparse(self.transposed_places, self.transposed_values, self.places, self.values)


def _entries(numbers: Tensor) -> tuple[Indices, Numbers]:
    """The places and values of the entries of each row that are not zero."""
    # Of equal keys the first come first, so the entries of a row stand in their order.
    size = int((numbers != 0).sum(1).amax())
    places = (numbers == 0).long().argsort(stable=True, dim=1)[:, :size]
    values = numbers.gather(1, places)
    places = torch.where(values != 0, places, numbers.shape[1])
    return np.asarray(places.cpu()), exact(values)
