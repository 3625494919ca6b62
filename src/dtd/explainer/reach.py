"""How far relevance goes: the largest of a method beside f, and where none arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.explainer.explained import Explained


class Largest(NamedTuple):
    """The largest |R| below the output, as a ``share`` of |f|, and the unit that has it.

    ``sample`` is the row in the batch. Sample, layer and unit count from 0. The unit has the name
    of its column in tables.
    """

    share: float
    sample: int
    layer: int
    neuron: int


def largest_relevance(parts: Sequence[Explained]) -> Largest | None:
    """The largest of all samples and layers that have a finite relevance; None without one."""
    found = [largest for part in parts for largest in _largest(part)]
    return min(found, key=lambda one: (-one.share, *one[1:]), default=None)


def without_relevance(parts: Sequence[Explained]) -> int:
    """How many samples have no relevance in the input, in none of its units.

    Samples without a finite relevance do not count.
    """
    return sum(
        int((_finite(part, 0) & ~part.explanation.relevances[0].any(1)).sum()) for part in parts
    )


def _largest(part: Explained) -> Iterator[Largest]:
    """The largest of each layer below the output."""
    f = part.output.relevance(part.path[-1]).double().sum(1, keepdim=True)
    for layer, relevance in part.explanation.relevances.items():
        finite = _finite(part, layer)
        if layer < len(part.path) - 1 and finite.any():
            shares, units = (relevance.double().abs() / f.abs()).max(1)
            row = int(torch.where(finite, shares, -1).argmax())
            yield Largest(shares[row].item(), int(part.samples[row]), layer, int(units[row]))


def _finite(part: Explained, layer: int) -> Tensor:
    """Which samples have a finite relevance in the layer, (n,)."""
    errors = part.explanation.limit_errors.get(layer)
    return torch.ones_like(part.samples, dtype=torch.bool) if errors is None else ~errors.isinf()
