"""``interactions.csv``: the degree-2 matrices of the recursion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtd.explainer.explained import Explained
from dtd.explainer.frames import in_order, numbers


def interactions_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """One entry of a sample's degree-2 matrix of one layer a row."""
    tables = [
        _layer_interactions(part, layer, numbers(matrices))
        for part in parts
        for layer, matrices in part.explanation.interactions.items()
    ]
    return in_order(tables, ["sample", "layer", "i", "k"])


def _layer_interactions(part: Explained, layer: int, matrices: np.ndarray) -> pd.DataFrame:
    row, i, k = (index.ravel() for index in np.indices(matrices.shape))
    samples = numbers(part.samples)[row]
    relevance = matrices.ravel()
    return pd.DataFrame({"sample": samples, "layer": layer, "i": i, "k": k, "relevance": relevance})
