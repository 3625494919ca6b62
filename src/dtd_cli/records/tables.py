"""Tidy tables of a run: one function a table, columns as users rely on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
from torch import Tensor

from dtd_cli.relevance.evidence import Evidence
from dtd_cli.relevance.explanation import Explanation, StandardErrors
from dtd_cli.relevance.ledger import Ledger, by_degree
from dtd_cli.roots.contract import Outcome, Status

LEDGER_COLUMNS = (
    "upper_sum", "relevance_sum", "zero_order", "unresolved", "remainder", "negative_sum",
)  # fmt: skip
EVIDENCE_COLUMNS = (
    "relevance", "residual", "distance", "admissible", "same_region", "gradient_norm",
    "gradient_gap", "output_change",
)  # fmt: skip
CHAIN_COLUMNS = ("accepted", "effective_sample_size", "scale")

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
    return _without_series(_sorted(rows, ["method", "sample", "layer", "neuron"]), parts)


def _layer_relevance(part: Explained, layer: int) -> pd.DataFrame:
    activation = _numbers(part.path[layer])
    relevance = _numbers(part.explanation.relevances[layer])
    terms = relevance[:, None]
    if layer == len(part.path) - 1:
        # Of the outputs only the explained one has relevance.
        terms = np.zeros_like(activation)[:, None]
        terms[:, 0, part.output] = relevance[:, 0]
    elif part.explanation.degrees > 1:
        terms = _numbers(part.explanation.terms[layer])
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
    error = _numbers(errors.relevances[layer])
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
            | {name: _numbers(getattr(ledger, name)) for name in LEDGER_COLUMNS}
            | _sum_errors(part.explanation.errors, layer)
        )
        for part in parts
        for layer, whole in part.explanation.ledgers.items()
        for degree, ledger in enumerate(_ledgers(part.explanation, layer, whole), 1)
    ]
    return _without_series(_sorted(tables, ["method", "sample", "layer", "degree"]), parts)


def _sum_errors(errors: StandardErrors | None, layer: int) -> dict[str, np.ndarray]:
    return {} if errors is None else {"relevance_sum_stderr": _numbers(errors.sums[layer])}


def _ledgers(explanation: Explanation, layer: int, whole: Ledger) -> list[Ledger]:
    if explanation.degrees == 1:
        return [whole]
    return by_degree(whole, explanation.terms[layer])


def _without_series(table: pd.DataFrame, parts: Sequence[Explained]) -> pd.DataFrame:
    """The table as it is where nothing was expanded beyond degree 1: without that column."""
    series = any(part.explanation.degrees > 1 for part in parts)
    return table if series else table.drop(columns="degree")


def roots_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``roots.csv``: one root on a sample's forward path a row, whatever became of it."""
    return _sorted(
        [_layer_roots(part, layer, roots) for part, layer, roots in _evidence(parts)],
        ["sample", "layer", "neuron"],
        [*_UNIT, "status", *EVIDENCE_COLUMNS, "evaluations", "certified"],
    )


def _layer_roots(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    table = _unit_keys(part, layer, roots)
    table["status"] = _names(roots.status, Status)
    for name in EVIDENCE_COLUMNS:
        values = pd.Series(_numbers(getattr(roots, name)).ravel())
        if values.dtype == bool:
            # Of a unit without a root nothing is said.
            values = values.astype("boolean").mask(~_numbers(roots.rooted).ravel())
        table[name] = values
    table["evaluations"] = _numbers(roots.evaluations).ravel()
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
            table["status"] = _names(roots.status, Status)
            positions = pd.Series(_numbers(roots.line.positions).ravel())
            table["position"] = positions.where(_numbers(roots.rooted).ravel())
            tables.append(table)
    return _sorted(tables, ["sample", "layer", "neuron"])


def chains_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``chains.csv``: one Markov chain a row."""
    tables = []
    for part, layer, roots in _evidence(parts):
        if roots.chains is not None:
            samples, count = roots.chains.accepted.shape
            table = pd.DataFrame(
                {
                    "sample": np.repeat(part.samples, count),
                    "layer": layer,
                    "finder": roots.finder,
                    "chain": np.tile(np.arange(count), samples),
                }
                | {name: _numbers(getattr(roots.chains, name)).ravel() for name in CHAIN_COLUMNS}
            )
            table["steps"], table["warmup"] = roots.chains.steps, roots.chains.warmup
            tables.append(table)
    return _sorted(tables, ["sample", "layer"])


def solutions_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``solutions.csv``: what a solver says of its root, one program a row."""
    tables = []
    for part, layer, roots in _evidence(parts):
        if roots.solution is not None:
            table = _unit_keys(part, layer, roots)
            table["outcome"] = _names(roots.solution.outcome, Outcome)
            for name in ("objective", "bound", "gap"):
                table[name] = _numbers(getattr(roots.solution, name)).ravel()
            tables.append(table)
    return _sorted(tables, ["sample", "layer", "neuron"])


def interactions_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``interactions.csv``: one entry of a sample's degree-2 matrix of one layer a row."""
    tables = [
        _layer_interactions(part, layer, _numbers(matrices))
        for part in parts
        for layer, matrices in part.explanation.interactions.items()
    ]
    return _sorted(tables, ["sample", "layer", "i", "k"])


def _layer_interactions(part: Explained, layer: int, matrices: np.ndarray) -> pd.DataFrame:
    row, i, k = (index.ravel() for index in np.indices(matrices.shape))
    samples = part.samples[row]
    relevance = matrices.ravel()
    return pd.DataFrame({"sample": samples, "layer": layer, "i": i, "k": k, "relevance": relevance})


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
        for layer, searches in part.explanation.evidence.items()
        for roots in searches
    ]


def _unit_keys(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    samples, units = roots.status.shape
    return pd.DataFrame(
        {
            "sample": np.repeat(part.samples, units),
            "layer": layer,
            "neuron": np.tile(roots.neurons, samples),
            "finder": roots.finder,
        }
    )


def _names(values: Tensor, kind: type[IntEnum]) -> np.ndarray:
    names = np.array([name.lower() for name in kind.__members__])
    return np.take(names, _numbers(values).astype(int).ravel())


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
