"""The cells of a table as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dtd_cli.inputs.content import refused
from dtd_cli.inputs.source import place

_LONGEST = 40
"""How many letters of a cell a message shows."""


def is_numeric(column: pd.Series) -> bool:
    """Whether a column is of numbers or truth values."""
    return pd.api.types.is_any_real_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def numbers(path: str, frame: pd.DataFrame) -> np.ndarray:
    """The columns as numbers, (N, d).

    Raises:
        SettingError: a column is text, or a cell is no finite number.
    """
    cells: np.ndarray = frame.apply(_numeric).to_numpy(float, na_value=np.nan)
    wrong = ~np.isfinite(cells)
    if not wrong.any():
        return cells
    text = np.flatnonzero(wrong.all(0))
    column = int(text[0]) if len(text) else int(np.argwhere(wrong)[0, 1])
    row = int(np.flatnonzero(wrong[:, column])[0])
    name, cell = frame.columns[column], str(frame.iat[row, column])[:_LONGEST]
    if len(text) and len(frame) > 1 and cell.strip():
        raise refused(
            path,
            f"column {name!r} is text ({cell!r} in row {row}); allowed are numbers: take it as the "
            f"label (inputs.label={name}), as classes of 0 and 1 (inputs.onehot=[{name}]), as the "
            f"name of the rows (inputs.index={name}), or leave it out (inputs.drop=[{name}])",
        )
    what = f"is {cell!r}" if cell.strip() else "is empty"
    raise refused(
        path,
        f"{place(row, name)} {what}; allowed are finite numbers in the range of float64 (a column "
        f"is left out by inputs.drop=[{name}])",
    )


def _numeric(column: pd.Series) -> pd.Series:
    """The column as numbers, NaN where a cell is none; dates are none."""
    return column if is_numeric(column) else pd.to_numeric(column.astype(str), errors="coerce")
