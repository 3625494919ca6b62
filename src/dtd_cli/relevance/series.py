"""What of the Taylor series of a relevance function is distributed (theory, section 5)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from dtd_cli.networks.mlp import MLP


class Branches(NamedTuple):
    """The functions ``h_unit`` along the segments from N roots to their anchors.

    The one-sided derivatives of all degrees at a root are those at one point, a step of the
    segment away from it or none, with some gates of the next layer held open.
    """

    network: MLP
    """The network without its other outputs."""
    start: int
    """The layer of the roots."""
    unit: Tensor
    """(N,), the unit of layer ``start + 1``."""
    roots: Tensor
    """(N, d), with their graph."""
    delta: Tensor
    """(N, d), ``Δ = a - ã``, with its graph."""
    step: Tensor
    """(N,), the step: 0 where the derivative exists at the root itself."""
    open_gates: Tensor
    """(N, J), true where a unit's ReLU is replaced by the identity."""
    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    """``h`` (M,) from points (M, d), open gates (M, J) and units (M,)."""
    together: int
    """How many points may be differentiated together where no graph is kept."""

    @property
    def affine(self) -> bool:
        """Whether ``h`` is the last layer itself: affine on every branch."""
        return self.start + 1 == self.network.depth

    @property
    def points(self) -> Tensor:
        """Where the derivatives at the roots are taken, (N, d)."""
        return self.roots + self.step.unsqueeze(1) * self.delta


def differentiable(points: Tensor) -> Tensor:
    """The points, or where they have no graph a leaf in their place."""
    return points if points.requires_grad else points.detach().requires_grad_()


class Series(ABC):
    """How much of the series each expansion distributes."""

    @property
    @abstractmethod
    def degree(self) -> int:
        """The highest derivative that is taken at the root."""

    @abstractmethod
    def shares(self, branches: Branches) -> Tensor:
        """What each pair gives to each unit of the lower layer, by degree, (N, K, d).

        Keeps the graph if one is kept.
        """

    @abstractmethod
    def points(self) -> int:
        """At how many points at least ``h`` is differentiated for one root."""
