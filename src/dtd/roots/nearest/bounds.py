"""Bounds on the pre-activations of a ReLU network in a ball, tightened layer by layer.

Source: V. Tjeng, K. Xiao, R. Tedrake, *Evaluating robustness of neural networks with mixed
integer programming*, ICLR 2019 (progressive tightening of bounds).
"""

from __future__ import annotations

from time import monotonic

from dtd.progress import Track, untracked
from dtd.roots.nearest.model import Interval, ball, with_zero
from dtd.roots.nearest.solver import Relaxation
from dtd.roots.nearest.target import Matrix, Target, Vector

_SLACK = 1e-6
"""Bounds from the solver are widened by so much, relative to their size: its own tolerance."""


def bounds(
    target: Target, radius: float, deadline: float, track: Track = untracked
) -> list[Interval]:
    """Bounds of every hidden layer in the ball, valid wherever there ``z <= 0``.

    Each layer's bounds are tightened before the layer above is built on them, and all of them a
    second time with the whole network, where only points with ``z <= 0`` are left.
    """
    model = ball(target, radius)
    intervals, inputs = [], []
    for weight, bias in target.hidden:
        inputs.append(model.top)
        rough = model.interval(weight, bias)
        tight = _tightened(Relaxation(model), weight, bias, model.top, rough, deadline, track)
        intervals.append(tight)
        model = model.with_layer(weight, bias, tight)
    whole = Relaxation(with_zero(target, model))
    layers = zip(target.hidden, inputs, intervals, strict=True)
    return [
        _tightened(whole, weight, bias, below, interval, deadline, track)
        for (weight, bias), below, interval in layers
    ]


def _tightened(
    relaxation: Relaxation,
    weight: Matrix,
    bias: Vector,
    below: slice,
    interval: Interval,
    deadline: float,
    track: Track,
) -> Interval:
    """Bounds on ``weight a + bias`` by two programs of the relaxation for each unit that may be
    open or closed, a the activations ``below``; what the deadline leaves stays."""
    low, high = interval.low.copy(), interval.high.copy()
    for unit in track(interval.unstable.tolist(), "bounds"):
        for bound, sign, tighter in ((low, 1, max), (high, -1, min)):
            if monotonic() > deadline:
                break
            least = relaxation.minimum(below, sign * weight[unit])
            slack = _SLACK * (1 + abs(least))
            bound[unit] = tighter(bound[unit], sign * (least - slack) + bias[unit])
    return Interval(low, high)
