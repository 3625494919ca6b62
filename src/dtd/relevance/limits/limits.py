"""One-sided slopes as limits in many digits, each with its error (theory, section 2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate

import numpy as np
import torch
from flint import arb
from torch import Tensor

from dtd.networks.ball_layers import BallLayer
from dtd.networks.network import Network
from dtd.numerics.ball_operation import apply, evaluate, rounded
from dtd.numerics.balls import Balls, Indices, Numbers, gradient
from dtd.numerics.policy import policy
from dtd.relevance.limits.nested import Expansion, NestedRecursion, Visits
from dtd.relevance.limits.positions import (
    NEAR,
    NEAR_SEARCHED,
    NEARER,
    NEARER_SEARCHED,
    UNBOUNDED,
    Positions,
)
from dtd.relevance.limits.visits import All
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.slope import Pairs, Slope, relative
from dtd.rules.formula import Formula

_TOGETHER = 200_000
"""How many balls an array may have, as far as the roots of one anchor can do with so many."""
_MOST = 2_000_000
"""How many balls the arrays of one root may have for its limit to be taken in many digits."""

_FINER = 12
"""How many digits nearer to the root a limit is taken that has not settled."""
_GROWTH = 100
"""By how many times a limit grows, at least, from one position to the other if it is infinite: with
a simple pole it is a thousand."""
_LARGE = 1e6
"""How many times f it is then, at least."""


@dataclass(frozen=True, eq=False)
class Limits:
    """The expansions of the relevance functions of a network with one output, at limits.

    ``plans`` say how each layer is decomposed, ``degree`` how many terms of each Taylor series
    are distributed; where another part of it is, ``degree`` is None, and no limit is taken here.
    With ``moving_roots`` false the roots do not depend on their anchors.
    """

    network: Network
    plans: tuple[Plan, ...]
    degree: int | None = 1
    moving_roots: bool = True

    def covers(self, l: int) -> bool:
        """Whether limits at roots in layer ``l`` can be taken so.

        All roots above have to be formulas, and not too many.
        """
        formulas = all(formula is not None for formula in self.formulas[l + 1 :])
        few = All().entries(self.network.widths[l:]) <= _MOST
        return self.degree is not None and formulas and few

    def homogeneous(self, l: int) -> bool:
        """Whether ``R_l`` is homogeneous of degree 1.

        So it is where no layer above has a bias, and all roots are formulas.
        """
        biased = any(bool(layer.largest[0] > 0) for layer in self.network.layers[l:])
        return not biased and all(formula is not None for formula in self.formulas[l:])

    def at(self, l: int, pairs: Pairs, graph: bool, visits: Visits | None = None) -> Slope:
        """The expansions of ``h`` at the roots of pairs that are sorted by their anchors.

        Args:
            l: the layer of the anchors and roots.
            pairs: where. All roots of an anchor belong together, because slopes may grow without
                bound where their sum does not.
            graph: whether the expansions keep their graph.
            visits: which units are decomposed above; all of them without it. It numbers the
                pairs from 0.
        """
        parts = [self._at(roots, graph) for roots in self._chunks(l, pairs, visits or All())]
        return Slope(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def interactions(self, l: int, pairs: Pairs) -> Tensor:
        """The degree-2 terms ``½ Δ_i ∂_i ∂_k h Δ_k`` of pairs in layer ``l``, (N, d, d)."""
        return torch.cat([roots.interactions for roots in self._chunks(l, pairs, All())])

    def _chunks(self, l: int, pairs: Pairs, visits: Visits) -> Iterator[_Roots]:
        """The pairs, all of an anchor together, and so many as memory allows."""
        count = pairs.anchor.unique_consecutive(return_counts=True)[1]
        entries = visits.entries(self.network.widths[l:]) * int(count.amax())
        sizes = [int(part.sum()) for part in count.split(max(1, _TOGETHER // entries))]
        columns = zip(*(column.split(sizes) for column in pairs), strict=True)
        for part, first in zip(columns, accumulate(sizes, initial=0), strict=False):
            yield _Roots(self, l, Pairs(*part), visits, first)

    def _at(self, roots: _Roots, graph: bool) -> Slope:
        found = self._pooled(roots, graph)
        settled = policy(found.limit.dtype).settled
        index = ((found.limit > settled) & found.limit.isfinite()).nonzero().squeeze(1)
        if len(index):
            # A kink, or a bend, may be nearer to the root than the positions are.
            finer = self._pooled(replace(roots, finer=_FINER), graph)
            found = found.replaced(index, finer.rows(index))
        return found

    def _pooled(self, roots: _Roots, graph: bool) -> Slope:
        unbounded = roots.errors.isinf()
        if unbounded.any():
            # Their sum may have a limit all the same.
            roots = replace(roots, pool=unbounded)
        return roots.expansions(graph)

    @cached_property
    def formulas(self) -> Sequence[Formula | None]:
        """Those of the roots in each layer."""
        layers = zip(self.plans, self.network.layers, strict=True)
        return [plan.formula(layer) for plan, layer in layers]

    @cached_property
    def layers(self) -> Sequence[BallLayer]:
        """The layers of the network, as balls."""
        return [layer.balls for layer in self.network.layers]


@dataclass(frozen=True, eq=False)
class _Roots:
    """The roots of N pairs in layer ``l``, to be expanded at limits.

    ``first`` is the number of the first pair. Positions are ``finer`` digits nearer to the roots
    than usual. ``pool`` (N,) marks pairs whose slopes grow without
    bound: what those of one anchor distribute is added up, and each is given an equal part.
    """

    limits: Limits
    l: int
    pairs: Pairs
    visits: Visits
    first: int = 0
    finer: int = 0
    pool: Tensor | None = None

    @cached_property
    def errors(self) -> Tensor:
        """The relative errors of the limits, (N,), infinite for what grows without bound."""
        f = self.limits.network.forward(self.pairs.anchors.detach(), self.l).abs().amax(1)
        near, nearer = (
            torch.stack([rounded(share, f) for share in numbers[2:]]).sum(0)
            for numbers in (self._near, self._nearer)
        )
        gap, size = (nearer - near).norm(dim=1), nearer.norm(dim=1)
        error = relative(gap, size, f)
        grows = (size > _GROWTH * near.norm(dim=1)) & (size > _LARGE * f)
        return torch.where(grows | error.isnan(), torch.inf, error)

    def expansions(self, graph: bool) -> Slope:
        """The expansions; where a limit is infinite, at a position that is not as near."""
        nearer = self._graphed(self._positions[1]) if graph else self._tensors(self._nearer)
        slope = self._slope(*nearer)
        index = self.errors.isinf().nonzero().squeeze(1)
        if not len(index):
            return slope
        shown = self._graphed(UNBOUNDED) if graph else self._tensors(self._numbers(UNBOUNDED))
        return slope.replaced(index, self._slope(*shown).rows(index))

    @property
    def interactions(self) -> Tensor:
        """The degree-2 terms, (N, d, d)."""
        positions = self._positions[1]
        program = partial(self._matrices, positions)
        rows = evaluate(program, self._inputs, positions.digits(self._count))
        return torch.stack(self._tensors(rows), 1)

    def _matrices(self, positions: Positions, inputs: Sequence[Balls]) -> Sequence[Balls]:
        one, delta = self._expanded(positions, inputs)
        width, half = delta.value.shape[1], 1 / arb(2)
        rows = []
        for i in range(width):
            column = np.full(len(delta), i)
            second = gradient(one.slope.entries(column), one.points)
            outer = delta.entries(column).repeated(width) * delta
            rows.append((second * outer).scaled(half))
        return rows

    def _slope(self, value: Tensor, slope: Tensor, *shares: Tensor) -> Slope:
        if self.pool is not None:
            slope = torch.where(self.pool.unsqueeze(1), torch.inf, slope)
        return Slope(value, slope, torch.stack(shares, 1), self.errors)

    @cached_property
    def _near(self) -> Sequence[Numbers]:
        return self._numbers(self._positions[0])

    @cached_property
    def _nearer(self) -> Sequence[Numbers]:
        return self._numbers(self._positions[1])

    def _numbers(self, positions: Positions) -> Sequence[Numbers]:
        program = partial(self._program, positions)
        return evaluate(program, self._inputs, positions.digits(self._count))

    def _tensors(self, numbers: Sequence[Numbers]) -> list[Tensor]:
        return [rounded(balls, self.pairs.anchors) for balls in numbers]

    def _graphed(self, positions: Positions) -> Sequence[Tensor]:
        program = partial(self._program, positions)
        return apply(program, self._inputs, positions.digits(self._count))

    def _program(self, positions: Positions, inputs: Sequence[Balls]) -> Sequence[Balls]:
        """Value, slope, and what is distributed by degree."""
        one, _ = self._expanded(positions, inputs)
        return [one.value, one.slope, *(self._pooled(share) for share in one.shares)]

    def _expanded(self, positions: Positions, inputs: Sequence[Balls]) -> tuple[Expansion, Balls]:
        """The expansions and ``a - ã``, from the anchors, and from roots that are no formula."""
        limits, unit, anchors = self.limits, self.pairs.unit.cpu().numpy(), inputs[0]
        layer = limits.layers[self.l]
        recursion = NestedRecursion(
            limits.layers,
            limits.formulas,
            positions.of(self._count),
            self.visits,
            limits.degree or 1,
            limits.moving_roots,
        )
        if self._formula is None:
            delta = anchors - inputs[1]
        else:
            z = layer.preactivation(anchors).entries(unit)
            _, delta = recursion.steps(self.l, anchors, z, unit)
        roots, line = anchors - delta, self.first + np.arange(len(unit))
        # A root may be on a kink but for rounding, of its own or of the weights.
        ties = layer.preactivation(roots).value * self._ties
        return recursion.expand(self.l, roots, delta, unit, line, 0, ties), delta

    def _pooled(self, share: Balls) -> Balls:
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
        layer = self.limits.network.layers[self.l]
        z, size = layer.preactivation(self.pairs.roots), layer.magnitude(self.pairs.anchors)
        ties = np.asarray((z.abs() <= policy(z.dtype).tie * size).cpu())
        return ties.astype(int).astype(object)

    @cached_property
    def _formula(self) -> Formula | None:
        return self.limits.formulas[self.l]

    @cached_property
    def _inputs(self) -> Sequence[Tensor]:
        anchors, roots = self.pairs.anchors, self.pairs.roots
        return [anchors, roots] if self._formula is None else [anchors]

    @cached_property
    def _positions(self) -> tuple[Positions, Positions]:
        pair = (NEAR_SEARCHED, NEARER_SEARCHED) if self._formula is None else (NEAR, NEARER)
        degree = self.limits.degree or 1
        near, nearer = (positions.of_degree(degree).finer(self.finer) for positions in pair)
        return near, nearer

    @property
    def _count(self) -> int:
        """How many limits lie inside each other: the slope of the output is constant."""
        return self.limits.network.depth - 1 - self.l
