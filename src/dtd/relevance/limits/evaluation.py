"""The expansions at roots in many digits, every limit evaluated at one position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from flint import arb
from torch import Tensor

from dtd.networks.layers.balls import BallLayer
from dtd.networks.network import Network
from dtd.numerics.ball_operation import Evaluated, apply, evaluate, rounded
from dtd.numerics.balls import MOST_DIGITS, Balls, Indices, Numbers, gradient
from dtd.numerics.policy import policy
from dtd.relevance.limits.nested import BallExpansion, NestedRecursion, Visits
from dtd.relevance.limits.positions import Positions
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.slope import Pairs
from dtd.rules.formula import Formula


@dataclass(frozen=True, eq=False)
class BallNetwork:
    """A network with one output in balls, and how its layers are decomposed.

    ``degree`` is how many terms of each Taylor series are distributed. With ``moving_roots`` false
    the roots do not depend on their anchors.
    """

    network: Network
    plans: tuple[Plan, ...]
    degree: int
    moving_roots: bool

    @cached_property
    def formulas(self) -> Sequence[Formula | None]:
        """Those of the roots in each layer; None where they are searched."""
        layers = zip(self.plans, self.network.layers, strict=True)
        return [plan.formula(layer) for plan, layer in layers]

    @cached_property
    def layers(self) -> Sequence[BallLayer]:
        return [layer.balls for layer in self.network.layers]

    def carries_factor(self, l: int) -> bool:
        """Whether relevance in layer ``l`` and above is an activation times a factor."""
        formulas = self.formulas[l:]
        linear = self.degree == 1 and self.moving_roots
        return linear and all(formula is not None and formula.is_factor for formula in formulas)

    def recursion(self, positions: Sequence[arb], visits: Visits) -> NestedRecursion:
        """The relevance functions, with all limits at the positions, the outermost first."""
        return NestedRecursion(
            self.layers, self.formulas, positions, visits, self.degree, self.moving_roots
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The expansions of ``h`` at the roots of N pairs in layer ``l``, from points at ``positions``.

    The pairs are sorted by their anchors, and numbered from ``first`` for ``visits``, which says
    which units are decomposed above. ``pool`` (N,) marks pairs whose slopes grow without bound:
    what those of one anchor distribute is added up, and each of them is given an equal part.
    """

    balls: BallNetwork
    l: int
    pairs: Pairs
    visits: Visits
    first: int
    positions: Positions
    pool: Tensor | None = None

    def tensors(self, graph: bool = False) -> Sequence[Tensor]:
        """The value (N,) of ``h`` at the roots, its slope (N, d), and the shares (N, d) of each
        degree; with their graph if that is wanted."""
        if graph:
            return apply(self._program, self._inputs, self._digits)
        return [rounded(balls, self.pairs.anchors) for balls in self._evaluated.outputs]

    def distributed(self, scale: Tensor) -> Tensor:
        """The shares (N, d) of all degrees together, rounded to the type of ``scale``."""
        shares = self._evaluated.outputs[2:]
        return torch.stack([rounded(share, scale) for share in shares]).sum(0)

    @property
    def is_known(self) -> bool:
        """Whether the digits that it took tell the positions of its limits apart."""
        most = self._evaluated.digits == MOST_DIGITS
        return not most or self.positions.digits(self._count)[-1] <= MOST_DIGITS

    @cached_property
    def f(self) -> Tensor:
        """The explained output at the anchors, (N,)."""
        output = self.balls.network.forward(self.pairs.anchors.detach(), self.l)
        return output.abs().amax(1)

    @property
    def interactions(self) -> Tensor:
        """The degree-2 terms, (N, d, d)."""
        rows = evaluate(self._interactions, self._inputs, self._digits).outputs
        return torch.stack([rounded(balls, self.pairs.anchors) for balls in rows], 1)

    @cached_property
    def _evaluated(self) -> Evaluated:
        return evaluate(self._program, self._inputs, self._digits)

    def _program(self, inputs: Sequence[Balls]) -> Sequence[Balls]:
        """Value, slope, and what is distributed by degree."""
        one, _ = self._expanded(inputs)
        return [one.value, one.slope, *(self._in_equal_parts(share) for share in one.shares)]

    def _interactions(self, inputs: Sequence[Balls]) -> Sequence[Balls]:
        """The rows of the degree-2 terms."""
        one, delta = self._expanded(inputs)
        width, half = delta.value.shape[1], 1 / arb(2)
        rows = []
        for i in range(width):
            column = np.full(len(delta), i)
            second = gradient(one.slope.entries(column), one.points)
            outer = delta.entries(column).repeated(width) * delta
            rows.append((second * outer).scaled(half))
        return rows

    def _expanded(self, inputs: Sequence[Balls]) -> tuple[BallExpansion, Balls]:
        """The expansions and ``a - ã``, from the anchors, and from roots that are no formula."""
        unit, anchors = self.pairs.unit.cpu().numpy(), inputs[0]
        layer = self.balls.layers[self.l]
        count = self.positions.told_apart(self._count) if self._continuous else self._count
        positions = self.positions.of(count)
        recursion = self.balls.recursion(positions, self.visits)
        if self._formula is None:
            delta = anchors - inputs[1]
        else:
            z = layer.preactivation(anchors).entries(unit)
            _, delta = recursion.deltas(self.l, anchors, z, unit)
        roots, pair = anchors - delta, self.first + np.arange(len(unit))
        # A root may be on a kink but for rounding, of its own or of the weights.
        ties = layer.preactivation(roots).value * self._ties
        return recursion.expand(self.l, roots, delta, unit, pair, 0, ties), delta

    def _in_equal_parts(self, share: Balls) -> Balls:
        """What pairs distribute, those of the pool in equal parts."""
        if self.pool is None:
            return share
        pool, anchor = self.pool.cpu().numpy(), self._anchor
        count = np.bincount(anchor, pool)[anchor]
        part = (pool / np.maximum(count, 1)).astype(object)[:, None]
        inside = pool.astype(int).astype(object)[:, None]
        together = share.scaled(inside).summed(anchor, anchor.max() + 1).rows(anchor)
        return share.scaled(1 - inside) + together.scaled(part)

    @cached_property
    def _anchor(self) -> Indices:
        """The anchors of the pairs, numbered from 0, (N,)."""
        numbers = self.pairs.anchor.unique_consecutive(return_inverse=True)[1]
        return np.asarray(numbers.cpu())

    @cached_property
    def _ties(self) -> Numbers:
        """1 where a unit is on its kink at the root, up to rounding, else 0, (N, J)."""
        layer = self.balls.network.layers[self.l]
        z, size = layer.preactivation(self.pairs.roots), layer.magnitude(self.pairs.anchors)
        ties = np.asarray((z.abs() <= policy(z.dtype).tie * size).cpu())
        return ties.astype(int).astype(object)

    @property
    def _formula(self) -> Formula | None:
        return self.balls.formulas[self.l]

    @property
    def _inputs(self) -> Sequence[Tensor]:
        anchors, roots = self.pairs.anchors, self.pairs.roots
        return [anchors, roots] if self._formula is None else [anchors]

    @property
    def _count(self) -> int:
        """How many limits lie inside each other: the slope of the output is constant."""
        return self.balls.network.depth - 1 - self.l

    @property
    def _digits(self) -> Sequence[int]:
        digits = self.positions.digits(self._count)
        return digits if self._continuous else digits[-1:]

    @property
    def _continuous(self) -> bool:
        """Whether limits that turn out to be continuous need not be taken."""
        return self.balls.carries_factor(self.l + 1)
