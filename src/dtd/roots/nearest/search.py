"""The nearest zero over all regions: bound the ball, solve, polish, and say what is proven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
import torch

from dtd.numerics.policy import policy
from dtd.progress import Track, untracked
from dtd.roots.contract import Outcome
from dtd.roots.nearest.bounds import bounds
from dtd.roots.nearest.model import built
from dtd.roots.nearest.polish import nearest_in_region
from dtd.roots.nearest.rays import zero_on_a_ray
from dtd.roots.nearest.solver import integer_minimum
from dtd.roots.nearest.target import Target, Vector

_RADII = (1.0, 16.0, 256.0)
"""Balls that are searched where the box is open and no zero is known, relative to the input."""
_ROOM = 1e-6
"""A known zero is kept inside the ball, relative to its radius."""
_PART = 1e-2
"""The solver is asked for so much of the gap; the rest is for its tolerances."""
_UNITS = 1e3
"""The solver sees distances as such parts of the radius, beside which its absolute gap of 1e-6
does not matter."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The nearest zero that is known, None if none is, and that no zero is nearer than ``bound``.

    Without a zero ``objective`` is infinite, and so is ``bound`` where the box is proven to hold
    none.
    """

    outcome: Outcome
    point: Vector | None
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """How much nearer a zero may be, relative to the known one; NaN without one."""
        if self.point is None:
            return np.nan
        return 0.0 if self.bound >= self.objective else 1 - self.bound / self.objective


def nearest_zero(target: Target, gap: float, time_limit: float, track: Track = untracked) -> Answer:
    """The nearest point of the box with ``z <= 0``, to the relative ``gap``, in so many seconds.

    Where a zero is known, the nearest is in the ball that reaches to it; otherwise the ball is
    the box, or, where the box is open, one of growing radius.
    """
    deadline = monotonic() + time_limit
    known = _known(target)
    if known is not None:
        radius = float(target.distance(known[None])[0])
        answer = _within(target, radius * (1 + _ROOM), gap, deadline, track)
        if answer.outcome is Outcome.INFEASIBLE:
            # Not so, for the ball holds the known zero: the solver's tolerances failed it.
            answer = Answer(Outcome.FAILED, None, np.inf, 0.0)
        return _nearer(target, answer, known)
    farthest = target.farthest()
    if farthest == 0:
        return Answer(Outcome.INFEASIBLE, None, np.inf, np.inf)
    if np.isfinite(farthest):
        answer = _within(target, farthest * (1 + _ROOM), gap, deadline, track)
        proven = answer.outcome is Outcome.INFEASIBLE
        return replace(answer, bound=np.inf) if proven else answer
    scale = max(float(np.abs(target.x).max()), 1.0)
    for radius in _RADII:
        answer = _within(target, radius * scale, gap, deadline, track)
        if answer.outcome is not Outcome.INFEASIBLE:
            break
    return answer


def _known(target: Target) -> Vector | None:
    """A zero on a ray, or the nearest in its region."""
    known = zero_on_a_ray(target)
    if known is None:
        return None
    nearer = nearest_in_region(target, target.pattern(known))
    return known if nearer is None or not _is_zero(target, nearer) else nearer


def _within(target: Target, radius: float, gap: float, deadline: float, track: Track) -> Answer:
    """The answer for the ball of the radius."""
    model = built(target, radius, bounds(target, radius, deadline, track))
    minimum = integer_minimum(
        model, _UNITS / radius * model.cost, _PART * gap, max(0.0, deadline - monotonic())
    )
    if minimum.outcome is Outcome.INFEASIBLE:
        return Answer(minimum.outcome, None, np.inf, radius)
    nothing = Answer(minimum.outcome, None, np.inf, max(0.0, minimum.bound * radius / _UNITS))
    if minimum.point is None:
        return nothing
    pattern = [minimum.point[gates] > 1 / 2 for gates in model.gates]
    return _nearer(target, nothing, nearest_in_region(target, pattern))


def _nearer(target: Target, answer: Answer, point: Vector | None) -> Answer:
    """The answer with the point, if that is a zero and nearer than the answer's own."""
    if point is None or not _is_zero(target, point):
        return answer
    distance = float(target.distance(point[None])[0])
    if distance >= answer.objective:
        return answer
    return replace(answer, point=point, objective=distance)


def _is_zero(target: Target, point: Vector) -> bool:
    here, there = target.value(np.stack([target.x, point]))
    return bool(there <= policy(torch.float64).residual * here)
