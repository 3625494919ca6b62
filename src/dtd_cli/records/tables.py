"""Tidy tables of a run: one function a table, columns as users rely on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from dtd_cli.relevance.evidence import Evidence
from dtd_cli.relevance.explanation import Explanation, StandardErrors
from dtd_cli.roots.contract import Status

LEDGER_COLUMNS = (
    "upper_sum", "relevance_sum", "zero_order", "unresolved", "remainder", "negative_sum",
)  # fmt: skip
EVIDENCE_COLUMNS = (
    "relevance", "residual", "distance", "admissible", "same_region", "gradient_norm",
    "gradient_gap", "output_change",
)  # fmt: skip

_UNIT = ("sample", "layer", "neuron", "finder")


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's explanation of the samples whose explained output is the same.

    ``samples`` (B,) are their numbers in the run; ``path`` their activations, all layers.
    """

    method: str
    output: int
    samples: np.ndarray
    path: Sequence[Tensor]
    explanation: Explanation


def relevance_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``relevance.csv``: one unit's relevance a row."""
    return _sorted(
        [_layer_relevance(part, layer) for part in parts for layer in range(len(part.path))],
        ["method", "sample", "layer", "neuron"],
    )


def _layer_relevance(part: Explained, layer: int) -> pd.DataFrame:
    activation = _numbers(part.path[layer])
    relevance = _numbers(part.explanation.relevances[layer])
    depth = len(part.path) - 1
    if layer == depth:
        # Of the outputs only the explained one has relevance.
        only, relevance = relevance, np.zeros_like(activation)
        relevance[:, part.output] = only[:, 0]
    samples, units = activation.shape
    errors = part.explanation.errors
    return pd.DataFrame(
        {
            "method": part.method,
            "sample": np.repeat(part.samples, units),
            "layer": layer,
            "order": depth - layer,
            "neuron": np.tile(np.arange(units), samples),
            "activation": activation.ravel(),
            "relevance": relevance.ravel(),
        }
        | ({} if errors is None else {"stderr": _layer_errors(errors, layer, units)})
    )


def _layer_errors(errors: StandardErrors, layer: int, units: int) -> np.ndarray:
    error = _numbers(errors.relevances[layer])
    return (error if layer < len(errors.sums) else np.zeros((len(error), units))).ravel()


def ledger_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``layers.csv``: where the relevance of the layer above went, one layer a row."""
    return _sorted(
        [
            pd.DataFrame(
                {
                    "method": part.method,
                    "sample": part.samples,
                    "layer": layer,
                    "order": len(part.explanation.ledgers) - layer,
                }
                | {name: _numbers(getattr(ledger, name)) for name in LEDGER_COLUMNS}
                | (
                    {"relevance_sum_stderr": _numbers(part.explanation.errors.sums[layer])}
                    if part.explanation.errors
                    else {}
                )
            )
            for part in parts
            for layer, ledger in enumerate(part.explanation.ledgers)
        ],
        ["method", "sample", "layer"],
    )


def roots_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``roots.csv``: one root on a sample's forward path a row, whatever became of it."""
    return _sorted(
        [_layer_roots(part, layer, roots) for part, layer, roots in _evidence(parts)],
        ["sample", "layer", "neuron"],
        [*_UNIT, "status", *EVIDENCE_COLUMNS, "evaluations", "certified"],
    )


