"""Matrices that arrays of balls are multiplied with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from flint import arb_mat
from torch import Tensor

from dtd.numerics.balls import BallMatrix, Indices, Numbers, exact, is_zero, matrix, zeros

_SPARSE = 1 / 4
"""The largest share of entries that are not zero for which zeros are left out."""
_FILLED = 1 / 2
"""The largest share of entries that blocks may have for that, with the zeros that fill them."""
_BLOCKS = 1 / 4
"""The most blocks for each row. Many small products take longer than a large one."""


def ball_matrix(numbers: Tensor) -> BallMatrix:
    """A matrix (J, d) with these entries; without its zeros where that is faster.

    It is in convolutions, where few blocks stand at many places.
    """
    if int((numbers != 0).sum()) <= _SPARSE * numbers.numel():
        sparse = _Sparse(tuple(_blocks(numbers)), tuple(_blocks(numbers.T)), *numbers.shape)
        if sparse.is_faster:
            return sparse
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


class _Block(NamedTuple):
    """A dense matrix that stands at several places, as the kernel of a convolution does."""

    rows: Indices
    """(P, C), the rows that it has at each place."""
    columns: Indices
    """(P, K), and its columns; the number d stands for none."""
    matrix: DenseBallMatrix
    """(C, K)."""

    @property
    def entries(self) -> int:
        """How many entries it has at all its places."""
        return int(self.rows.size * self.columns.shape[1])


@dataclass(frozen=True, eq=False)
class _Sparse(BallMatrix):
    """A matrix (J, d) of blocks, and the blocks of its transposed matrix."""

    blocks: tuple[_Block, ...]
    transposed_blocks: tuple[_Block, ...]
    units: int
    inputs: int

    def product(self, v: Numbers) -> Numbers:
        wide, product = np.hstack([v, zeros(len(v), 1)]), zeros(len(v), self.units)
        counts = ~is_zero(wide)
        for rows, columns, block in self.blocks:
            row, place = np.nonzero(counts[:, columns].any(2))
            inputs = wide[row[:, None], columns[place]]
            product[row[:, None], rows[place]] = block.product(inputs)
        return product

    @property
    def is_faster(self) -> bool:
        """Whether products with its blocks take less time than with one dense matrix."""
        whole = self.units * self.inputs
        return all(
            len(blocks) <= _BLOCKS * rows and sum(b.entries for b in blocks) <= _FILLED * whole
            for blocks, rows in ((self.blocks, self.units), (self.transposed_blocks, self.inputs))
        )

    @property
    def transposed(self) -> _Sparse:
        return _Sparse(self.transposed_blocks, self.blocks, self.inputs, self.units)


def _blocks(numbers: Tensor) -> Iterator[_Block]:
    """Rows with their entries at the same columns stand together, and equal ones of these too."""
    columns, values = _entries(numbers)
    patterns, pattern = np.unique(columns, axis=0, return_inverse=True)
    rows = np.split(np.argsort(pattern, kind="stable"), np.cumsum(np.bincount(pattern))[:-1])
    alike: dict[bytes, list[int]] = {}
    for number, some in enumerate(rows):
        alike.setdefault(values[some].tobytes(), []).append(number)
    for places in alike.values():
        block = torch.from_numpy(values[rows[places[0]]])
        dense = DenseBallMatrix(matrix(exact(block.T)))
        yield _Block(np.stack([rows[place] for place in places]), patterns[places], dense)


def _entries(numbers: Tensor) -> tuple[Indices, np.ndarray]:
    """The columns and values of the entries of each row that are not zero, (J, K)."""
    # Of equal keys the first come first, so the entries of a row stand in their order.
    size = int((numbers != 0).sum(1).amax())
    columns = (numbers == 0).long().argsort(stable=True, dim=1)[:, :size]
    values = numbers.gather(1, columns)
    columns = torch.where(values != 0, columns, numbers.shape[1])
    return np.asarray(columns.cpu()), np.asarray(values.cpu())
