"""Roots as tidy frames: one root, or one coordinate of a root, a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtd.explainer.explained import Explained
from dtd.explainer.frames import in_order, names, numbers
from dtd.relevance.evidence import Evidence
from dtd.relevance.limits.state import LimitState, states
from dtd.roots.contract import Status

EVIDENCE_COLUMNS = (
    "relevance", "residual", "distance", "admissible", "same_region", "gradient_norm",
    "gradient_gap", "output_change",
)  # fmt: skip
UNIT = ("method", "sample", "layer", "neuron", "finder")
"""The columns that say whose root it is."""


def roots_frame(parts: Sequence[Explained]) -> pd.DataFrame:
    """One root on a sample's forward path a row, whatever became of it."""
    return in_order(
        [_layer_roots(part, layer, roots) for part, layer, roots in searches(parts)],
        ["sample", "layer", "neuron"],
        [*UNIT, "status", *EVIDENCE_COLUMNS, "evaluations", "certified", "limit", "limit_error"],
    )


def root_points_frame(parts: Sequence[Explained]) -> pd.DataFrame:
    """One coordinate of a root a row; units without a root have none."""
    return in_order(
        [_layer_points(part, layer, roots) for part, layer, roots in searches(parts)],
        ["sample", "layer", "neuron"],
        [*UNIT, "index", "value"],
    )


def searches(parts: Sequence[Explained]) -> list[tuple[Explained, int, Evidence]]:
    """Every search of every layer: whose it is, the layer, and its roots."""
    return [
        (part, layer, roots)
        for part in parts
        for layer, evidence in part.explanation.evidence.items()
        for roots in evidence
    ]


def unit_keys(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    """The columns ``UNIT`` of roots (B, J), a row a root."""
    samples, units = roots.status.shape
    return pd.DataFrame(
        {
            "method": part.method,
            "sample": np.repeat(numbers(part.samples), units),
            "layer": layer,
            "neuron": np.tile(roots.neurons, samples),
            "finder": roots.finder,
        }
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
    table["limit"] = names(states(roots.limit_error), LimitState)
    table["limit_error"] = numbers(roots.limit_error).ravel()
    return table


def _layer_points(part: Explained, layer: int, roots: Evidence) -> pd.DataFrame:
    rooted = numbers(roots.rooted).ravel()
    keys = unit_keys(part, layer, roots)[rooted]
    points = numbers(roots.points).reshape(len(rooted), -1)[rooted]
    count, size = points.shape
    table = keys.loc[keys.index.repeat(size)].reset_index(drop=True)
    table["index"] = np.tile(np.arange(size), count)
    table["value"] = points.ravel()
    return table
