"""Forward passes or automatic differentiation: the choice is made here, at every call.

Forward passes are those of theory, section 3.3. They may still hand single pairs to automatic
differentiation, where a limit is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dtd.relevance.expansion import Relevance
from dtd.relevance.series.series import Series
from dtd.relevance.slopes.automatic import AutomaticSlopes
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs, RootExpansions, Slopes
from dtd.roots.location import Location, OnKink


def by_forward_passes(series: Series | None, moving_roots: bool, wanted: bool) -> bool:
    """Whether forward passes have what is asked for, if they are ``wanted``.

    They have linear terms, at roots that move with their anchors.
    """
    return wanted and series is None and moving_roots


@dataclass(frozen=True, eq=False)
class ChosenSlopes:
    """Slopes by forward passes where they can, and by automatic differentiation elsewhere."""

    automatic: AutomaticSlopes
    forward: ForwardSlopes | None
    """None where no layer can be decomposed so, or it is not wanted."""

    @classmethod
    def of(cls, automatic: AutomaticSlopes, forward_passes: bool) -> ChosenSlopes:
        """With forward passes, if they are wanted and have what is asked for."""
        moving_roots = automatic.limits.moving_roots
        possible = by_forward_passes(automatic.series, moving_roots, forward_passes)
        return cls(automatic, ForwardSlopes.of(automatic) if possible else None)

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> RootExpansions:
        """``∇⁺h`` at roots in layer ``l``; see :class:`Slopes`."""
        forward = self._forward(l + 1, graph)
        slopes: Slopes = self.automatic if forward is None or location != OnKink() else forward
        return slopes.at(l, pairs, location, graph)

    def relevance_by_forward_passes(self, l: int, a: Tensor, graph: bool) -> Relevance | None:
        """``R_l`` at the anchors ``a`` (N, d), without making a slope.

        None where that cannot be.
        """
        forward = self._forward(l, graph)
        return None if forward is None else forward.relevance(l, a)

    def _forward(self, l: int, graph: bool) -> ForwardSlopes | None:
        """Forward passes, where ``R_l`` is made of factors and no graph is kept."""
        covered = not graph and self.forward is not None and self.forward.covers(l)
        return self.forward if covered else None
