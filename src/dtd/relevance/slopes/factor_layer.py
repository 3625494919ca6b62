"""One layer whose relevance carries the factor ``a_i``: directions ``v_ji = a_i mask_ji``.

Closed-form roots are then ``ã_j = a ⊙ (1 - t_j mask_j)``, and all that the recursion needs of
the units of a layer comes from products with the matrices W and ``W ⊙ mask``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from flint import arb
from numpy.typing import NDArray
from torch import Tensor

from dtd.networks.layers.balls import BallLayer
from dtd.networks.layers.layer import AnyLayer, Product
from dtd.networks.matrices.matrix import Matrix
from dtd.numerics.balls import Balls, Numbers
from dtd.numerics.policy import policy
from dtd.relevance.plan import Plan

_FEW = 256
"""So many numbers are few for the weights of a layer: eight bits have no more."""
_GRID = 1 / 16
"""Weights that are all multiples of this are as good as integers."""
_ALIKE = 1e-4
"""Rows of weights that differ by less, relative to their largest, count as proportional."""


class Units(NamedTuple):
    """The J units of a layer at N anchors, each (N, J) but the size."""

    z: Tensor
    step: Tensor
    """``t_j``, and 0 for units that have no root or are on their kink."""
    rooted: Tensor
    """Whether the unit has a root; one on its kink counts, with a step of zero."""
    undirected: Tensor
    """Whether a unit is not dead, but the divisor of its step is zero here."""
    size: Tensor
    """(N,), the largest activation, here or on the anchor's side."""

    @property
    def revived(self) -> Tensor:
        """Whether a unit has a step though it is zero here, (N, J): it rises beside this point.

        A limit at a root of such a unit is one inside the limit that leads to this point.
        """
        return (self.step > 0) & (self.z <= 0)


