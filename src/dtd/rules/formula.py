"""Closed-form roots as formulas of balls: what limits are taken with (theory, section 2.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from flint import arb, arb_mat, fmpq, fmpq_mat
from torch import Tensor

from dtd.networks.layers.balls import BallLayer
from dtd.networks.matrices.matrix import Matrix
from dtd.numerics.ball_matrix import DenseBallMatrix
from dtd.numerics.balls import Balls, Indices, Numbers, exact, matrix, zeros


class Formula(ABC):
    """What leads from an anchor to the closed-form roots of a layer's units."""

    @property
    def is_factor(self) -> bool:
        """Whether each input has its own activation as a factor in ``a - ã_j``."""
        return False

    @abstractmethod
    def deltas(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        """Which of N pairs have a root, (n,), and their ``a - ã_j``, (n, d).

        Args:
            anchors: (N, d).
            z: (N,), the pre-activation of the unit at each anchor.
            unit: (N,).
        """


@dataclass(frozen=True, eq=False)
class ToKink(Formula):
    """Along ``v_j = a ⊙ scale_j + Σ factor ⊙ mask_j`` to ``z_j = 0``.

    ``fixed`` has the factors (d,) and masks (J, d) that do not depend on the anchor.
    """

    layer: BallLayer
    scale: Matrix
    fixed: tuple[tuple[Tensor, Matrix], ...] = ()

    @property
    def is_factor(self) -> bool:
        return not self.fixed

    def deltas(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        direction = self._direction(anchors, unit)
        kept, t = _steps(z, self.layer.along(direction, unit))
        return kept, direction.rows(kept) * t.repeated(self.scale.shape[1])

    def steps(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        """Which of N pairs have a root, (n,), and how far it is along ``v_j``, (n,).

        Raises:
            TooFewDigits: a divisor may be zero, and is not zero without rounding.
        """
        divisor = self.layer.along(self._direction(anchors, unit), unit)
        divisor.check_signs()
        return _steps(z, divisor)

    def factors(self, unit: Indices) -> Numbers:
        """The rows (N, d) of the scale, for units (N,)."""
        return exact(self.scale.rows(self._rows(unit)))

    def _direction(self, anchors: Balls, unit: Indices) -> Balls:
        direction = anchors.scaled(self.factors(unit))
        for factor, mask in self.fixed:
            direction = direction.shifted(exact(factor * mask.rows(self._rows(unit))))
        return direction

    def _rows(self, unit: Indices) -> Tensor:
        return torch.from_numpy(unit).to(self.scale.numbers.device)


@dataclass(frozen=True, eq=False)
class ToEmptyWindow(ToKink):
    """Along the inputs of a window, whose mask is ``constant`` for all units and anchors."""

    constant: float = field(kw_only=True)

    def deltas(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        return np.arange(len(unit)), self._direction(anchors, unit).scaled(self._step)

    def steps(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        return np.arange(len(unit)), Balls(zeros(len(unit)) + self._step)

    @property
    def _step(self) -> arb:
        """In the digits of the context."""
        return 1 / arb(self.constant)


def _steps(z: Balls, divisor: Balls) -> tuple[Indices, Balls]:
    """Which divisors (N,) are not zero, and how far ``z_j = 0`` is with those."""
    kept = np.flatnonzero(divisor.nonzero)
    return kept, z.rows(kept) * divisor.rows(kept).reciprocal()


@dataclass(frozen=True, eq=False)
class ToOrigin(Formula):
    """The origin is the root of every unit."""

    def deltas(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        return np.arange(len(anchors)), anchors


@dataclass(frozen=True, eq=False)
class ToCommonZero(Formula):
    """``a - ã = W⁺ (W a + b)``, shared by all units; ``rank`` is that of W."""

    layer: BallLayer
    weight: Tensor
    rank: int

    @classmethod
    def of(cls, layer: BallLayer, weight: Tensor) -> ToCommonZero | None:
        """The formula for weights (J, d); None where rounding decides on the rank."""
        rank = int(torch.linalg.matrix_rank(weight))
        formula = cls(layer, weight, rank)
        full = rank == min(weight.shape)
        return formula if full or formula._reduced[1] == rank else None

    def deltas(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        shared = self.layer.preactivation(anchors).times(DenseBallMatrix(self._inverse))
        return np.arange(len(anchors)), shared

    @cached_property
    def _balls(self) -> Numbers:
        return exact(self.weight)

    @property
    def _inverse(self) -> arb_mat:
        """The transpose of W⁺, (J, d), in the digits of the context."""
        weight = matrix(self._balls)
        turned = weight.transpose()
        if self.rank == weight.nrows():
            return (weight * turned).inv() * weight
        if self.rank == weight.ncols():
            return weight * (turned * weight).inv()
        # W = C F with matrices of full rank, so W⁺ = Fᵀ (F Fᵀ)⁻¹ (Cᵀ C)⁻¹ Cᵀ.
        columns, rows = self._factors
        left, right = columns.transpose() * columns, rows * rows.transpose()
        return columns * left.inv() * right.inv() * rows

    @cached_property
    def _reduced(self) -> tuple[fmpq_mat, int]:
        """The reduced row echelon form, without rounding, and the rank."""
        rows = [[fmpq(*float(v).as_integer_ratio()) for v in row] for row in self.weight]
        return fmpq_mat(rows).rref()

    @property
    def _factors(self) -> tuple[arb_mat, arb_mat]:
        """C (J, r), the columns of W that lead the rows of F (r, d)."""
        reduced, rank = self._reduced
        rows = np.array([[arb(v) for v in row] for row in reduced.tolist()], dtype=object)[:rank]
        leading = [next(i for i, v in enumerate(row) if v != 0) for row in rows]
        return matrix(self._balls[:, leading]), matrix(rows)
