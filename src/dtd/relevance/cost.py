"""What the exact recursion will cost, told before it starts."""

from __future__ import annotations

from dtd.relevance.series.series import Series
from dtd.relevance.step import Step


def points_visited(
    widths: tuple[int, ...], steps: tuple[Step, ...], series: Series | None = None
) -> int:
    """Points at which relevance functions are evaluated for one sample, in all layers.

    One root for every unit of the layer above (the explained output alone counts in the last),
    and those of its search, each with all the points of the layers above it: an upper bound,
    since units that are inactive have no root. A series visits more points for each root, the
    integral at least so many: more where it meets kinks.
    """
    per_root = 1 if series is None else series.points()
    below_one_anchor = 0
    total = 0
    for layer in reversed(range(len(steps))):
        units = widths[layer + 1] if layer + 1 < len(steps) else 1
        points = units * per_root + steps[layer].finder.evaluations(units)
        below_one_anchor = points * (1 + below_one_anchor)
        total += below_one_anchor
    return total