def _layer_roots(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    table = _unit_keys(part, layer, roots)
    table["status"] = _statuses(roots)
    for name in EVIDENCE_COLUMNS:
        values = pd.Series(_numbers(getattr(roots, name)).ravel())
        if values.dtype == bool:
            # Of a unit without a root nothing is said.
            values = values.astype("boolean").mask(~_numbers(roots.rooted).ravel())
        table[name] = values
    table["evaluations"] = roots.evaluations
    table["certified"] = _numbers(roots.certified).ravel()
    return table


def root_points_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``root_points.csv``: one coordinate of a root a row; units without a root have none."""
    return _sorted(
        [_layer_points(part, layer, roots) for part, layer, roots in _evidence(parts)],
        ["sample", "layer", "neuron"],
        [*_UNIT, "index", "value"],
    )


def _layer_points(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    rooted = _numbers(roots.rooted).ravel()
    keys = _unit_keys(part, layer, roots)[rooted]
    points = _numbers(roots.points).reshape(len(rooted), -1)[rooted]
    count, size = points.shape
    table = keys.loc[keys.index.repeat(size)].reset_index(drop=True)
    table["index"] = np.tile(np.arange(size), count)
    table["value"] = points.ravel()
    return table


def search_lines_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``search_lines.csv``: a unit's relevance along the line on which its root was searched."""
    tables = []
    for part, layer, roots in _evidence(parts):
        if roots.line is not None:
            keys = _unit_keys(part, layer, roots)
            steps = roots.line.walk.shape[-1]
            table = keys.loc[keys.index.repeat(steps)].reset_index(drop=True)
            table["position"] = _numbers(roots.line.walk).ravel()
            table["relevance"] = _numbers(roots.line.relevance).ravel()
            tables.append(table)
    return _sorted(tables, ["sample", "layer", "neuron"])


def search_roots_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``search_roots.csv``: where on its line the search of a unit ended."""
    tables = []
    for part, layer, roots in _evidence(parts):
        if roots.line is not None:
            table = _unit_keys(part, layer, roots)
            table["status"] = _statuses(roots)
            positions = pd.Series(_numbers(roots.line.positions).ravel())
            table["position"] = positions.where(_numbers(roots.rooted).ravel())
            tables.append(table)
    return _sorted(tables, ["sample", "layer", "neuron"])


def inputs_table(
    names: Sequence[str], x: Tensor, explained: Tensor, output: Tensor, f: Tensor
) -> pd.DataFrame:
    """``inputs.csv``: one sample a row, with the output that is explained and its features."""
    head = pd.DataFrame(
        {
            "sample": np.arange(len(x)),
            "status": np.where(_numbers(explained), "explained", "skipped"),
            "output": _numbers(output),
            "f": _numbers(f),
        }
    )
    return pd.concat([head, pd.DataFrame(_numbers(x), columns=list(names))], axis=1)


def _evidence(parts: Sequence[Explained]) -> list[tuple[Explained, int, Evidence]]:
    return [
        (part, layer, roots)
        for part in parts
        for layer, searches in enumerate(part.explanation.evidence)
        for roots in searches
    ]


def _unit_keys(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    samples, units = roots.status.shape
    in_last_layer = layer + 2 == len(part.path)
    neurons = np.array([part.output]) if in_last_layer else np.arange(units)
    return pd.DataFrame(
        {
            "sample": np.repeat(part.samples, units),
            "layer": layer,
            "neuron": np.tile(neurons, samples),
            "finder": roots.finder,
        }
    )


def _statuses(roots: Evidence) -> np.ndarray:
    names = np.array([status.name.lower() for status in Status])
    index = _numbers(roots.status).astype(int).ravel()
    return np.take(names, index)


def _numbers(values: Tensor) -> np.ndarray:
    """As numpy; floats in double precision, whose decimal form reads back the same."""
    values = values.detach().cpu()
    return np.asarray(values.double() if values.is_floating_point() else values)


def _sorted(
    tables: list[pd.DataFrame], keys: list[str], columns: Sequence[str] = ()
) -> pd.DataFrame:
    """One table, sorted by the keys; methods and strategies stay in the order they came in.

    Without rows it has the ``columns`` all the same.
    """
    if not tables:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(tables, ignore_index=True)
    rank = {key: pd.factorize(table[key])[0] if key == "method" else table[key] for key in keys}
    order = pd.DataFrame(rank).sort_values(keys, kind="stable").index
    return table.loc[order]