@dataclass(frozen=True, eq=False)
class FactorLayer:
    """A layer whose roots are ``ã_j = a ⊙ (1 - t_j mask_j)``.

    ``mask`` and ``product``, which is ``W ⊙ mask``, are (J, d). With ``never_cancels`` no
    ``product_ji a_i`` is ever negative.
    """

    layer: AnyLayer
    mask: Matrix
    product: Product
    balls: BallLayer
    """The product in balls."""
    never_cancels: bool

    @classmethod
    def of(cls, layer: AnyLayer, plan: Plan) -> FactorLayer | None:
        """From how the layer is decomposed; None where its roots have another form."""
        mask = plan.finder.factor_mask(plan.rule)
        if mask is None:
            return None
        constant = layer.constant_mask(mask)
        kind = (
            FactorLayer if constant is None else partial(PoolingLayer, constant_step=1 / constant)
        )
        cancels = not plan.rule.never_cancels(plan.domain)
        balls = layer.product_balls(mask)
        return kind(layer, layer.mask(mask), layer.product(mask), balls, not cancels)

    @property
    def has_rivals(self) -> bool:
        """Whether units of the lower layer decide about each other, see :meth:`rivals`."""
        return False

    def passes(self, lower: AnyLayer, unit: Tensor, points: Tensor, size: Tensor) -> Tensor:
        """At which points (N, d) below the ``lower`` layer its unit (N,) may be given something.

        There the unit is zero. It is a quick look at a few units, which may say yes to all.
        """
        return torch.ones_like(unit, dtype=torch.bool)

    def gives(self, unit: Tensor, a: Tensor) -> Tensor:
        """Where ``w_ji mask_ji`` is not zero, (N, J), for units i (N,) of the lower layer.

        There the linear terms give something to unit i at its anchor ``a`` (N, d).
        """
        return self.product.columns(unit, a) != 0

    def moves(self, unit: Tensor, a: Tensor) -> Tensor:
        """Where ``mask_ji`` is not zero, (N, J): which roots change the activation of unit i.

        A weight of zero can be among them: what its unit gives is zero, but for one-sided limits.
        """
        return self.mask.columns(unit) != 0

    def may_give(self, unit: Tensor, columns: Numbers) -> NDArray[np.bool_]:
        """As :meth:`moves`, where ``columns`` (N, J) are the weights of the units in balls."""
        return np.asarray((self.mask.columns(unit) != 0).cpu())

    def ball_steps(
        self, a: Balls, z: Balls, wanted: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], Numbers]:
        """Which of the ``wanted`` units (N, J) have a root at points, and their steps, else zero.

        ``a`` (N, d) are the points, and ``z`` (N, J) the pre-activations there.

        Raises:
            TooFewDigits: a sign is not known.
        """
        divisor = self.balls.preactivation(a)
        active = z.positive & divisor.nonzero & wanted
        return active, z.value / np.where(active, divisor.value, 1) * active

    def rivals(self, unit: Tensor, a: Tensor, ties: Tensor, size: Tensor) -> Tensor:
        """Whether another unit decides what unit i (N,) gives beside its root, (N,).

        Args:
            unit: a unit of the lower layer for each root, zero there.
            a: the activations of the lower layer at the roots, (N, d).
            ties: which other units are on their kinks there, (N, d).
            size: the largest activation on the anchor's side, (N,).
        """
        return torch.zeros_like(unit, dtype=torch.bool)

    def never_needs_limits(self, lower: AnyLayer, size: Tensor) -> bool:
        """Whether roots of units of the ``lower`` layer need no limit for units without a term.

        ``size`` (N,) are the largest activations there. Units that are on their kinks together by
        chance do not count; see :attr:`has_alike`.
        """
        # A unit whose bias is negative is dead where all that its direction is made of is.
        dead = (self.layer.parameters["bias"] < -self.slack(size).amax()).all()
        return self.never_cancels and bool(dead)

    @cached_property
    def has_alike(self) -> bool:
        """Whether units may be on their kinks together by more than chance.

        So it is where a bias is zero, where two units have proportional weights, where all weights
        are among a few numbers, or where a kernel has one weight at two places.
        """
        bias, weight = self.layer.parameters["bias"], self.layer.parameters["weight"]
        if (bias.abs() <= self.slack(torch.ones_like(bias[:1]))).any() or _repeats(weight):
            return True
        weight = weight.flatten(1)
        numbers = weight[weight != 0].abs()
        distinct = len(numbers.unique())
        if distinct <= min(len(numbers) / 2, _FEW) or not (numbers / _GRID).frac().any():
            return True
        rows = weight[weight.any(1)]
        largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
        return len((rows / largest / _ALIKE).round().unique(dim=0)) < len(rows)

    @cached_property
    def _sizes(self) -> tuple[Tensor, Tensor, Tensor]:
        """The largest bias, row sum of |W|, and row sum of |W ⊙ mask|."""
        ones = torch.ones(1, self.layer.size, dtype=self.layer.dtype, device=self.layer.device)
        return *self.layer.largest, self.product.sizes(ones).amax()

    def slack(self, size: Tensor) -> Tensor:
        """Pre-activations below this (N, 1) are zero up to rounding.

        ``size`` (N,) bounds the activations on the anchors' side. So this is at least what the
        policy calls a tie: too large a slack costs time only, as more points are looked at.
        """
        bias, weight, _ = self._sizes
        return policy(size.dtype).tie * (size.unsqueeze(1) * weight + bias)

    def smallest_divisor(self, size: Tensor) -> Tensor:
        """Divisors ``w_j v_j`` below this (N, 1) are zero up to rounding."""
        return policy(size.dtype).tie * self._sizes[2] * size.unsqueeze(1)

    def divisors(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """``w_j v_j`` and ``Σ_i |w_ji v_ji|`` at the points ``a`` (N, d), each (N, J)."""
        value = self.product(a)
        return value, value if self.never_cancels else self.product.sizes(a.abs())

    def units(self, a: Tensor, size: Tensor) -> Units:
        """The units at the points ``a`` (N, d), which have anchors of the given ``size`` (N,)."""
        z, divisor = self.layer.preactivation(a), self.product(a)
        alive = z > -self.slack(size)
        # What is overwritten here and below is new: no memory is asked for again.
        if self.never_cancels:
            # What is not zero has all its digits.
            rooted = (divisor > 0).logical_and_(alive)
            undirected = (divisor <= self.smallest_divisor(size)).logical_and_(alive)
            divisor = torch.threshold_(divisor, 0, torch.inf)
        else:
            magnitude = divisor.abs()
            least = self.product.sizes(a.abs()).mul_(policy(a.dtype).degenerate)
            rooted = (magnitude > least).logical_and_(alive)
            undirected = (magnitude <= self.smallest_divisor(size)).logical_and_(alive)
            divisor = torch.where(rooted, divisor, torch.inf)
        return Units(z, z.relu().div_(divisor), rooted, undirected, _largest(z))

    def units_beside(self, a: Tensor, size: Tensor, unit: Tensor) -> Units:
        """The units at the roots ``a`` of units (N,) of the lower layer, on the anchors' side.

        There the activation of the unit itself is zero.
        """
        return self.units(a, size)

    def loses_digits(self, step: Tensor) -> Tensor:
        """Whether digits are lost at steps (N,) to roots that have an input close to zero."""
        left = (1 - step.unsqueeze(1) * self._reaches).abs()
        return (left <= policy(step.dtype).close).any(1)

    @cached_property
    def _reaches(self) -> Tensor:
        """The values of the mask, of which rules have one or two; of more the extremes, (r,).

        Without zero, by which no input moves.
        """
        values: Tensor = self.mask.values
        extremes = values if len(values) <= 2 else values[[0, -1]]
        return extremes[extremes != 0]

    def roots(self, a: Tensor, step: Tensor, unit: Tensor) -> Tensor:
        """The roots (N, d) of one unit for each anchor ``a`` (N, d); step and unit (N,)."""
        directions = self.mask.rows(unit).mul_(a)
        return torch.addcmul(a, directions, step.unsqueeze(1), value=-1, out=directions)


@dataclass(frozen=True, eq=False)
class PoolingLayer(FactorLayer):
    """Pooling without a bias: the root of a unit is its window at zero, at the same step always."""

    constant_step: float

    def units(self, a: Tensor, size: Tensor) -> Units:
        z = self.layer.preactivation(a)
        return self._units(z, z > 0, _largest(z))

    @property
    def has_alike(self) -> bool:
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
        largest = _largest(z)
        alive = (z > 0) | (self.product.columns(unit, a) != 0)
        return self._units(z, alive, torch.where(largest > 0, largest, size))

    def loses_digits(self, step: Tensor) -> Tensor:
        # What is zero at the root is so without rounding.
        return torch.zeros_like(step, dtype=torch.bool)

    def _units(self, z: Tensor, alive: Tensor, size: Tensor) -> Units:
        return Units(z, self.constant_step * alive.to(z), alive, torch.zeros_like(alive), size)


def _repeats(weight: Tensor) -> bool:
    """Whether a kernel (J, C, ...) has a weight at two places: it may see an input at either."""
    kernels = weight.unsqueeze(2).flatten(2).sort().values
    equal = kernels.diff().abs() <= policy(weight.dtype).tie * kernels[..., 1:].abs()
    return bool((equal & (kernels[..., 1:] != 0)).any())


def _largest(z: Tensor) -> Tensor:
    """The largest activation of each row, (N,)."""
    return z.detach().amax(1).relu()
