"""How alike explanations are: cosine and rank correlation, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from dtd_cli.report.explanations import Entry, Explanations

MOST_ENTRIES = 30
"""Explanations that are compared with each other; more can be neither drawn nor read."""


def similarity_table(groups: Iterable[Explanations], entries: Sequence[Entry]) -> pd.DataFrame:
    """``similarity.csv``: each pair of methods and configurations, the mean over samples and seeds.

    The input's relevance of one sample is compared at a time: cosine as it is, Spearman by its
    ranks (ties share theirs). A sample for which one of the two is constant, or zero for the
    cosine, has no such number and is left out; ``samples`` counts those with a cosine.

    Args:
        groups: one at a time is held; explanations are compared within their group.
        entries: method and configuration of those to compare.
    """
    total = np.zeros((2, len(entries), len(entries)))
    count = np.zeros((2, len(entries), len(entries)), dtype=int)
    independent = {method for method, _ in entries}
    for group in groups:
        there = [i for i, entry in enumerate(entries) if entry in group.relevance]
        if not there:
            continue
        vectors = np.stack([group.relevance[entries[i]] for i in there], axis=1)
        independent -= _depending(vectors, [entries[i][0] for i in there])
        for kind, rows in enumerate((vectors, _centred_ranks(vectors))):
            products = _cosines(rows)
            total[kind][np.ix_(there, there)] += np.nansum(products, axis=0)
            count[kind][np.ix_(there, there)] += np.isfinite(products).sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = total / count
    kept = _once(entries, independent)
    return pd.DataFrame(
        [
            (*first, *second, *means[:, i, j], count[0, i, j])
            for i, first in kept.items()
            for j, second in kept.items()
        ],
        columns=[
            *("method", "configuration", "other_method", "other_configuration"),
            *("cosine", "spearman", "samples"),
        ],
    )


def _once(entries: Sequence[Entry], independent: set[str]) -> dict[int, Entry]:
    """The entries to show: a method that gives the same whatever the configuration, once."""
    kept: dict[int, Entry] = {}
    for i, (method, configuration) in enumerate(entries):
        entry = (method, "" if method in independent else configuration)
        if entry not in kept.values():
            kept[i] = entry
    return kept


def _depending(vectors: NDArray[np.float64], methods: Sequence[str]) -> set[str]:
    """The methods whose ``vectors`` (samples, entries, features) differ between configurations."""
    first = {method: i for i, method in reversed(list(enumerate(methods)))}
    return {
        method
        for i, method in enumerate(methods)
        if not np.array_equal(vectors[:, i], vectors[:, first[method]], equal_nan=True)
    }


def _centred_ranks(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks: NDArray[np.float64] = rankdata(vectors, axis=-1, nan_policy="propagate")
    ranks -= ranks.mean(axis=-1, keepdims=True)
    return ranks


def _cosines(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between all entries: (samples, entries, features) to (samples, entries, entries)."""
    # The largest entry as the unit, so that squares neither overflow nor vanish.
    size = np.abs(vectors).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = vectors / size
        unit: NDArray[np.float64] = scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)
    products: NDArray[np.float64] = unit @ unit.swapaxes(-1, -2)
    return products
