"""One-sided slopes as limits in many digits, each with its error (theory, section 2.4).

Limits that are extrapolated in the precision of the network instead (:attr:`Way.EXTRAPOLATED`) are
taken in :mod:`dtd.relevance.slopes.automatic`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from dtd.networks.network import Network
from dtd.numerics.balls import size_of_ball
from dtd.numerics.policy import policy
from dtd.progress import Track, untracked
from dtd.relevance.limits.evaluation import BallNetwork, Evaluation
from dtd.relevance.limits.nested import Visits
from dtd.relevance.limits.positions import UNBOUNDED, Positions, pair_for
from dtd.relevance.limits.visits import All
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.slope import Pairs, RootExpansions, relative

_TOGETHER = 10_000_000
"""How many bytes an array may have, as far as the roots of one anchor can do with so many."""
_MOST = 400_000_000
"""How many bytes the arrays of one root may have for its limit to be taken in many digits."""

_FINER = 12
"""How many digits nearer to the root a limit is taken that has not settled."""
_GROWTH = 100
"""By how many times a limit grows, at least, from one position to the other if it is infinite: with
a simple pole it is a thousand."""
_LARGE = 1e6
"""How many times f it is then, at least."""


class Way(Enum):
    """What is done where a limit is needed at a root."""

    MARKED = auto()
    """The root is marked as one whose limit is untaken."""
    MANY_DIGITS = auto()
    """The limit is taken in many digits, together with those above it, which are marked only."""
    EXTRAPOLATED = auto()
    """The limit is extrapolated in the precision of the network, after those above it."""


@dataclass(frozen=True, eq=False)
class Limits:
    """What takes the one-sided limits of the relevance functions of a network with one output.

    ``plans`` say how each layer is decomposed, ``degree`` how many terms of each Taylor series
    are distributed; where another part of it is, ``degree`` is None, and no limit is taken in many
    digits. With ``moving_roots`` false the roots do not depend on their anchors. With ``marks``
    no limit is taken at all. ``track`` shows how far the work is.
    """

    network: Network
    plans: tuple[Plan, ...]
    degree: int | None
    moving_roots: bool
    marks: bool
    track: Track = untracked

    def way(self, l: int) -> Way:
        """What is done where a limit is needed at a root in layer ``l``.

        In many digits all roots above have to be formulas, and not too many.
        """
        formulas = all(formula is not None for formula in self._balls.formulas[l + 1 :])
        few = self._bytes(l, All()) <= _MOST
        if self.degree is None or not formulas or not few:
            return Way.EXTRAPOLATED
        return Way.MARKED if self.marks else Way.MANY_DIGITS

    def has_formula(self, l: int) -> bool:
        """Whether the roots in layer ``l`` are a formula in balls, and not searched."""
        return self._balls.formulas[l] is not None

    def homogeneous(self, l: int) -> bool:
        """Whether ``R_l`` is homogeneous of degree 1.

        So it is where no layer above has a bias, and all roots are formulas.
        """
        biased = any(bool(layer.largest[0] > 0) for layer in self.network.layers[l:])
        return not biased and all(map(self.has_formula, range(l, self.network.depth)))

    def at(self, l: int, pairs: Pairs, graph: bool, visits: Visits | None = None) -> RootExpansions:
        """The expansions of ``h`` at the roots of pairs that are sorted by their anchors.

        Args:
            l: the layer of the anchors and roots.
            pairs: where. All roots of an anchor belong together, because slopes may grow without
                bound where their sum does not.
            graph: whether the expansions keep their graph.
            visits: which units are decomposed above; all of them without it. It numbers the
                pairs from 0.
        """
        parts = [_taken(compared, graph) for compared in self._chunks(l, pairs, visits or All())]
        return RootExpansions(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def interactions(self, l: int, pairs: Pairs) -> Tensor:
        """The degree-2 terms ``½ Δ_i ∂_i ∂_k h Δ_k`` of pairs in layer ``l``, (N, d, d)."""
        chunks = self._chunks(l, pairs, All())
        return torch.cat([compared.nearer.interactions for compared in chunks])

    def _chunks(self, l: int, pairs: Pairs, visits: Visits) -> Iterator[_Compared]:
        """The pairs, all of an anchor together, and so many as memory allows."""
        count = pairs.anchor.unique_consecutive(return_counts=True)[1]
        size = self._bytes(l, visits) * int(count.amax())
        sizes = [int(part.sum()) for part in count.split(max(1, _TOGETHER // size))]
        columns = zip(*(column.split(sizes) for column in pairs), strict=True)
        near, nearer = self._positions(l)
        numbered = list(zip(columns, accumulate(sizes, initial=0), strict=False))
        for part, first in self.track(numbered, "limits"):
            evaluation = Evaluation(self._balls, l, Pairs(*part), visits, first, nearer)
            yield _Compared(replace(evaluation, positions=near), evaluation)

    def _bytes(self, l: int, visits: Visits) -> int:
        """How large the largest array of one root in layer ``l`` is."""
        _, nearer = self._positions(l)
        digits = nearer.digits(self.network.depth - 1 - l)[-1]
        return visits.entries(self.network.widths[l:]) * size_of_ball(digits)

    def _positions(self, l: int) -> tuple[Positions, Positions]:
        """Where limits at roots in layer ``l`` are compared, and where they are taken."""
        return pair_for(self.degree or 1, searched=not self.has_formula(l))

    @cached_property
    def _balls(self) -> BallNetwork:
        return BallNetwork(self.network, self.plans, self.degree or 1, self.moving_roots)


def _taken(compared: _Compared, graph: bool) -> RootExpansions:
    """The limits, from positions still nearer to the roots where they have not settled."""
    limits = _pooled(compared, graph)
    settled = policy(limits.limit_error.dtype).settled
    unsettled = (limits.limit_error > settled) & limits.limit_error.isfinite()
    index = unsettled.nonzero().squeeze(1)
    if len(index) and compared.is_known:
        # A kink, or a bend, may be nearer to the root than the positions are.
        finer = _pooled(compared.finer(), graph)
        limits = limits.replaced(index, finer.rows(index))
    return limits


def _pooled(compared: _Compared, graph: bool) -> RootExpansions:
    """The limits. Slopes of an anchor that grow without bound may have a sum that does not."""
    unbounded = compared.errors.isinf()
    if unbounded.any():
        compared = compared.pooled(unbounded)
    return compared.expansions(graph)


@dataclass(frozen=True, eq=False)
class _Compared:
    """Two evaluations of the limits at the same N roots: the nearer one is taken as the limit, and
    the difference is its error."""

    near: Evaluation
    nearer: Evaluation

    def finer(self) -> _Compared:
        """Both evaluations at positions that are ``_FINER`` digits nearer to the roots."""
        near, nearer = (
            replace(one, positions=one.positions.finer(_FINER)) for one in (self.near, self.nearer)
        )
        return _Compared(near, nearer)

    def pooled(self, pool: Tensor) -> _Compared:
        """Both evaluations, with what the pairs of the ``pool`` (N,) distribute in equal parts."""
        return _Compared(replace(self.near, pool=pool), replace(self.nearer, pool=pool))

    @property
    def is_known(self) -> bool:
        """Whether the limits are: with too many inside each other no digits tell them apart."""
        return self.near.is_known and self.nearer.is_known

    @cached_property
    def errors(self) -> Tensor:
        """The relative errors of the limits, (N,), infinite for what grows without bound.

        They are no less than 1, all of the limit, where it is not known.
        """
        f = self.nearer.f
        near, nearer = self.near.distributed(f), self.nearer.distributed(f)
        gap, size = (nearer - near).norm(dim=1), nearer.norm(dim=1)
        error = relative(gap, size, f).clamp(min=0 if self.is_known else 1)
        grows = (size > _GROWTH * near.norm(dim=1)) & (size > _LARGE * f)
        return torch.where(grows | error.isnan(), torch.inf, error)

    def expansions(self, graph: bool) -> RootExpansions:
        """The expansions; where a limit is infinite, at a position that is not as near."""
        slope = self._slope(self.nearer, graph)
        index = self.errors.isinf().nonzero().squeeze(1)
        if not len(index):
            return slope
        shown = self._slope(replace(self.nearer, positions=UNBOUNDED), graph)
        return slope.replaced(index, shown.rows(index))

    def _slope(self, evaluation: Evaluation, graph: bool) -> RootExpansions:
        value, slope, *shares = evaluation.tensors(graph)
        if evaluation.pool is not None:
            slope = torch.where(evaluation.pool.unsqueeze(1), torch.inf, slope)
        taken = torch.zeros_like(self.errors, dtype=torch.bool)
        return RootExpansions(value, slope, torch.stack(shares, 1), self.errors, untaken=taken)
