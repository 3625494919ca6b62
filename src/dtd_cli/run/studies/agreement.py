"""How methods agree with f and with gradient × input, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd_cli.run.preparation import Prepared
from dtd_cli.run.studies.study import input_relevances


def agreement(prepared: Prepared, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For every method and sample ``ΣR_0 / f`` and the cosine between R_0 and gradient × input.

    The cosine is missing where one of the two is zero everywhere, or gradient × input is not
    among the methods of the run.

    Source: RS (full backward pass).
    """
    samples, relevances = input_relevances(tables)
    f = tables["inputs.csv"].set_index("sample")["f"].loc[samples].to_numpy()
    nowhere = np.full_like(next(iter(relevances.values())), np.nan)
    reference = relevances.get("gradient_x_input", nowhere)
    return pd.concat(
        pd.DataFrame(
            {
                "method": method,
                "sample": samples,
                "conserved": relevance.sum(1) / f,
                "cosine": _cosine(relevance, reference),
            }
        )
        for method, relevance in relevances.items()
    )


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = (first * second).sum(1)
    cosine: NDArray[np.float64] = np.full_like(product, np.nan)
    np.divide(product, size, out=cosine, where=size > 0)
    return cosine
