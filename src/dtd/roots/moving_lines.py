"""The lines on which roots were searched, and along which they move with their anchors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Curve = Callable[[Tensor, Tensor], Tensor]
"""``(anchors (N, d), positions (N,)) -> points (N, d)``, differentiable in both."""


@dataclass(frozen=True, eq=False)
class MovingLine(ABC):
    """Where roots were looked for: a line of points for each unit, which moves with its anchor.

    ``positions`` (B, J) are the places of the roots on it.
    """

    positions: Tensor

    @abstractmethod
    def curve(self, anchor: Tensor, unit: Tensor) -> Curve:
        """The lines of the pairs (anchor, unit), both (N,) indices into B anchors and J units."""


@dataclass(frozen=True, eq=False)
class MovingSegments(MovingLine):
    """The segments ``c + s (a - c)``, 0 <= s <= 1.

    ``far_ends`` c (B, J, d) are held fixed when the anchor moves; ``positions`` (B, J) are the s
    of the roots.
    """

    far_ends: Tensor

    def curve(self, anchor: Tensor, unit: Tensor) -> Curve:
        far = self.far_ends[anchor, unit]
        return lambda anchors, s: far + s.unsqueeze(1) * (anchors - far)


@dataclass(frozen=True, eq=False)
class MovingRay(MovingLine):
    """The rays ``a - t v_j(a)``, t > 0, whose direction moves with the anchor.

    ``direction`` gives ``v_unit(a)`` for anchors (N, d) and units (N,).
    """

    direction: Callable[[Tensor, Tensor], Tensor]

    def curve(self, anchor: Tensor, unit: Tensor) -> Curve:
        return lambda anchors, t: anchors - t.unsqueeze(1) * self.direction(anchors, unit)
