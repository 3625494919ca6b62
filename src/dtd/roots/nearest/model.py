"""The mixed-integer model of a ReLU network.

Source: V. Tjeng, K. Xiao, R. Tedrake, *Evaluating robustness of neural networks with mixed
integer programming*, ICLR 2019 (ReLU as constraints).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dtd.roots.nearest.target import Matrix, Target, Vector

Bound = Vector | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds on the pre-activations of one hidden layer, each (units,)."""

    low: Vector
    high: Vector

    @property
    def unstable(self) -> Vector:
        """The units that may be open or closed."""
        return np.asarray(((self.low < 0) & (self.high > 0)).nonzero()[0])


@dataclass(frozen=True, eq=False)
class Model:
    """``rows v`` between ``row_low`` and ``row_high``, v between ``low`` and ``high``.

    The first variables are the point; then come the distance (one variable for each coordinate
    in l1, a single one in linf), and layer by layer the activations and the gates, which are
    whole numbers where ``integer`` is 1. ``top`` are the activations of the highest layer.
    """

    low: Vector
    high: Vector
    integer: Vector
    rows: Matrix
    row_low: Vector
    row_high: Vector
    cost: Vector
    """1 for the variables whose sum is the distance."""
    top: slice
    gates: tuple[slice, ...] = ()
    """The gates of each layer."""

    def with_variables(self, low: Bound, high: Bound, integer: int) -> Model:
        """Further variables, which are the highest activations unless they are integers."""
        size = len(self.low)
        return replace(
            self,
            low=np.append(self.low, low),
            high=np.append(self.high, high),
            integer=np.append(self.integer, np.full(len(low), integer)),
            rows=np.pad(self.rows, ((0, 0), (0, len(low)))),
            cost=np.pad(self.cost, (0, len(low))),
            top=self.top if integer else slice(size, size + len(low)),
        )

    def with_rows(self, low: Vector, high: Vector, *blocks: tuple[slice, Matrix]) -> Model:
        """Further rows between ``low`` and ``high``, given by their blocks of columns."""
        rows = np.zeros((len(low), len(self.low)))
        for columns, block in blocks:
            rows[:, columns] = block
        return replace(
            self,
            rows=np.vstack([self.rows, rows]),
            row_low=np.append(self.row_low, low),
            row_high=np.append(self.row_high, high),
        )

    def with_layer(self, weight: Matrix, bias: Vector, interval: Interval) -> Model:
        """A further hidden layer, ``a = max(0, z)`` for ``low <= z <= high``: with the gate g,
        ``a >= z``, ``a <= z - low (1 - g)`` and ``a <= high g``."""
        low, high = np.minimum(interval.low, 0), np.maximum(interval.high, 0)
        units = len(bias)
        below = self.top
        model = self.with_variables(np.maximum(interval.low, 0), high, integer=0)
        a = model.top
        model = model.with_variables(interval.low >= 0, interval.high > 0, integer=1)
        g = slice(a.stop, a.stop + units)
        one, infinite = np.eye(units), np.full(units, np.inf)
        model = model.with_rows(bias, infinite, (below, -weight), (a, one))
        closed = (below, -weight), (a, one), (g, -np.diag(low))
        model = model.with_rows(-infinite, bias - low, *closed)
        model = model.with_rows(-infinite, np.zeros(units), (a, one), (g, -np.diag(high)))
        return replace(model, gates=(*model.gates, g))

    def interval(self, weight: Matrix, bias: Vector) -> Interval:
        """Bounds on ``weight a + bias`` by interval arithmetic, a the highest activations."""
        low, high = self.low[self.top], self.high[self.top]
        up, down = np.maximum(weight, 0), np.minimum(weight, 0)
        return Interval(up @ low + down @ high + bias, up @ high + down @ low + bias)


def ball(target: Target, radius: float) -> Model:
    """The points of the box not farther from x than the radius."""
    x = target.x
    size = len(x)
    shape = target.metric.heights(size)
    distances = shape.shape[1]
    point, distance = slice(0, size), slice(size, size + distances)
    model = Model(
        low=np.maximum(target.low, x - radius),
        high=np.minimum(target.high, x + radius),
        integer=np.zeros(size),
        rows=np.zeros((0, size)),
        row_low=np.zeros(0),
        row_high=np.zeros(0),
        cost=np.zeros(size),
        top=point,
    ).with_variables(np.zeros(distances), np.full(distances, radius), integer=0)
    cost = np.append(np.zeros(size), np.ones(distances))
    infinite = np.full(size, np.inf)
    model = replace(model, cost=cost, top=point)
    one = (point, np.eye(size))
    model = model.with_rows(-infinite, x, one, (distance, -shape))
    model = model.with_rows(x, infinite, one, (distance, shape))
    total = (distance, np.ones((1, distances)))
    return model.with_rows(np.array([-np.inf]), np.array([radius]), total)


def built(target: Target, radius: float, intervals: list[Interval]) -> Model:
    """The model of the network in the ball, with given bounds."""
    model = ball(target, radius)
    for (weight, bias), interval in zip(target.hidden, intervals, strict=True):
        model = model.with_layer(weight, bias, interval)
    return with_zero(target, model)


def with_zero(target: Target, model: Model) -> Model:
    """Only the points with ``z <= 0``."""
    weight, bias = target.layers[-1]
    return model.with_rows(np.array([-np.inf]), -bias, (model.top, weight))
