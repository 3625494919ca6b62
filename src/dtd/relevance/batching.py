"""How many points the recursion holds together (theory, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dtd.relevance.series.series import Series


@dataclass(frozen=True, eq=False)
class Batching:
    """The sizes of chunks, so that at most ``max_points`` root points are held together.

    ``widths`` are the units per layer, from the input to the output, of which one counts, and
    ``evaluations`` the points that the search of each layer looks at for one anchor. A chunk is
    never empty: where the tree of one root's nested roots is larger, it is held whole.
    """

    widths: Sequence[int]
    evaluations: Sequence[int]
    max_points: int
    series: Series | None = None

    @property
    def points_per_root(self) -> int:
        """At how many points, at least, the relevance function of one root is differentiated."""
        return 1 if self.series is None else self.series.points()

    def tree_size(self, l: int) -> int:
        """Root points below one anchor of layer ``l``: its units' roots, theirs, and so on."""
        if l == len(self.evaluations):
            return 0
        return self.widths[l + 1] * (1 + self.points_per_root * self.tree_size(l + 1))

    def points(self, l: int) -> int:
        """How many points of layer ``l`` are differentiated together."""
        return max(1, self.max_points // (1 + self.tree_size(l + 1)))

    def anchors(self, l: int) -> int:
        """How many anchors of layer ``l`` are decomposed together."""
        return max(1, self.max_points // max(self.evaluations[l], self.tree_size(l)))
