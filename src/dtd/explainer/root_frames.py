"""Roots as tidy frames: one root, or one coordinate of a root, a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtd.explainer.explained import Explained
from dtd.explainer.frames import filled, names, numbers, one_frame
from dtd.relevance.evidence import Evidence
from dtd.relevance.limits.state import LimitState, states
from dtd.roots.contract import Status

EVIDENCE_COLUMNS = (
    "relevance", "residual", "distance", "admissible", "same_region", "gradient_norm",
    "gradient_gap", "output_change",
)  # fmt: skip
_OF_SEARCHES = ("evaluations", "certified", "limit", "limit_error")
UNIT = ("method", "sample", "layer", "neuron", "finder")
"""The columns that say whose root it is."""


def roots_frame(parts: Sequence[Explained]) -> pd.DataFrame:
    """One root on a sample's forward path a row, whatever became of it."""
    table = one_frame(
        [_layer_roots(part, layer, roots) for part, layer, roots in searches(parts)],
        ["sample", "layer", "neuron"],
        [*UNIT, "status", *EVIDENCE_COLUMNS, *_OF_SEARCHES, "rooted"],
    )
    rootless = ~table.pop("rooted").astype(bool)
    # Of a unit without a root nothing is said.
    said = {
        name: table[name].astype("boolean").mask(rootless)
        for name in EVIDENCE_COLUMNS
        if table[name].dtype == bool
    }
    return table.assign(**said)


def root_points_frame(parts: Sequence[Explained]) -> pd.DataFrame:
    """One coordinate of a root a row; units without a root have none."""
    return one_frame(
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


def unit_keys(part: Explained, layer: int, roots: Evidence) -> dict[str, np.ndarray]:
    """The columns ``UNIT`` of roots (B, J), a row a root."""
    samples, units = roots.status.shape
    return filled(
        {
            "method": part.method,
            "sample": np.repeat(numbers(part.samples), units),
            "layer": layer,
            "neuron": np.tile(roots.units, samples),
            "finder": roots.finder,
        }
    )


def _layer_roots(part: Explained, layer: int, roots: Evidence) -> dict[str, np.ndarray]:
    return {
        **unit_keys(part, layer, roots),
        "status": names(roots.status, Status),
        **{name: numbers(getattr(roots, name)).ravel() for name in EVIDENCE_COLUMNS},
        "evaluations": numbers(roots.evaluations).ravel(),
        "certified": numbers(roots.certified).ravel(),
        "limit": names(states(roots.limit_error), LimitState),
        "limit_error": numbers(roots.limit_error).ravel(),
        "rooted": numbers(roots.rooted).ravel(),
    }


def _layer_points(part: Explained, layer: int, roots: Evidence) -> dict[str, np.ndarray]:
    rooted = numbers(roots.rooted).ravel()
    points = numbers(roots.points).reshape(len(rooted), -1)[rooted]
    count, size = points.shape
    keys = unit_keys(part, layer, roots).items()
    return {
        **{name: np.repeat(values[rooted], size) for name, values in keys},
        "index": np.tile(np.arange(size), count),
        "value": points.ravel(),
    }
