"""The linear regions that a plane cuts out of a network, as exact convex polygons.

On a polygon where all gates of the layers below are fixed, a pre-activation is affine, so it
splits the polygon along a straight line. Layer by layer this gives the regions, with no grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtd.networks.network import Network

Array = NDArray[np.float64]

_ON_LINE = 1e-12
"""Relative distance below which a vertex counts to a line, so that no sliver is cut off."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The inputs that differ from ``point`` (d,) in the two coordinates ``axes`` only."""

    point: Array
    axes: tuple[int, int]


class Patch(NamedTuple):
    """One linear region in the plane: its vertices (V, 2) in order, and f there."""

    vertices: Array
    f: Array
    """(V,), the explained activation at the vertices."""
    gradient: Array
    """(2,), its derivative along the two axes, constant inside."""


class _Piece(NamedTuple):
    """A convex polygon (V, 2) on which the activations of a layer are ``slope u + offset``."""

    vertices: Array
    slope: Array
    offset: Array


def patches(network: Network, output: int, plane: Plane, window: Array) -> Iterator[Patch]:
    """The regions of the plane inside a window.

    Args:
        network: with all its outputs: the gate of every unit counts.
        output: whose activation is f.
        plane: what is mapped.
        window: ((x low, y low), (x high, y high)), shape (2, 2).
    """
    slope = np.eye(len(plane.point))[:, list(plane.axes)]
    offset = np.array(plane.point, dtype=np.float64)
    offset[list(plane.axes)] = 0
    (left, bottom), (right, top) = window
    corners = np.array([(left, bottom), (right, bottom), (right, top), (left, top)])
    pieces: Iterator[_Piece] = iter([_Piece(corners, slope, offset)])
    for layer in network.affine_layers:
        weight, bias = (np.asarray(t.double().cpu()) for t in (layer.matrix.dense(), layer.bias))
        pieces = _through(weight, bias, layer.relu, pieces)
    for piece in pieces:
        gradient = piece.slope[output]
        yield Patch(piece.vertices, piece.vertices @ gradient + piece.offset[output], gradient)


def _through(weight: Array, bias: Array, relu: bool, pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """The pieces of the layer above, one after the other: nothing is held but the path down."""
    for piece in pieces:
        slope, offset = weight @ piece.slope, weight @ piece.offset + bias
        if not relu:
            yield _Piece(piece.vertices, slope, offset)
            continue
        for polygon in _subdivided(piece.vertices, slope, offset):
            gate = polygon.mean(0) @ slope.T + offset > 0
            yield _Piece(polygon, gate[:, None] * slope, gate * offset)


def _subdivided(vertices: Array, slope: Array, offset: Array) -> list[Array]:
    """The polygon cut along every line ``slope[k] u + offset[k] = 0``."""
    polygons = [vertices]
    z = vertices @ slope.T + offset
    for k in np.flatnonzero((z.min(0) < 0) & (z.max(0) > 0)):
        polygons = [part for whole in polygons for part in _cut(whole, slope[k], offset[k])]
    return polygons


def _cut(vertices: Array, slope: Array, offset: float) -> list[Array]:
    """The one or two parts of a convex polygon on the sides of a line."""
    z = vertices @ slope + offset
    z[np.abs(z) <= _ON_LINE * (np.abs(vertices).max(0) @ np.abs(slope) + abs(offset))] = 0
    if (z >= 0).all() or (z <= 0).all():
        return [vertices]
    after = np.roll(z, -1)
    crosses = z * after < 0
    t = np.divide(z, z - after, out=np.zeros_like(z), where=crosses)
    crossings = vertices + t[:, None] * (np.roll(vertices, -1, 0) - vertices)
    outline = np.stack([vertices, crossings], 1).reshape(-1, 2)
    return [outline[np.stack([side * z >= 0, crosses], 1).ravel()] for side in (1, -1)]
