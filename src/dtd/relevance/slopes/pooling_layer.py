"""A pooling layer whose relevance carries the factor ``a_i``: its step is a constant.

The masks are those of a :class:`dtd.rules.rule.FactorRule`, as in any :class:`FactorLayer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from flint import arb
from numpy.typing import NDArray
from torch import Tensor

from dtd.networks.layers.layer import AnyLayer
from dtd.numerics.balls import Balls, Numbers
from dtd.relevance.slopes.factor_layer import FactorLayer, Units, largest_activation


@dataclass(frozen=True, eq=False)
class PoolingLayer(FactorLayer):
    """Pooling without a bias: the root of a unit is its window at zero, at the same step always."""

    constant_step: float

    def units(self, a: Tensor, size: Tensor) -> Units:
        z = self.layer.preactivation(a)
        return self._units(z, z > 0, largest_activation(z))

    @property
    def may_coincide(self) -> bool:
        # A window has neither weights nor a bias: the kinks are those of the layer below.
        return False

    def never_needs_limits(self, lower: AnyLayer, size: Tensor) -> bool:
        # Windows rise from zero in a proportion that is in question only where several of their
        # inputs are on their kinks.
        bias = lower.parameters.get("bias")
        return bias is not None and bool((bias.abs() > self.slack(size).amax()).all())

    @cached_property
    def _is_apart(self) -> bool:
        """Whether no two windows have an input in common."""
        inside = self.mask.mapped(lambda entry: (entry != 0).to(entry))
        units = torch.ones(1, self.layer.units, dtype=self.layer.dtype, device=self.layer.device)
        return bool((inside.transposed(units) <= 1).all())

    @property
    def has_rivals(self) -> bool:
        return not self.layer.is_affine

    def ball_steps(
        self, a: Balls, z: Balls, wanted: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], Numbers]:
        active = z.positive & wanted
        return active, active.astype(int).astype(object) * arb(self.constant_step)

    def passes(self, lower: AnyLayer, unit: Tensor, points: Tensor, size: Tensor) -> Tensor:
        if self.layer.is_affine or not self._is_apart:
            return super().passes(lower, unit, points, size)
        # What is zero in a window that has another winner gets nothing.
        others = self.layer.competitors(unit)
        z = lower.of_units(others, points)
        return ~((z > self.slack(size)) & (others != unit.unsqueeze(1))).any(1)

    def moves(self, unit: Tensor, a: Tensor) -> Tensor:
        # An input of one window alone gets nothing where another wins, not even at a limit.
        return self.gives(unit, a) if self._is_apart else super().moves(unit, a)

    def may_give(self, unit: Tensor, columns: Numbers) -> NDArray[np.bool_]:
        if self._is_apart:
            return np.asarray(columns != 0, dtype=bool)
        return super().may_give(unit, columns)

    def rivals(self, unit: Tensor, a: Tensor, ties: Tensor, size: Tensor) -> Tensor:
        # Of several that are zero in one window, which wins is a matter of how fast each rises.
        if self.layer.is_affine or not ties.any():
            return super().rivals(unit, a, ties, size)
        covering, rises = self.mask.columns(unit) != 0, self.mask(ties.to(a)) > 0
        empty = self.layer.preactivation(a) <= self.slack(size)
        return (covering & rises & empty).any(1)

    def units_beside(self, a: Tensor, size: Tensor, unit: Tensor) -> Units:
        # A window that is zero but for the root's own unit is alive on the anchor's side. Where all
        # are zero, so would be the slack of the units above.
        z = self.layer.preactivation(a)
        largest = largest_activation(z)
        alive = (z > 0) | (self.product.columns(unit, a) != 0)
        return self._units(z, alive, torch.where(largest > 0, largest, size))

    def loses_digits(self, step: Tensor) -> Tensor:
        # What is zero at the root is so without rounding.
        return torch.zeros_like(step, dtype=torch.bool)

    def _units(self, z: Tensor, alive: Tensor, size: Tensor) -> Units:
        return Units(z, self.constant_step * alive.to(z), alive, torch.zeros_like(alive), size)
