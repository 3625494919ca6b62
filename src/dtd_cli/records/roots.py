"""``roots.csv``, ``root_points.csv``: the roots on the samples' own path, with their evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtd.relevance.evidence import Evidence
from dtd.roots.contract import Status
from dtd_cli.records.rows import UNIT, Explained, evidence, in_order, names, numbers, unit_keys

EVIDENCE_COLUMNS = (
    "relevance", "residual", "distance", "admissible", "same_region", "gradient_norm",
    "gradient_gap", "output_change",
)  # fmt: skip


def roots_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``roots.csv``: one root on a sample's forward path a row, whatever became of it."""
    return in_order(
        [_layer_roots(part, layer, roots) for part, layer, roots in evidence(parts)],
        ["sample", "layer", "neuron"],
        [*UNIT, "status", *EVIDENCE_COLUMNS, "evaluations", "certified"],
    )


def _layer_roots(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    table = unit_keys(part, layer, roots)
    table["status"] = names(roots.status, Status)
    for name in EVIDENCE_COLUMNS:
        values = pd.Series(numbers(getattr(roots, name)).ravel())
        if values.dtype == bool:
            # Of a unit without a root nothing is said.
            values = values.astype("boolean").mask(~numbers(roots.rooted).ravel())
        table[name] = values
    table["evaluations"] = numbers(roots.evaluations).ravel()
    table["certified"] = numbers(roots.certified).ravel()
    return table


def root_points_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``root_points.csv``: one coordinate of a root a row; units without a root have none."""
    return in_order(
        [_layer_points(part, layer, roots) for part, layer, roots in evidence(parts)],
        ["sample", "layer", "neuron"],
        [*UNIT, "index", "value"],
    )


def _layer_points(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    rooted = numbers(roots.rooted).ravel()
    keys = unit_keys(part, layer, roots)[rooted]
    points = numbers(roots.points).reshape(len(rooted), -1)[rooted]
    count, size = points.shape
    table = keys.loc[keys.index.repeat(size)].reset_index(drop=True)
    table["index"] = np.tile(np.arange(size), count)
    table["value"] = points.ravel()
    return table
