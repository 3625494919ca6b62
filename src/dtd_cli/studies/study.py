"""What a study is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd_cli.preparation import Prepared

Study = Callable[[Prepared, Mapping[str, pd.DataFrame]], pd.DataFrame]
"""``(what is explained, the run's tables by file name) -> a tidy table``."""


def input_relevances(
    tables: Mapping[str, pd.DataFrame],
) -> tuple[pd.Index, dict[str, NDArray[np.float64]]]:
    """The samples (N,), and each method's relevances of the inputs (N, d)."""
    rows = tables["relevance.csv"].query("layer == 0")
    methods = {
        str(method): part.pivot(index="sample", columns="neuron", values="relevance")
        for method, part in rows.groupby("method", sort=False)
    }
    samples = next(iter(methods.values())).index
    return samples, {name: wide.to_numpy() for name, wide in methods.items()}
