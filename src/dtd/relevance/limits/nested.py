"""The recursion in many digits: the definition, word by word.

``∇⁺h_j(ã_j) = lim ∇h_j(ã_j + ε (a - ã_j))`` for ε → 0+, and the limits inside ``h_j`` are taken
first (theory, section 2.2). Here every limit is evaluated at one small ε, and inner ones at much
smaller ones. Nothing is asked about kinks: at such points everything is differentiable, and with
enough digits every sign is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import NamedTuple, Protocol

import numpy as np
from flint import arb

from dtd.networks.layers.balls import BallLayer
from dtd.numerics.balls import (
    Balls,
    Indices,
    Numbers,
    TooFewDigits,
    around_zero,
    gradient,
    total,
    zeros,
)
from dtd.rules.formula import Formula, ToKink


class Visited(NamedTuple):
    """Which units are decomposed at N anchors of a layer: n pairs."""

    row: Indices
    """(n,), the anchor."""
    unit: Indices
    """(n,)."""
    weight: Numbers | None = None
    """(n,), how much each pair counts; one where it is None."""


class Visits(Protocol):
    """What chooses the units that are decomposed."""

    def __call__(self, l: int, a: Balls, z: Balls, pair: Indices, unit: Indices) -> Visited:
        """The units that are decomposed at the anchors of a layer.

        Args:
            l: the layer of the anchors.
            a: the anchors, (N, d).
            z: the pre-activations of the units above, (N, J).
            pair: (N,), to which of the outermost pairs each anchor belongs.
            unit: (N,), the unit of the layer ``l`` whose relevance is asked for.
        """

    def entries(self, widths: Sequence[int]) -> int:
        """How many balls the largest array of one root has, with so many units in the layers from
        the root's to the output."""


class BallExpansion(NamedTuple):
    """The Taylor expansions of ``h_unit`` at N roots, on the branches of the anchors."""

    value: Balls
    """(N,)."""
    slope: Balls
    """(N, d)."""
    shares: tuple[Balls, ...]
    """(N, d) for each degree."""
    points: Balls
    """(N, d), where it is differentiated."""


