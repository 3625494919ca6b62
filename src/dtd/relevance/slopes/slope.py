"""What a one-sided slope is, and what gives one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

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


class Slope(NamedTuple):
    """Value and one-sided slope of ``h_unit`` at N roots, on the branches of the anchors."""

    value: Tensor
    """(N,), ``h_unit``."""
    slope: Tensor
    """(N, d), ``∇⁺h_unit``."""
    limit: Tensor
    """(N,), whether a one-sided limit was taken, at the root or above it."""


class Slopes(Protocol):
    """What gives the slopes of the relevance functions of a network."""

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> Slope:
        """``∇⁺h`` at roots in layer ``l``.

        Args:
            l: the layer of the anchors and roots; the units are those of layer l + 1.
            pairs: where.
            location: what is known of where the roots lie.
            graph: whether values and slopes keep their graph, to be differentiated in their turn.
        """
