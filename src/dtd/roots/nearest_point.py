"""The nearest point of a polytope, and its proof by duality.

The polytope is ``{u : low <= (u, rows u) <= high}``: bounds on every coordinate, then on every
row. Weights y of its bounds, positive for low and negative for high ones, say of each of its
points u that ``(Σ y_m n_m) u >= Σ y_m c_m``, and so that its norm is at least

    ``Σ y_m c_m / ‖Σ y_m n_m‖``       (dual norm; n_m the normals, c_m the bounds)

For the best weights this is the norm of the nearest point, in every norm. Where ``Σ y_m n_m = 0``
and ``Σ y_m c_m > 0`` there is no point at all (Farkas).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import daqp
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A norm, and how a quadratic solver can minimise it.

    ``heights(d)`` (d, n) adds n variables v >= 0 with ``|u| <= heights v`` whose sum is the norm
    of u (d,); none for the Euclidean norm, which the solver minimises by itself.
    """

    order: float
    dual: float
    """The order of the dual norm."""
    heights: Callable[[int], Array]
    weights: tuple[float, ...]
    """Of the norm, beside half the squared Euclidean norm: what is tried until one is proven."""

    def norm(self, u: Array) -> float:
        """``‖u‖``."""
        return float(np.linalg.norm(u, self.order))

    def dual_norm(self, normal: Array) -> float:
        """The largest ``normal u`` for ``‖u‖ <= 1``."""
        return float(np.linalg.norm(normal, self.dual))


# Heavy enough, the norm decides alone, and the square between equal norms only; too heavy, it
# drowns the bounds in rounding.
_LINEAR = (1e3, 1e5, 1e1)
_SQUARE = (0.0,)

LINEAR_METRICS = {
    "l1": Metric(1, np.inf, np.eye, _LINEAR),
    "linf": Metric(np.inf, 1, lambda size: np.ones((size, 1)), _LINEAR),
}
METRICS = {"l2": Metric(2, 2, lambda size: np.empty((size, 0)), _SQUARE), **LINEAR_METRICS}


class Nearest(NamedTuple):
    """The nearest point (d,), None where none was found; and whether that is proven."""

    point: Array | None
    proven: bool


def nearest_point(
    rows: Array, low: Array, high: Array, metric: Metric, time_limit: float
) -> Nearest:
    """The point of the polytope that is nearest to the origin.

    Args:
        rows: (M, d), of length 1 or 0.
        low: (d + M,), -inf where open; the scale of the bounds is that of the nearest point.
        high: (d + M,), inf where open.
        metric: what near means. Of equally near points one with a small Euclidean norm is taken.
        time_limit: seconds, more than which is not begun.
    """
    deadline = time.perf_counter() + time_limit
    normals = np.concatenate([np.eye(rows.shape[1]), rows])
    nearest = Nearest(None, proven=False)
    for weight in metric.weights:
        solved = _shortest(rows, low, high, metric, weight, deadline)
        if solved is None:
            if _is_empty(normals, low, high, deadline):
                return Nearest(None, proven=True)
            continue
        bound = _lower_bound(normals, low, high, metric, solved.weights)
        nearest = Nearest(solved.point, bound >= (1 - _GAP) * metric.norm(solved.point))
        if nearest.proven:
            break
    return nearest


_GAP = 1e-9
"""A point is proven where the lower bound on its norm is no smaller, relative to the norm."""
_FARKAS = 1e-11
"""A sum of weighted normals, or bounds, is zero below this part of the sum of their sizes."""
_ROUNDS = 20
_SETTLED = 1e-12
_PRIMAL_TOLERANCE = 1e-9
_CORRECTIONS = 4


class _Solution(NamedTuple):
    point: Array
    weights: Array
    """Of the bounds: positive for low ones, negative for high ones, which the point is on."""


