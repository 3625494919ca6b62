"""From the solver's tolerances to double precision: the nearest zero inside one linear region."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from dtd.networks.network import Network
from dtd.regions.region import Regions
from dtd.roots.nearest.target import Matrix, Pattern, Target, Vector
from dtd.roots.nearest_point import nearest_point


def nearest_in_region(target: Target, pattern: Pattern) -> Vector | None:
    """The nearest point with ``z <= 0`` in the closed region of a pattern of hidden gates.

    None where there is none, or none is found. The solver works in units of the largest distance
    of x from a plane that it is beyond, so that its tolerances are relative.
    """
    normals, values = _rows(target, pattern)
    # In two steps, so that no square leaves the range.
    largest = np.abs(normals).max(1, keepdims=True)
    scaled = normals / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(scaled, axis=1)
    unit = np.where(length > 0, length, 1)
    rows, lower = scaled / unit[:, None], -values / np.where(largest > 0, largest, 1)[:, 0] / unit
    low, high = target.low - target.x, target.high - target.x
    scale = lower.max()
    if scale <= 0:
        return target.x
    nearest = nearest_point(
        rows,
        np.concatenate([low, lower]) / scale,
        np.concatenate([high, np.full(len(rows), np.inf)]) / scale,
        target.metric,
        math.inf,
    )
    if nearest.point is None:
        return None
    point = target.x + scale * nearest.point
    return np.asarray(point.clip(target.low, target.high))


def _rows(target: Target, pattern: Pattern) -> tuple[Matrix, Vector]:
    """The region and ``z <= 0`` as ``normals (y - x) + values >= 0``."""
    # The output's gate is closed where z <= 0, whether it has a ReLU or not.
    *hidden, last = target.network.to(torch.float64).affine_layers
    network = Network((*hidden, replace(last, relu=True)))
    regions = Regions(network, 0, network.depth, torch.zeros(1, dtype=torch.long))
    closed = [torch.from_numpy(gate)[None] for gate in [*pattern, np.array([False])]]
    x = torch.from_numpy(target.x)
    region = regions.polytope_of(closed, x[None])
    values = region.normals[0] @ x + region.offsets[0]
    return region.normals[0].numpy(), values.numpy()
