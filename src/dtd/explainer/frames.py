"""Explanations as tidy frames: one fact a row, the same columns as the program's tables.

Imported only where a frame is asked for, because pandas is slow to import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from dtd.columns import LEDGER
from dtd.explainer.explained import Explained
from dtd.relevance.explanation import Explanation, StandardErrors
from dtd.relevance.ledger import Ledger, by_degree
from dtd.relevance.limits.state import LimitState, states

RELEVANCE_COLUMNS = (
    "method", "roots", "sample", "layer", "order", "neuron", "activation", "degree", "relevance",
    "limits",
)  # fmt: skip

Columns = Mapping[str, np.ndarray]
"""A table, by the names of its columns."""


def relevance_frame(
    parts: Sequence[Explained], target: Sequence[float] | None = None
) -> pd.DataFrame:
    """One unit's relevance a row, or with a series one degree of it.

    A ``target`` (d,) that roots were made for has rows of its own, as the method ``target``.
    """
    rows = [
        _layer_relevance(part, layer) for part in parts for layer in part.explanation.relevances
    ]
    if target is not None:
        first = [part for part in parts if part.method == parts[0].method]
        rows += [_wanted(part, target) for part in first]
    keys = ["roots", "method", "sample", "layer", "neuron"]
    return _where_told(one_frame(rows, keys, RELEVANCE_COLUMNS), parts)


def ledger_frame(parts: Sequence[Explained]) -> pd.DataFrame:
    """Where the relevance of the layer above went, one layer a row.

    With a series it is one degree of it a row, each with what the degrees before it left.
    """
    tables = [
        filled(
            {
                "method": part.method,
                "roots": part.roots,
                "sample": numbers(part.samples),
                "layer": layer,
                "order": part.explanation.order(layer),
                "degree": degree,
            }
            | {name: numbers(getattr(ledger, name)) for name in LEDGER}
            | {"limits": _limits(part, layer)}
            | _sum_errors(part.explanation.errors, layer)
        )
        for part in parts
        for layer, whole in part.explanation.ledgers.items()
        for degree, ledger in enumerate(_ledgers(part.explanation, layer, whole), 1)
    ]
    keys = ["roots", "method", "sample", "layer", "degree"]
    columns = ["method", "roots", "sample", "layer", "order", "degree", *LEDGER, "limits"]
    return _where_told(one_frame(tables, keys, columns), parts)


def interactions_frame(parts: Sequence[Explained]) -> pd.DataFrame:
    """One entry of a sample's degree-2 matrix of one layer a row."""
    return one_frame(
        [
            _layer_interactions(part, layer, numbers(matrices))
            for part in parts
            for layer, matrices in part.explanation.interactions.items()
        ],
        ["sample", "layer", "i", "k"],
        ["sample", "layer", "i", "k", "relevance"],
    )


def names(values: Tensor, kind: type[IntEnum]) -> np.ndarray:
    """The names of members of ``kind`` in a row, whatever the shape of the tensor."""
    known = np.array([name.lower() for name in kind.__members__])
    return np.take(known, numbers(values).astype(int).ravel())


def numbers(values: Tensor) -> np.ndarray:
    """As numpy; floats in double precision, whose decimal form reads back the same."""
    values = values.detach().cpu()
    return np.asarray(values.double() if values.is_floating_point() else values)


def in_order(
    tables: list[pd.DataFrame], keys: list[str], columns: Sequence[str] = ()
) -> pd.DataFrame:
    """One table, sorted by the keys; methods and searches stay in the order they came in.

    Without rows it has the ``columns`` all the same.
    """
    if not tables:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(tables, ignore_index=True)
    return table.take(_order(table, keys)).reset_index(drop=True)


def one_frame(
    tables: Sequence[Columns], keys: list[str], columns: Sequence[str] = ()
) -> pd.DataFrame:
    """As :func:`in_order`, of columns of numpy. A frame for each table would take longer."""
    if not tables:
        return pd.DataFrame(columns=list(columns))
    whole = {
        name: np.concatenate([_column(table, name) for table in tables])
        for name in dict.fromkeys(name for table in tables for name in table)
    }
    order = _order(whole, keys)
    return pd.DataFrame({name: values[order] for name, values in whole.items()})