def _shortest(
    rows: Array, low: Array, high: Array, metric: Metric, weight: float, deadline: float
) -> _Solution | None:
    """The nearest point (d,) and the weights of the bounds (d + M,) that prove it.

    A norm that is not quadratic is minimised by the proximal point method, which ends at an
    exact solution with its weights: after two rounds where ``weight`` is large enough for the
    first to end at the shortest of the nearest points.

    Source: Mangasarian, Meyer, Nonlinear perturbation of linear programs, 1979; Rockafellar,
    Monotone operators and the proximal point algorithm, 1976.
    """
    size = rows.shape[1]
    heights = metric.heights(size)
    extra = heights.shape[1]
    cost = np.concatenate([np.zeros(size), np.full(extra, weight)])
    if extra:
        above = np.block([[np.eye(size), heights], [-np.eye(size), heights]])
        rows = np.concatenate([np.pad(rows, ((0, 0), (0, extra))), above])
    bounds = (
        np.pad(low, (0, size + len(rows) - len(low))),
        np.pad(high, (0, size + len(rows) - len(high)), constant_values=np.inf),
    )
    point = np.zeros_like(cost)
    for _ in range(_ROUNDS):
        solved = _minimise(cost - point, rows, *bounds, deadline)
        if solved is None:
            return None
        before, (point, weights) = point, solved
        if not extra or np.abs(point - before).max() <= _SETTLED * np.abs(point).max():
            break
    normals = np.concatenate([np.eye(size, size + extra), rows])
    point = _on_planes(normals, *bounds, point, weights)
    return _Solution(point[:size], weights[: len(low)])


def _lower_bound(normals: Array, low: Array, high: Array, metric: Metric, weights: Array) -> float:
    """What the weights prove of the norm of every point of the polytope."""
    bounds = np.where(weights > 0, low, np.where(weights < 0, high, 0))
    return float(weights @ bounds / metric.dual_norm(weights @ normals))


def _is_empty(normals: Array, low: Array, high: Array, deadline: float) -> bool:
    """Whether weights of the bounds prove that the polytope has no point.

    The weights are those of the projection of (0, 1) onto the cone ``{(u, t) : n_m u >= c_m t}``.
    It has no point with t > 0 if the polytope is empty; the projection then is the origin.
    """
    below, above = np.isfinite(low), np.isfinite(high)
    normals = np.concatenate([normals[below], -normals[above]])
    bounds = np.concatenate([low[below], -high[above]])
    cone = np.column_stack([normals, -bounds])
    towards = np.zeros(cone.shape[1])
    towards[-1] = 1
    solved = _minimise(-towards, cone, np.zeros(len(cone)), np.full(len(cone), np.inf), deadline)
    if solved is None:
        return False
    weights = solved.weights.clip(min=0)
    no_normal = np.abs(weights @ normals) <= _FARKAS * (weights @ np.abs(normals))
    return bool(no_normal.all() and weights @ bounds > _FARKAS * (weights @ np.abs(bounds)))


def _on_planes(normals: Array, low: Array, high: Array, point: Array, weights: Array) -> Array:
    """The point without the tolerances of the solver.

    It is moved onto the planes of the bounds that have a weight, to the last digits; planes that
    it is beyond then join them.
    """
    held_below, held_above = weights > 0, weights < 0
    for _ in range(_CORRECTIONS):
        held = held_below | held_above
        planes, bounds = normals[held], np.where(held_below, low, high)[held]
        inverse = np.linalg.pinv(planes)
        for _ in range(2):
            point = point + inverse @ (bounds - planes @ point)
        value = normals @ point
        slack = 8 * np.finfo(np.float64).eps * np.abs(normals) @ np.abs(point)
        outside_below, outside_above = value < low - slack, value > high + slack
        if not ((outside_below | outside_above) & ~held).any():
            break
        held_below, held_above = held_below | outside_below, held_above | outside_above
    return point


def _minimise(
    linear: Array, rows: Array, low: Array, high: Array, deadline: float
) -> _Solution | None:
    """The minimum of ``|x|² / 2 + linear x`` on a polytope, or None: empty, or no answer in time.

    By the dual active set method of DAQP (Arnström, Bemporad, Axehill, A dual active-set solver
    for embedded quadratic programming using recursive LDLᵀ updates, 2022).
    """
    seconds = deadline - time.perf_counter()
    if seconds <= 0:
        return None
    point, _, status, info = daqp.solve(
        np.eye(len(linear)), linear, rows, high, low,
        primal_tol=_PRIMAL_TOLERANCE, time_limit=seconds,
    )  # fmt: skip
    return _Solution(point, -info["lam"]) if status == 1 else None
