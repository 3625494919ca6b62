"""What decides between methods and configurations: a few figures of each run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd_cli.report.explanations import Explanations
from dtd_cli.report.results import Results
from dtd_cli.report.similarity import cosines
from dtd_cli.report.study import Study

KEPT, COSINE, LARGEST = "kept", "cosine_to_train_free", "largest_input_relevance"
IN_DOUBT, SECONDS = "in_doubt_share", "explain_seconds"

Row = tuple[int, str, str, float]
"""run, method, quantity, value."""


def deciding_figures(study: Study, runs: Sequence[int], group: Explanations) -> Iterator[Row]:
    """The figures of runs of one problem; none where there is no finite one.

    Args:
        study: all runs.
        runs: the numbers of those in the group.
        group: their explanations.
    """
    numbers = {study.labels[run]: run for run in runs}
    f = np.array([sample.f for sample in group.samples])
    for (method, label), relevance in group.relevance.items():
        run = numbers[label]
        with np.errstate(invalid="ignore", over="ignore"):
            shares = relevance / f[:, None]
            figures = {
                KEPT: _median(shares.sum(axis=1)),
                COSINE: _to_train_free(group, method, label),
                LARGEST: float(np.nanmax(np.abs(shares), initial=-math.inf)),
                IN_DOUBT: _in_doubt(study.results[run], method) / len(f),
                SECONDS: study.results[run].explaining,
            }
        for quantity, value in figures.items():
            if math.isfinite(value):
                yield run, method, quantity, value
    for run in runs:
        explained = {method for method, label in group.relevance if numbers[label] == run}
        for score in study.results[run].scores:
            if score.method in explained:
                yield run, *score


def deciding_table(study: Study, rows: Sequence[Row]) -> pd.DataFrame:
    """These figures as a table with the columns of ``figures_table``."""
    table = pd.DataFrame(rows, columns=["run", "method", "quantity", "value"])
    table = table.astype({"value": float})
    nowhere = pd.Series(pd.NA, table.index, "Int64")
    return table.assign(configuration=table["run"].map(study.labels), finder="", layer=nowhere)


def _median(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else math.nan


def _to_train_free(group: Explanations, method: str, label: str) -> float:
    """The mean over the samples for which both have a direction."""
    reference = group.relevance.get(("train_free", label))
    if reference is None or method == "train_free":
        return math.nan
    values = cosines(np.stack([group.relevance[method, label], reference], axis=1))[:, 0, 1]
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _in_doubt(results: Results, method: str) -> int:
    """How many samples have limits in doubt, in any layer."""
    return len({doubt.sample for doubt in results.doubts if doubt.method == method})
