"""What a study is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd_cli.run.preparation import Prepared

Study = Callable[[Prepared, Mapping[str, pd.DataFrame]], pd.DataFrame]
"""``(what is explained, the run's tables by file name) -> a tidy table``."""


def input_relevances(
    tables: Mapping[str, pd.DataFrame],
) -> tuple[pd.Index, dict[str, NDArray[np.float64]]]:
    """The samples (N,), and each method's relevances of the inputs (N, d)."""
    methods = {
        str(method): by_unit(part, layer=0)
        for method, part in tables["relevance.csv"].groupby("method", sort=False)
    }
    samples = next(iter(methods.values())).index
    return samples, {name: wide.to_numpy() for name, wide in methods.items()}


def by_unit(relevance: pd.DataFrame, layer: int) -> pd.DataFrame:
    """The relevances of a layer by one method: a row a sample, a column a unit."""
    rows = relevance[relevance["layer"] == layer]
    # With a series every degree has a row.
    return rows.groupby(["sample", "neuron"])["relevance"].sum().unstack("neuron")
