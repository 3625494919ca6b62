"""What a one-sided slope is, and what gives one (theory, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dtd.roots.location import Location


class Pairs(NamedTuple):
    """N pairs of an anchor and the root of one unit, each with the segment between the two."""

    anchors: Tensor
    """(N, d)."""
    roots: Tensor
    """(N, d)."""
    unit: Tensor
    """(N,), units of the layer above."""
    anchor: Tensor
    """(N,), the number of the anchor, the same for all units of one."""

    @property
    def delta(self) -> Tensor:
        """``Δ = a - ã``, (N, d)."""
        return self.anchors - self.roots

    def rows(self, index: Tensor) -> Pairs:
        """Some of the pairs."""
        return Pairs(*(column[index] for column in self))

    def split(self, size: int) -> Iterator[Pairs]:
        """The pairs, at most so many at a time."""
        columns = (column.split(size) for column in self)
        return (Pairs(*part) for part in zip(*columns, strict=True))

    def points(self, epsilon: float | Tensor) -> Tensor:
        """The points (N, d) at the positions epsilon, a number or (N, 1), on the segments.

        0 is the root and 1 the anchor.
        """
        return self.roots + epsilon * (self.anchors - self.roots)


class RootExpansions(NamedTuple):
    """The expansions of ``h_unit`` at N roots, on the branches of the anchors."""

    value: Tensor
    """(N,), ``h_unit``."""
    slope: Tensor
    """(N, d), ``∇⁺h_unit``."""
    shares: Tensor
    """(N, K, d), what each pair gives to the units of the lower layer, by degree."""
    limit_error: Tensor
    """(N,), the relative error of the one-sided limit that was taken, at the root or above it.

    Infinite where there is no finite limit. NaN where no limit was taken.
    """
    untaken: Tensor
    """(N,), whether a limit is needed that was not taken: then the rest means nothing."""

    def rows(self, index: Tensor) -> RootExpansions:
        """Those of some of the pairs."""
        return RootExpansions(*(column[index] for column in self))

    def replaced(self, index: Tensor, others: RootExpansions) -> RootExpansions:
        """These expansions, with ``others`` (n,) at the pairs with the numbers ``index`` (n,)."""
        columns = zip(self, others, strict=True)
        return RootExpansions(*(mine.index_copy(0, index, theirs) for mine, theirs in columns))


def worst(limit_error: Tensor, index: Tensor, size: int) -> Tensor:
    """The largest of the errors (N,) with the same ``index`` (N,), for 0 <= index < size.

    NaN, which means that no limit was taken, counts least.
    """
    least = limit_error.new_full((size,), -1.0)
    known = limit_error.detach().nan_to_num(nan=-1.0, posinf=torch.inf)
    largest = least.scatter_reduce(0, index, known, "amax")
    return torch.where(largest < 0, torch.nan, largest)


def relative(gap: Tensor, size: Tensor, f: Tensor) -> Tensor:
    """The relative error of a limit that is known up to ``gap``, all (N,).

    Relative to the ``size`` of what a pair distributes, or to a thousandth of f if that is more.
    """
    return torch.where(gap == 0, 0, gap / torch.maximum(size, f / 1000))


class Slopes(Protocol):
    """What gives the slopes of the relevance functions of a network."""

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> RootExpansions:
        """``∇⁺h`` at roots in layer ``l``, and what it gives.

        Args:
            l: the layer of the anchors and roots; the units are those of layer l + 1.
            pairs: where.
            location: what is known of where the roots lie.
            graph: whether values and slopes keep their graph, to be differentiated in their turn.
        """
