"""How far relevance goes: the largest of each method beside f, and where there is none."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dtd_cli.records.limits import is_finite
from dtd_cli.records.methods import named


def of_units(relevance: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """The relevance of each unit below the output, in one row also where degrees have rows.

    Args:
        relevance: ``relevance.csv``.
        layers: ``layers.csv``; where it says that no finite relevance exists there is none.
    """
    own = relevance["method"] != "target"
    below = relevance["layer"] < relevance["layer"].max()
    rows = named(relevance[own & below & is_finite(relevance, layers)])
    keys = ["method", "sample", "layer", "neuron"]
    return rows.groupby(keys, sort=False)["relevance"].sum().reset_index()


def largest_relevance(units: pd.DataFrame, f: pd.Series) -> dict[str, dict[str, Any]]:
    """By method: the largest |R| / |f| below the output, and the unit and sample that have it.

    Args:
        units: as :func:`of_units` gives them.
        f: of the explained samples, by their numbers.
    """
    units = units.assign(share=units["relevance"].abs() / units["sample"].map(f).abs())
    largest = units.loc[units.groupby("method", sort=False)["share"].idxmax()]
    return {
        str(row["method"]): {
            "share": float(row["share"]),
            **{name: int(row[name]) for name in ("sample", "layer", "neuron")},
        }
        for _, row in largest.iterrows()
    }


def without_relevance(units: pd.DataFrame) -> dict[str, int]:
    """By method: how many of its samples have no relevance in the input, in none of its units.

    ``units`` are as :func:`of_units` gives them.
    """
    units = units[units["layer"] == 0]
    reached = units.groupby(["method", "sample"], sort=False)["relevance"].any()
    nothing = (~reached).groupby(level="method", sort=False).sum()
    return {str(method): int(count) for method, count in nothing.items()}
