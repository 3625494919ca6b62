"""What of the Taylor series of a relevance function is distributed (theory, section 5.3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from dtd.networks.network import Network
from dtd.progress import Track, untracked


class Gradients(NamedTuple):
    """Gradients at S positions of M segments, as sums of vectors times numbers."""

    vectors: Tensor
    """(M, K, d)."""
    numbers: Tensor | None = None
    """(M, S, K); None where the vectors are the gradients."""

    def summed(self, weights: Tensor) -> Tensor:
        """Their sum with weights (S,), (M, d)."""
        if self.numbers is None:
            return weights @ self.vectors
        return ((weights @ self.numbers).unsqueeze(1) @ self.vectors).squeeze(1)

    def all(self) -> Tensor:
        """(M, S, d)."""
        return self.vectors if self.numbers is None else self.numbers @ self.vectors


class Segments(NamedTuple):
    """The functions ``h_unit`` along the segments from N roots to their anchors.

    Derivatives of all degrees are taken at the same ``points``: at the roots, or beside them.
    """

    network: Network
    """The network without its other outputs."""
    start: int
    """The layer of the roots."""
    unit: Tensor
    """(N,), the unit of layer ``start + 1``."""
    roots: Tensor
    """(N, d), with their graph."""
    delta: Tensor
    """(N, d), ``Δ = a - ã``, with its graph."""
    points: Tensor
    """(N, d), where derivatives are taken."""
    open_gates: Tensor
    """(N, J), true where a unit's ReLU is replaced by the identity at the points."""
    function: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    """``h`` (M,) and the errors (M,) of the limits above, from points (M, d), open gates (M, J) and
    units (M,)."""
    together: int
    """How many points may be differentiated together where no graph is kept."""
    formula: Callable[[Tensor, Tensor, Tensor, Tensor], Gradients] | None = None
    """``∇h`` on segments without kinks: from both ends, (M, d), positions (S,) and units (M,). None
    where there is no formula."""
    track: Track = untracked
    """Shows how far the work is."""

    @property
    def affine(self) -> bool:
        """Whether ``h`` is the last layer itself: affine on every branch."""
        return self.start + 1 == self.network.depth

    def value_at(self, points: Tensor) -> Tensor:
        """``h_unit`` (N,) at the points."""
        return self.function(points, self.open_gates, self.unit)[0]


class Shares(NamedTuple):
    """What N pairs give to the units of the lower layer."""

    shares: Tensor
    """(N, K, d), by degree."""
    limit_error: Tensor
    """(N,), the relative error of what was not computed at the points of the segments, as of an
    integral that did not converge; NaN without one."""


class Series(ABC):
    """How much of the series each expansion distributes."""

    @property
    @abstractmethod
    def degree(self) -> int | None:
        """How many terms of the series are distributed; None where they are not told apart."""

    @abstractmethod
    def shares(self, segments: Segments, graph: bool) -> Shares:
        """What each pair gives to each unit of the lower layer."""

    @abstractmethod
    def points(self) -> int:
        """At how many points at least ``h`` is differentiated for one root."""

    @abstractmethod
    def cost(self) -> int:
        """How many points without a series cost as much as one root, above the last layer."""


GROWTH = 4
"""By how much a further derivative enlarges the graph of a relevance function, measured with z+.

The graph is what takes time. Rules with roots that move linearly, such as w2, stay below.
"""
