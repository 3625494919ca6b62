"""How far relevance goes: the largest of each method beside f, and where there is none."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dtd_cli.records.limits import is_finite
from dtd_cli.records.methods import named


def largest_relevance(
    relevance: pd.DataFrame, layers: pd.DataFrame, f: pd.Series
) -> dict[str, dict[str, Any]]:
    """By method: the largest |R| / |f| below the output, and the unit and sample that have it.

    Args:
        relevance: ``relevance.csv``.
        layers: ``layers.csv``; where it says that no finite relevance exists there is none.
        f: of the explained samples, by their numbers.
    """
    units = _of_units(relevance, layers)
    units["share"] = units["relevance"].abs() / units["sample"].map(f).abs()
    largest = units.loc[units.groupby("method", sort=False)["share"].idxmax()]
    return {
        str(row["method"]): {
            "share": float(row["share"]),
            **{name: int(row[name]) for name in ("sample", "layer", "neuron")},
        }
        for _, row in largest.iterrows()
    }


def without_relevance(relevance: pd.DataFrame, layers: pd.DataFrame) -> dict[str, int]:
    """By method: how many of its samples have no relevance in the input, in none of its units."""
    units = _of_units(relevance, layers)
    units = units[units["layer"] == 0]
    reached = units.groupby(["method", "sample"], sort=False)["relevance"].any()
    nothing = (~reached).groupby(level="method", sort=False).sum()
    return {str(method): int(count) for method, count in nothing.items()}


def _of_units(relevance: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """A row for each unit below the output, also where every degree of a series has one."""
    own = relevance["method"] != "target"
    below = relevance["layer"] < relevance["layer"].max()
    rows = named(relevance[own & below & is_finite(relevance, layers)])
    keys = ["method", "sample", "layer", "neuron"]
    return rows.groupby(keys, sort=False)["relevance"].sum().reset_index()
