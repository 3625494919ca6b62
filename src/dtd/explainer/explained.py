"""The samples of a batch that are explained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dtd.relevance import Explanation


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's explanation of the samples whose explained output is the same.

    ``samples`` (n,) are their rows in the batch, ``path`` their activations in all layers.
    ``roots`` is the name of a further search that stands beside the method's own, else empty.
    """

    method: str
    output: int
    samples: Tensor
    path: Sequence[Tensor]
    explanation: Explanation
    roots: str = ""
