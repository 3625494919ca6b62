"""Whether weights are such that units may be on their kinks together by more than chance."""

from __future__ import annotations

from torch import Tensor

from dtd.numerics.policy import policy

_FEW = 256
"""So many numbers are few for the weights of a layer: eight bits have no more."""
_GRID = 1 / 16
"""Weights that are all multiples of this are as good as integers."""
_ALIKE = 1e-4
"""Rows of weights that differ by less, relative to their largest, count as proportional."""


def weights_coincide(weight: Tensor) -> bool:
    """Whether the weights (J, d), or kernels (J, C, ...), have more in common than chance.

    So it is where two units have proportional weights, where all weights are among a few numbers,
    or where a kernel has one weight at two places.
    """
    if _repeats(weight):
        return True
    weight = weight.flatten(1)
    numbers = weight[weight != 0].abs()
    distinct = len(numbers.unique())
    if distinct <= min(len(numbers) / 2, _FEW) or not (numbers / _GRID).frac().any():
        return True
    rows = weight[weight.any(1)]
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return len((rows / largest / _ALIKE).round().unique(dim=0)) < len(rows)


def _repeats(weight: Tensor) -> bool:
    """Whether a kernel (J, C, ...) has a weight at two places: it may see an input at either."""
    kernels = weight.unsqueeze(2).flatten(2).sort().values
    equal = kernels.diff().abs() <= policy(weight.dtype).tie * kernels[..., 1:].abs()
    return bool((equal & (kernels[..., 1:] != 0)).any())
