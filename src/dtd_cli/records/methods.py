"""What readers of a run's tables call its methods."""

from __future__ import annotations

import pandas as pd


def named(table: pd.DataFrame) -> pd.DataFrame:
    """A table in which a further root search has a method of its own, ``recursive, LABEL``."""
    if "roots" not in table or "method" not in table:
        return table
    label = table["roots"]
    further = label.notna() & (label != "")
    method = table["method"].mask(further, table["method"] + ", " + label.astype(str))
    return table.assign(method=method)
