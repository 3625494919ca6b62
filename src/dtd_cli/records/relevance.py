"""``relevance.csv``, ``layers.csv``, ``interactions.csv``: relevance and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtd.columns import LEDGER
from dtd.relevance.explanation import Explanation, StandardErrors
from dtd.relevance.ledger import Ledger, by_degree
from dtd_cli.records.rows import Explained, in_order, numbers


def relevance_table(
    parts: Sequence[Explained], target: Sequence[float] | None = None
) -> pd.DataFrame:
    """``relevance.csv``: one unit's relevance a row, or with a series one degree of it.

    A ``target`` (d,) that roots were made for has rows of its own, as the method ``target``.
    """
    rows = [
        _layer_relevance(part, layer) for part in parts for layer in part.explanation.relevances
    ]
    if target is not None:
        first = [part for part in parts if part.method == parts[0].method]
        wanted = [_layer_relevance(part, 0).query("degree == 1") for part in first]
        rows += [
            table.assign(method="target", relevance=np.tile(target, len(part.samples)))
            for part, table in zip(first, wanted, strict=True)
        ]
    return _without_series(in_order(rows, ["method", "sample", "layer", "neuron"]), parts)


def _layer_relevance(part: Explained, layer: int) -> pd.DataFrame:
    activation = numbers(part.path[layer])
    relevance = numbers(part.explanation.relevances[layer])
    terms = relevance[:, None]
    if layer == len(part.path) - 1:
        # Of the outputs only the explained one has relevance.
        terms = np.zeros_like(activation)[:, None]
        terms[:, 0, part.output] = relevance[:, 0]
    elif part.explanation.degrees > 1:
        terms = numbers(part.explanation.terms[layer])
    samples, degrees, units = terms.shape
    errors = part.explanation.errors
    return pd.DataFrame(
        {
            "method": part.method,
            "sample": np.repeat(part.samples, units * degrees),
            "layer": layer,
            "order": part.explanation.order(layer),
            "neuron": np.tile(np.repeat(np.arange(units), degrees), samples),
            "activation": np.repeat(activation.ravel(), degrees),
            "degree": np.tile(np.arange(1, degrees + 1), samples * units),
            "relevance": terms.swapaxes(1, 2).ravel(),
        }
        | ({} if errors is None else {"stderr": _layer_errors(errors, layer, units)})
    )


def _layer_errors(errors: StandardErrors, layer: int, units: int) -> np.ndarray:
    error = numbers(errors.relevances[layer])
    return (error if layer < len(errors.sums) else np.zeros((len(error), units))).ravel()


def ledger_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``layers.csv``: where the relevance of the layer above went, one layer a row.

    With a series it is one degree of it a row, each with what the degrees before it left.
    """
    tables = [
        pd.DataFrame(
            {
                "method": part.method,
                "sample": part.samples,
                "layer": layer,
                "order": part.explanation.order(layer),
                "degree": degree,
            }
            | {name: numbers(getattr(ledger, name)) for name in LEDGER}
            | _sum_errors(part.explanation.errors, layer)
        )
        for part in parts
        for layer, whole in part.explanation.ledgers.items()
        for degree, ledger in enumerate(_ledgers(part.explanation, layer, whole), 1)
    ]
    return _without_series(in_order(tables, ["method", "sample", "layer", "degree"]), parts)


def _sum_errors(errors: StandardErrors | None, layer: int) -> dict[str, np.ndarray]:
    return {} if errors is None else {"relevance_sum_stderr": numbers(errors.sums[layer])}


def _ledgers(explanation: Explanation, layer: int, whole: Ledger) -> list[Ledger]:
    if explanation.degrees == 1:
        return [whole]
    return by_degree(whole, explanation.terms[layer])


def _without_series(table: pd.DataFrame, parts: Sequence[Explained]) -> pd.DataFrame:
    """The table as it is where nothing was expanded beyond degree 1: without that column."""
    series = any(part.explanation.degrees > 1 for part in parts)
    return table if series else table.drop(columns="degree")


def interactions_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``interactions.csv``: one entry of a sample's degree-2 matrix of one layer a row."""
    tables = [
        _layer_interactions(part, layer, numbers(matrices))
        for part in parts
        for layer, matrices in part.explanation.interactions.items()
    ]
    return in_order(tables, ["sample", "layer", "i", "k"])


def _layer_interactions(part: Explained, layer: int, matrices: np.ndarray) -> pd.DataFrame:
    row, i, k = (index.ravel() for index in np.indices(matrices.shape))
    samples = part.samples[row]
    relevance = matrices.ravel()
    return pd.DataFrame({"sample": samples, "layer": layer, "i": i, "k": k, "relevance": relevance})
