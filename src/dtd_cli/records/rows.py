"""What the tables of a run are made of: explanations by method, and rows in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
from torch import Tensor

from dtd.relevance.evidence import Evidence
from dtd.relevance.explanation import Explanation

UNIT = ("sample", "layer", "neuron", "finder")
"""The columns that say whose root it is."""


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's explanation of the samples whose explained output is the same.

    ``samples`` (B,) are their numbers in the run; ``path`` their activations, all layers.
    """

    method: str
    output: int
    samples: np.ndarray
    path: Sequence[Tensor]
    explanation: Explanation


def evidence(parts: Sequence[Explained]) -> list[tuple[Explained, int, Evidence]]:
    """Every search of every layer: whose it is, the layer, and its roots."""
    return [
        (part, layer, roots)
        for part in parts
        for layer, searches in part.explanation.evidence.items()
        for roots in searches
    ]


def unit_keys(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    """The columns ``UNIT`` of roots (B, J), a row a root."""
    samples, units = roots.status.shape
    return pd.DataFrame(
        {
            "sample": np.repeat(part.samples, units),
            "layer": layer,
            "neuron": np.tile(roots.neurons, samples),
            "finder": roots.finder,
        }
    )


def names(values: Tensor, kind: type[IntEnum]) -> np.ndarray:
    """The names of members of ``kind`` in a row, whatever the shape of the tensor."""
    known = np.array([name.lower() for name in kind.__members__])
    return np.take(known, numbers(values).astype(int).ravel())


def numbers(values: Tensor) -> np.ndarray:
    """As numpy; floats in double precision, whose decimal form reads back the same."""
    values = values.detach().cpu()
    return np.asarray(values.double() if values.is_floating_point() else values)


def in_order(
    tables: list[pd.DataFrame], keys: list[str], columns: Sequence[str] = ()
) -> pd.DataFrame:
    """One table, sorted by the keys; methods and strategies stay in the order they came in.

    Without rows it has the ``columns`` all the same.
    """
    if not tables:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(tables, ignore_index=True)
    rank = {key: pd.factorize(table[key])[0] if key == "method" else table[key] for key in keys}
    order = pd.DataFrame(rank).sort_values(keys, kind="stable").index
    return table.loc[order]