def filled(columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The columns of a table, of which some are one value that all rows have."""
    return dict(zip(columns, np.broadcast_arrays(*columns.values()), strict=True))


def _column(table: Columns, name: str) -> np.ndarray:
    """A column of numbers that only other tables have is missing in this one."""
    rows = len(next(iter(table.values())))
    return table[name] if name in table else np.full(rows, np.nan)


def _order(table: Columns | pd.DataFrame, keys: list[str]) -> np.ndarray:
    ranks = [
        pd.factorize(table[key])[0] if key in ("method", "roots") else table[key] for key in keys
    ]
    # The last counts most.
    return np.lexsort(ranks[::-1])


def _wanted(part: Explained, target: Sequence[float]) -> Columns:
    """The rows of the input with a target as their relevance."""
    table = _layer_relevance(part, 0)
    first = table["degree"] == 1
    return filled(
        {name: values[first] for name, values in table.items()}
        | {
            "method": "target",
            "relevance": np.tile(target, len(part.samples)),
            "limits": LimitState.NONE.name.lower(),
        }
    )


def _layer_relevance(part: Explained, layer: int) -> Columns:
    activation = numbers(part.path[layer])
    terms = numbers(part.explanation.relevances[layer])[:, None]
    if layer == len(part.path) - 1:
        # Of the outputs only those that are explained have relevance.
        terms = numbers(part.output.relevance(part.path[layer]))[:, None]
    elif part.explanation.degrees > 1:
        terms = numbers(part.explanation.terms[layer])
    samples, degrees, units = terms.shape
    errors = part.explanation.errors
    return filled(
        {
            "method": part.method,
            "roots": part.roots,
            "sample": np.repeat(numbers(part.samples), units * degrees),
            "layer": layer,
            "order": part.explanation.order(layer),
            "neuron": np.tile(np.repeat(np.arange(units), degrees), samples),
            "activation": np.repeat(activation.ravel(), degrees),
            "degree": np.tile(np.arange(1, degrees + 1), samples * units),
            "relevance": terms.swapaxes(1, 2).ravel(),
            "limits": np.repeat(_limits(part, layer), units * degrees),
        }
        | ({} if errors is None else {"stderr": _layer_errors(errors, layer, units)})
    )


def _layer_interactions(part: Explained, layer: int, matrices: np.ndarray) -> Columns:
    row, i, k = (index.ravel() for index in np.indices(matrices.shape))
    samples = numbers(part.samples)[row]
    relevance = matrices.ravel()
    return filled({"sample": samples, "layer": layer, "i": i, "k": k, "relevance": relevance})


def _layer_errors(errors: StandardErrors, layer: int, units: int) -> np.ndarray:
    error = numbers(errors.relevances[layer])
    return (error if layer < len(errors.sums) else np.zeros((len(error), units))).ravel()


def _sum_errors(errors: StandardErrors | None, layer: int) -> dict[str, np.ndarray]:
    if errors is None:
        return {}
    return {
        "relevance_sum_stderr": numbers(errors.sums[layer]),
        "stderr_paths": numbers(errors.paths[layer]),
    }


def _limits(part: Explained, layer: int) -> np.ndarray:
    """What became of the limits of each sample."""
    errors = part.explanation.limit_errors.get(layer)
    if errors is None:
        return np.repeat(LimitState.NONE.name.lower(), len(part.samples))
    return names(states(errors), LimitState)


def _ledgers(explanation: Explanation, layer: int, whole: Ledger) -> list[Ledger]:
    if explanation.degrees == 1:
        return [whole]
    return by_degree(whole, explanation.terms[layer])


def _where_told(table: pd.DataFrame, parts: Sequence[Explained]) -> pd.DataFrame:
    """The table without the columns that tell nothing apart.

    ``degree`` where nothing was expanded beyond degree 1, ``roots`` where no further search was
    made.
    """
    told = {
        "degree": any(part.explanation.degrees > 1 for part in parts),
        "roots": any(part.roots for part in parts),
    }
    return table.drop(columns=[name for name, tells in told.items() if not tells])
