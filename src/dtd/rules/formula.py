"""Closed-form roots as formulas of balls: what limits are taken with (theory, section 2.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from flint import arb, arb_mat, fmpq, fmpq_mat
from torch import Tensor

from dtd.networks.network import Layer
from dtd.numerics.balls import Balls, Indices, Numbers, exact, matrix


@dataclass(frozen=True, eq=False)
class BallLayer:
    """A layer's weights (J, d) and biases (J,), as balls, and whether it has a ReLU."""

    weight: Numbers
    bias: Numbers
    relu: bool

    @classmethod
    def of(cls, layer: Layer) -> BallLayer:
        """The layer's numbers as they are."""
        return cls(exact(layer.weight), exact(layer.bias), layer.relu)

    @cached_property
    def _columns(self) -> arb_mat:
        return matrix(self.weight.T)

    def preactivation(self, a: Balls) -> Balls:
        """``z = W a + b``, (N, J), at the points a (N, d)."""
        return a.times(self._columns).shifted(self.bias)


class Formula(ABC):
    """What leads from an anchor to the closed-form roots of a layer's units."""

    @abstractmethod
    def steps(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        """Which of N pairs have a root, (n,), and their ``a - ã_j``, (n, d).

        Args:
            anchors: (N, d).
            z: (N,), the pre-activation of the unit at each anchor.
            unit: (N,).
        """


@dataclass(frozen=True, eq=False)
class ToKink(Formula):
    """Along ``v_j = a ⊙ scale_j + offset_j`` to ``z_j = 0``; like the weights all are (J, d)."""

    weight: Tensor
    scale: Tensor
    offset: Tensor

    @cached_property
    def _parts(self) -> tuple[Numbers, Numbers, Numbers]:
        return exact(self.weight), exact(self.scale), exact(self.offset)

    def steps(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        weight, scale, offset = (part[unit] for part in self._parts)
        direction = anchors.scaled(scale).shifted(offset)
        divisor = direction.scaled(weight).row_sums()
        kept = np.flatnonzero(divisor.nonzero)
        t = z.rows(kept) * divisor.rows(kept).reciprocal()
        return kept, direction.rows(kept) * t.repeated(scale.shape[1])


@dataclass(frozen=True, eq=False)
class ToOrigin(Formula):
    """The origin is the root of every unit."""

    def steps(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        return np.arange(len(anchors)), anchors


@dataclass(frozen=True, eq=False)
class ToCommonZero(Formula):
    """``a - ã = W⁺ (W a + b)``, shared by all units; ``rank`` is that of W."""

    layer: Layer
    rank: int

    @classmethod
    def of(cls, layer: Layer) -> ToCommonZero | None:
        """None where rounding decides on the rank."""
        rank = int(torch.linalg.matrix_rank(layer.weight))
        formula = cls(layer, rank)
        full = rank == min(layer.weight.shape)
        return formula if full or formula._reduced[1] == rank else None

    def steps(self, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        shared = self._balls.preactivation(anchors).times(self._inverse)
        return np.arange(len(anchors)), shared

    @cached_property
    def _balls(self) -> BallLayer:
        return BallLayer.of(self.layer)

    @property
    def _inverse(self) -> arb_mat:
        """The transpose of W⁺, (J, d), in the digits of the context."""
        weight = matrix(self._balls.weight)
        turned = weight.transpose()
        if self.rank == weight.nrows():
            return (weight * turned).inv() * weight
        if self.rank == weight.ncols():
            return weight * (turned * weight).inv()
        # W = C F with matrices of full rank, so W⁺ = Fᵀ (F Fᵀ)⁻¹ (Cᵀ C)⁻¹ Cᵀ.
        lower, upper = self._factors
        left, right = lower.transpose() * lower, upper * upper.transpose()
        return lower * left.inv() * right.inv() * upper

    @cached_property
    def _reduced(self) -> tuple[fmpq_mat, int]:
        """The reduced row echelon form, without rounding, and the rank."""
        rows = [[fmpq(*float(v).as_integer_ratio()) for v in row] for row in self.layer.weight]
        return fmpq_mat(rows).rref()

    @property
    def _factors(self) -> tuple[arb_mat, arb_mat]:
        """C (J, r), the columns of W that lead the rows of F (r, d)."""
        reduced, rank = self._reduced
        rows = np.array([[arb(v) for v in row] for row in reduced.tolist()], dtype=object)[:rank]
        leading = [next(i for i, v in enumerate(row) if v != 0) for row in rows]
        return matrix(self._balls.weight[:, leading]), matrix(rows)
