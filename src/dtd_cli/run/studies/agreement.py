"""How methods agree with f and with gradient × input, sample by sample."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd.explainer.frames import numbers
from dtd_cli.run.explanations import Explanations, Way
from dtd_cli.run.preparation import Prepared
from dtd_cli.run.studies.study import by_way, input_relevances


def agreement(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """For every method and sample ``ΣR_0 / f`` and the cosine between R_0 and gradient × input.

    The cosine is missing where one of the two is zero everywhere, or gradient × input is not
    among the methods of the run. Both are where there is no finite relevance.

    Source: RS (full backward pass).
    """
    samples, relevances = input_relevances(prepared, explanations)
    f = numbers(prepared.f[prepared.explained])
    nowhere = np.full_like(next(iter(relevances.values())), np.nan)
    reference = relevances.get(Way("gradient_x_input"), nowhere)
    tables = [
        pd.DataFrame(
            {
                **way._asdict(),
                "sample": samples,
                "conserved": relevance.sum(1) / f,
                "cosine": _cosine(relevance, reference),
            }
        )
        for way, relevance in relevances.items()
    ]
    return by_way(pd.concat(tables))


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    product = (first * second).sum(1)
    cosine: NDArray[np.float64] = np.full_like(product, np.nan)
    np.divide(product, size, out=cosine, where=size > 0)
    return cosine
