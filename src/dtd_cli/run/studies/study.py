"""What a study is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd.explainer.frames import numbers
from dtd.explainer.results import Result
from dtd_cli.records.limits import UNBOUNDED
from dtd_cli.run.explanations import Explanations, Way
from dtd_cli.run.preparation import Prepared

Study = Callable[[Prepared, Explanations], pd.DataFrame]
"""``(what is explained, how it was explained) -> a tidy table``."""


def input_relevances(
    prepared: Prepared, explanations: Explanations
) -> tuple[NDArray[np.int64], dict[Way, NDArray[np.float64]]]:
    """The explained samples (n,), and the relevances of their inputs (n, d) in every way.

    They are NaN for a sample that has no finite relevance.
    A relevance that roots were made for is there too, as the method ``target``.
    """
    explained = prepared.explained
    relevances = {way: _finite(result)[numbers(explained)] for way, result in explanations.items()}
    if prepared.prescription is not None:
        wanted = np.tile(prepared.prescription, (int(explained.sum()), 1))
        relevances[Way("target")] = wanted
    return numbers(explained.nonzero().squeeze(1)), relevances


def _finite(result: Result) -> NDArray[np.float64]:
    endless = np.array(result.limits[0]) == UNBOUNDED
    return np.where(endless[:, None], np.nan, numbers(result.attribution))


def by_way(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the column ``roots`` where no further search was made."""
    return table if table["roots"].any() else table.drop(columns="roots")