@dataclass(frozen=True, eq=False)
class NestedRecursion:
    """The relevance functions of a network with one output, in balls.

    ``formulas[l]`` gives the roots in layer l. ``positions`` are those of the limits, the
    outermost first. Where there are fewer, relevance inside them has to carry the factor of its
    activation, continuously, so that no limit is needed there. ``degree`` is how many terms of each
    Taylor series are distributed.
    """

    layers: Sequence[BallLayer]
    formulas: Sequence[Formula | None]
    positions: Sequence[arb]
    visits: Visits
    degree: int = 1
    moving_roots: bool = True

    def relevance(self, l: int, a: Balls, pair: Indices, unit: Indices, nesting: int) -> Balls:
        """``[R_l]_unit`` at the anchors ``a`` (N, d), (N,), inside so many limits."""
        if l == len(self.layers):
            return a.entries(unit)
        if nesting >= len(self.positions) and l + 1 < len(self.layers):
            return a.entries(unit) * self._factor(l, a, pair, unit)
        z = self.layers[l].preactivation(a)
        row, upper, weight = self.visits(l, a, z, pair, unit)
        anchors = a.rows(row)
        kept, delta = self.deltas(l, anchors, z.rows(row).entries(upper), upper)
        row, upper, anchors = row[kept], upper[kept], anchors.rows(kept)
        shares = self.expand(l, anchors - delta, delta, upper, pair[row], nesting).shares
        share = total(shares).entries(unit[row])
        if weight is not None:
            share = share.scaled(weight[kept])
        return share.summed(row, len(a))

    def deltas(self, l: int, anchors: Balls, z: Balls, unit: Indices) -> tuple[Indices, Balls]:
        """Which of N pairs have a root, and ``Δ = a - ã_j`` there; see :class:`Formula`."""
        formula = self.formulas[l]
        assert formula is not None, "limits are taken below formulas only"
        kept, delta = formula.deltas(anchors, z, unit)
        if self.moving_roots:
            return kept, delta
        return kept, anchors.rows(kept).shifted(delta.value - anchors.value[kept])

    def expand(
        self,
        l: int,
        roots: Balls,
        delta: Balls,
        unit: Indices,
        pair: Indices,
        nesting: int,
        ties: Numbers | None = None,
    ) -> BallExpansion:
        """The expansions of ``h_unit`` at N roots (N, d), ``delta`` (N, d) from their anchors.

        ``ties`` (N, J) is subtracted from pre-activations: what those are at the root that should
        be zero there.
        """
        output, layer = l + 1 == len(self.layers), self.layers[l]
        epsilon = arb(0) if output else self.positions[nesting]
        points = roots + delta.scaled(epsilon)
        z = layer.preactivation(points)
        if output:
            # It is affine on the branch of the anchor, and expanded at the root itself. There its
            # gate is open, or the root is on its kink, unless the root is no zero of z.
            own = z.entries(unit)
            gate = ~(own.nonzero & ~own.positive) if layer.relu else np.ones(len(unit), dtype=bool)
            own = own.scaled(gate.astype(int).astype(object))
            return self._expansion(own, points, delta, epsilon, degree=1)
        if ties is not None:
            z = z.shifted(-ties)
        activations = z.scaled(z.positive.astype(int).astype(object))
        value = self.relevance(l + 1, activations, pair, unit, nesting + 1)
        return self._expansion(value, points, delta, epsilon, self.degree)

    def _factor(self, l: int, a: Balls, pair: Indices, unit: Indices) -> Balls:
        """``[R_l]_unit`` at the anchors (N, d), divided by the activation of the unit, (N,).

        ``C_{l,i}(a) = Σ_j C_{l+1,j}(f_{l+1}(ã_j)) t_j w_ji mask_ji`` (theory, section 3.3).

        Raises:
            TooFewDigits: a limit is needed.
        """
        if l == len(self.layers):
            return Balls(zeros(len(a)) + 1)
        layer, formula = self.layers[l], self.formulas[l]
        assert isinstance(formula, ToKink), "relevance carries the factor"
        z = layer.preactivation(a)
        # A sign that the interval leaves open is not that of zero, however small a weight made it.
        z.check_signs()
        row, upper, weight = self.visits(l, a, z, pair, unit)
        anchors, lower = a.rows(row), unit[row]
        kept, step = formula.steps(anchors, z.rows(row).entries(upper), upper)
        row, upper, lower, anchors = row[kept], upper[kept], lower[kept], anchors.rows(kept)
        factor = formula.factors(upper)
        given = layer.columns(lower, anchors)[np.arange(len(upper)), upper]
        given = given * factor[np.arange(len(lower)), lower]
        if weight is not None:
            given = given * weight[kept]
        if l + 1 < len(self.layers):
            # What is left of an input of a window is zero, and not an interval around it.
            left = step.repeated(factor.shape[1]).scaled(-factor).shifted(arb(1))
            roots = anchors * left
            beside = self._beside(l, roots, anchors, upper)
            step = step * self._factor(l + 1, beside, pair[row], upper)
        return step.scaled(given).summed(row, len(a))

    def _beside(self, l: int, roots: Balls, anchors: Balls, unit: Indices) -> Balls:
        """The activations (N, J) at the roots of units (N,), on the branches of the anchors.

        At its root a unit is on its kink. So what is given for it is a small interval around zero:
        signs that depend on it are not known, and those that are known are the same at all points
        nearby, where everything is continuous.

        Raises:
            TooFewDigits: another unit is on its kink, so a limit is needed.
        """
        z = self.layers[l].on_side_of(anchors, roots, unit)
        zero = ~(z.value != 0).astype(bool)
        own = np.arange(z.value.shape[1]) == unit[:, None]
        others = zero & ~own
        if others.any():
            # What is zero at the anchor too, without rounding, is dead on the way.
            dead = self.layers[l].preactivation(Balls(anchors.value)).value
            if not all(ball == 0 for ball in (*z.value[others], *dead[others])):
                raise TooFewDigits
        on_kink = own & zero
        interval = on_kink.astype(int).astype(object) * around_zero()
        alive = on_kink | (z.value > 0).astype(bool)
        return z.scaled(alive.astype(int).astype(object)).shifted(interval)

    def _expansion(
        self, value: Balls, points: Balls, delta: Balls, epsilon: arb, degree: int
    ) -> BallExpansion:
        """From the values (N,) of ``h`` at the points, which lead to the anchors by ``delta``."""
        slope = along = gradient(value, points)
        shares = [slope * delta]
        for k in range(2, degree + 1):
            along = gradient((along * delta).row_sums(), points)
            shares.append((along * delta).scaled(1 / arb(factorial(k))))
        nothing = Balls(zeros(*points.value.shape))
        shares += [nothing] * (self.degree - degree)
        at_root = value - shares[0].row_sums().scaled(epsilon)
        return BallExpansion(at_root, slope, tuple(shares), points)
