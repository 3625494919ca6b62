"""Columns of tables that are read again."""

from __future__ import annotations

INPUTS = (
    *("sample", "status", "output", "f", "class", "predicted", "label", "row", "index", "part"),
)
"""``inputs.csv`` starts with these; its other columns are the features."""
INPUT_TEXTS = ("class", "predicted", "label", "row", "index", "part")
"""Those of them that hold texts."""
