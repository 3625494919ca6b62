"""From the solver's tolerances to double precision: the nearest zero inside one linear region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dtd.networks.network import Network
from dtd.regions.region import Regions
from dtd.roots.nearest.model import ball
from dtd.roots.nearest.target import Matrix, Pattern, Target, Vector

_ACTIVE = 1e-7
"""Constraints that hold with equality up to this, relative to their terms: the solver's
tolerance."""
_ROUNDS = 3


def nearest_in_region(target: Target, pattern: Pattern, radius: float) -> Vector | None:
    """The nearest point with ``z <= 0`` in the closed region of a pattern of hidden gates.

    A linear program, whose answer is then put onto the hyperplanes on which it lies up to the
    solver's tolerance. None where the region holds no such point within the radius.
    """
    normals, offsets = _rows(target, pattern)
    size = len(target.x)
    model = ball(target, radius).with_rows(
        -offsets, np.full(len(offsets), np.inf), (slice(0, size), normals)
    )
    answer = model.minimum(model.cost)
    if answer.status != 0:
        return None
    return _settled(target, normals, offsets, np.asarray(answer.x[:size]))


def _rows(target: Target, pattern: Pattern) -> tuple[Matrix, Vector]:
    """The region and ``z <= 0`` as ``normals y + offsets >= 0``."""
    # The output's gate is closed where z <= 0, whether it has a ReLU or not.
    *hidden, last = target.network.to(torch.float64).layers
    network = Network((*hidden, replace(last, relu=True)))
    regions = Regions(network, 0, network.depth, torch.zeros(1, dtype=torch.long))
    closed = [torch.from_numpy(gate)[None] for gate in [*pattern, np.array([False])]]
    region = regions.polytope_of(closed, torch.from_numpy(target.x)[None])
    return region.normals[0].numpy(), region.offsets[0].numpy()


def _settled(target: Target, normals: Matrix, offsets: Vector, point: Vector) -> Vector:
    """The point moved onto the hyperplanes of its active rows by the shortest step.

    Coordinates that the program left at x or at an end of the box are there exactly, and stay;
    those that are farthest from x in linf stay equally far.
    """
    scale = _ACTIVE * max(np.abs(target.x).max(), np.abs(point - target.x).max())
    for end in (target.low, target.high, target.x):
        point = np.where(np.abs(point - end) <= scale, end, point)
    free = (point != target.x) & (point != target.low) & (point != target.high)
    freedom = np.eye(len(point))[:, free]
    if target.metric == "linf":
        moved = point - target.x
        radius = np.abs(moved).max()
        tied = free & (np.abs(moved) >= radius - scale)
        together = np.where(tied, np.sign(moved), 0)[:, None]
        point = np.where(tied, target.x + radius * together[:, 0], point)
        freedom = np.hstack([np.eye(len(point))[:, free & ~tied], together])
    size = np.abs(normals) @ np.abs(target.x) + np.abs(offsets)
    active = np.abs(normals @ point + offsets) <= _ACTIVE * size
    for _ in range(_ROUNDS):
        gap = normals[active] @ point + offsets[active]
        step = np.linalg.lstsq(normals[active] @ freedom, -gap, rcond=None)[0]
        point = point + freedom @ step
    return np.asarray(point)
