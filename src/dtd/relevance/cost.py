"""What the exact recursion will cost, told before it starts."""

from __future__ import annotations

from dtd.relevance.plan import Plan
from dtd.relevance.series.series import Series


def points_visited(
    widths: tuple[int, ...], plans: tuple[Plan, ...], series: Series | None = None
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
    for layer in reversed(range(len(plans))):
        units = widths[layer + 1] if layer + 1 < len(plans) else 1
        points = units * per_root + plans[layer].finder.evaluations(units)
        below_one_anchor = points * (1 + below_one_anchor)
        total += below_one_anchor
    return total
