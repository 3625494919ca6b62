"""Forward passes or automatic differentiation: the choice is made here, at every call.

Forward passes may still hand single pairs to automatic differentiation, where a limit is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dtd.relevance.expansion import Relevance
from dtd.relevance.slopes.automatic import AutomaticSlopes
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs, Slope
from dtd.roots.location import Location, OnKink


@dataclass(frozen=True, eq=False)
class ChosenSlopes:
    """Slopes by forward passes where they can, and by automatic differentiation elsewhere.

    ``forward`` is None with a series, with constant roots, or where forward passes are not wanted.
    """

    automatic: AutomaticSlopes
    forward: ForwardSlopes | None

    def at(self, l: int, pairs: Pairs, location: Location, graph: bool) -> Slope:
        """``∇⁺h`` at roots in layer ``l``; see :class:`~dtd.relevance.slopes.slope.Slopes`."""
        if location == OnKink() and self.forward is not None and self._covers(l + 1, graph):
            return self.forward.at(l, pairs, location, graph)
        return self.automatic.at(l, pairs, location, graph)

    def relevance_by_forward_passes(self, l: int, a: Tensor, graph: bool) -> Relevance | None:
        """``R_l`` at the anchors ``a`` (N, d), without making a slope.

        None where that cannot be: where the relevance of layer ``l`` is not made of factors.
        """
        if self.forward is not None and self._covers(l, graph):
            return self.forward.relevance(l, a)
        return None

    def _covers(self, l: int, graph: bool) -> bool:
        """Forward passes keep no graph."""
        return not graph and self.forward is not None and self.forward.covers(l)
