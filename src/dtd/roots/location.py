"""What is known of where roots lie (theory, section 2.3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class Location(ABC):
    """What is known of where roots lie: it decides how the one-sided derivative is taken there."""

    @abstractmethod
    def ties(self, measured: Tensor, own: Tensor) -> Tensor:
        """The units that are on their kinks at the roots, (N, J).

        Args:
            measured: (N, J), which units are ties by their pre-activations.
            own: (N, J), true for the unit whose root it is.
        """

    @abstractmethod
    def needs_limit(self, own_tie: Tensor) -> Tensor:
        """Whether a limit has to be taken there even without other ties, (N,).

        ``own_tie`` (N,) says whether the root's own unit is a tie.
        """


@dataclass(frozen=True)
class OnKink(Location):
    """On ``z_j = 0`` by construction: the root's own unit is a tie, whatever rounding says."""

    def ties(self, measured: Tensor, own: Tensor) -> Tensor:
        return measured | own

    def needs_limit(self, own_tie: Tensor) -> Tensor:
        return torch.zeros_like(own_tie)


@dataclass(frozen=True)
class Anywhere(Location):
    """At a point chosen without looking for a zero, or inside the linear region of the anchor."""

    def ties(self, measured: Tensor, own: Tensor) -> Tensor:
        return measured

    def needs_limit(self, own_tie: Tensor) -> Tensor:
        return torch.zeros_like(own_tie)


@dataclass(frozen=True)
class OnBoundary(Location):
    """Where a search saw the relevance vanish: on any kink, also one of a nested root."""

    def ties(self, measured: Tensor, own: Tensor) -> Tensor:
        return measured

    def needs_limit(self, own_tie: Tensor) -> Tensor:
        return ~own_tie
