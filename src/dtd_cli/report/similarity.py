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
    cosine, has no such number and is left out, as is one without a finite relevance; ``samples``
    counts those with a cosine.

    Args:
        groups: one at a time is held; explanations are compared within their group.
        entries: method and configuration of those to compare.
    """
    methods = list(dict.fromkeys(method for method, _ in entries))
    # A method that does not depend on the configuration has one entry, which is only known at
    # the end.
    compared = [*entries, *((method, "") for method in methods)]
    total = np.zeros((2, len(compared), len(compared)))
    count = np.zeros((2, len(compared), len(compared)), dtype=int)
    same: set[str] = set()
    different: set[str] = set()
    for group in groups:
        relevance = dict(group.relevance)
        for (method, _), values in group.relevance.items():
            if (method, "") not in relevance:
                relevance[method, ""] = values
                continue
            equal = np.array_equal(relevance[method, ""], values, equal_nan=True)
            (same if equal else different).add(method)
        there = [i for i, entry in enumerate(compared) if entry in relevance]
        if not there:
            continue
        vectors = np.stack([relevance[compared[i]] for i in there], axis=1)
        for kind, rows in enumerate((vectors, _centred_ranks(vectors))):
            products = cosines(rows)
            total[kind][np.ix_(there, there)] += np.nansum(products, axis=0)
            count[kind][np.ix_(there, there)] += np.isfinite(products).sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = total / count
    alone = len({configuration for _, configuration in entries}) == 1
    independent = set(methods) if alone else same - different
    kept = sorted(
        (i for i, (method, name) in enumerate(compared) if (method in independent) == (name == "")),
        key=lambda i: methods.index(compared[i][0]),
    )
    return pd.DataFrame(
        [(*compared[i], *compared[j], *means[:, i, j], count[0, i, j]) for i in kept for j in kept],
        columns=[
            *("method", "configuration", "other_method", "other_configuration"),
            *("cosine", "spearman", "samples"),
        ],
    )


def _centred_ranks(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks: NDArray[np.float64] = rankdata(vectors, axis=-1, nan_policy="propagate")
    ranks -= ranks.mean(axis=-1, keepdims=True)
    return ranks


def cosines(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines between all entries: (samples, entries, features) to (samples, entries, entries)."""
    # The largest entry as the unit, so that squares neither overflow nor vanish.
    size = np.abs(vectors).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = vectors / size
        unit: NDArray[np.float64] = scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)
    products: NDArray[np.float64] = unit @ unit.swapaxes(-1, -2)
    return products
