"""One layer whose relevance carries the factor ``a_i``: directions ``v_ji = a_i mask_ji``.

The masks are those of a :class:`dtd.rules.rule.FactorRule`, with closed-form roots.
Closed-form roots are then ``ã_j = a ⊙ (1 - t_j mask_j)``, and all that the recursion needs of
the units of a layer comes from products with the matrices W and ``W ⊙ mask``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtd.networks.layers.balls import BallLayer
from dtd.networks.layers.layer import AnyLayer, Product
from dtd.networks.matrices.matrix import Matrix
from dtd.numerics.balls import Balls, Numbers
from dtd.numerics.policy import policy
from dtd.relevance.slopes.coincidence import weights_coincide


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
        chance do not count; see :attr:`may_coincide`.
        """
        # A unit whose bias is negative is dead where all that its direction is made of is.
        dead = (self.layer.parameters["bias"] < -self.slack(size).amax()).all()
        return self.never_cancels and bool(dead)

    @cached_property
    def may_coincide(self) -> bool:
        """Whether units may be on their kinks together by more than chance.

        They may where a bias is zero, and where :func:`weights_coincide`.
        """
        bias, weight = self.layer.parameters["bias"], self.layer.parameters["weight"]
        zero = bias.abs() <= self.slack(torch.ones_like(bias[:1]))
        return bool(zero.any()) or weights_coincide(weight)

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
        return Units(z, z.relu().div_(divisor), rooted, undirected, largest_activation(z))

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


def largest_activation(z: Tensor) -> Tensor:
    """The largest activation of each row, (N,)."""
    return z.detach().amax(1).relu()
