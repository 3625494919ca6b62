"""Some zero of the network, found along rays: it bounds how far the nearest one can be."""

from __future__ import annotations

import numpy as np

from dtd.roots.nearest.target import Matrix, Target, Vector

_STEPS = 2.0 ** np.arange(-20, 20.5, 0.5)
_BISECTIONS = 60


def rays_tried(size: int) -> int:
    """At how many points :func:`zero_on_a_ray` evaluates the network, for ``size`` inputs."""
    return (3 * size + 2) * (len(_STEPS) + _BISECTIONS)


def zero_on_a_ray(target: Target) -> Vector | None:
    """The nearest of the zeros seen on rays from x, (d,); None where no ray meets one.

    Each ray is clipped to the box and tried at geometric distances; its first point with
    ``z <= 0`` is moved towards x by bisection.
    """
    x = target.x
    scale = max(float(np.abs(x).max()), 1.0)
    directions = _directions(target)
    points = x + scale * _STEPS[:, None, None] * directions
    points = points.clip(target.low, target.high)
    below = target.value(points.reshape(-1, len(x))).reshape(points.shape[:2]) <= 0
    meets = below.any(0)
    if not meets.any():
        return None
    far = points[below.argmax(0), np.arange(len(directions))][meets]
    # Along the way from x, where z > 0, to the point with z <= 0.
    low, high = np.zeros((len(far), 1)), np.ones((len(far), 1))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        zero = target.value(x + middle * (far - x))[:, None] <= 0
        low, high = np.where(zero, low, middle), np.where(zero, middle, high)
    zeros = x + high * (far - x)
    return np.asarray(zeros[target.distance(zeros).argmin()])


def _directions(target: Target) -> Matrix:
    """Down the gradient, its k steepest coordinates alike for every k, to the origin, and both
    ways along every axis, (3 d + 2, d)."""
    x = target.x
    slope = np.ones(1)
    pattern = [*target.pattern(x), np.array([True])]
    for (weight, _), gate in zip(target.layers[::-1], pattern[::-1], strict=True):
        slope = (slope * gate) @ weight
    rank = np.abs(slope).argsort()[::-1].argsort()
    steepest = np.where(rank <= np.arange(len(x))[:, None], -np.sign(slope), 0)
    return np.vstack([_unit(-slope), steepest, _unit(-x), np.eye(len(x)), -np.eye(len(x))])


def _unit(direction: Vector) -> Vector:
    """With 1 as the largest coordinate, where there is one."""
    size = np.abs(direction).max()
    return np.asarray(direction / size if size > 0 else direction)
