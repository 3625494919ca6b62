"""The tables of a run, as whoever reads them can rely on them."""

from __future__ import annotations

import csv
import os
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from dtd_cli.records.columns import INPUTS, SCHEMAS, Schema
from dtd_cli.records.reading import UnreadableError, one_line, opened

if TYPE_CHECKING:
    # Slow to import, and not needed by all who read.
    import pandas as pd

_LONGEST_HEADER, _MOST_COLUMNS, _MOST_FEATURES = 2**23, 60, 100_000
_MOST_METHODS, _LONGEST_METHOD = 60, 100


def read_table(path: Path) -> pd.DataFrame:
    """A table of a run, with the columns that its readers need, if it is one of these.

    Raises:
        UnreadableError: it was cut off, or is no table; see also
            :func:`~dtd_cli.records.reading.opened`.
    """
    import pandas as pd

    schema = SCHEMAS.get(path.name)
    try:
        with opened(path) as file:
            rows = _check_shape(
                file, _MOST_FEATURES if path.name == "inputs.csv" else _MOST_COLUMNS
            )
            table = pd.read_csv(
                file,
                dtype=dict.fromkeys(schema.texts, str) if schema else None,
                keep_default_na=path.name != "inputs.csv",
                low_memory=False,
            )
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("rows are longer than the header")
        if schema and len(table):
            _check_columns(table, schema)
            if path.name != "inputs.csv" and rows != len(table) + 1:
                raise ValueError("its lines are no rows")
        return _with_features(table) if path.name == "inputs.csv" else table
    except UnreadableError:
        raise
    except (ValueError, OverflowError, csv.Error) as error:
        raise UnreadableError(f"{path.name}: {one_line(error)}") from error


def _check_shape(file: BufferedReader, most: int) -> int:
    """How many lines a table has.

    Raises:
        ValueError: it is not whole, or has another shape than it has letters for.
    """
    size = file.seek(0, os.SEEK_END)
    if not size or os.pread(file.fileno(), 1, size - 1) != b"\n":
        raise ValueError("cut off")
    file.seek(0)
    header = file.readline(_LONGEST_HEADER).decode()
    columns = len(next(csv.reader([header]), []))
    if columns > most:
        raise ValueError(f"more than {most} columns")
    file.seek(0)
    rows = sum(block.count(b"\n") for block in iter(lambda: file.read(2**24), b""))
    # Each cell takes a letter at least: the one that ends it.
    if rows * columns > size:
        raise ValueError("rows are shorter than the header")
    file.seek(0)
    return rows


def _check_columns(table: pd.DataFrame, schema: Schema) -> None:
    """Refuse a table in which a column is missing, or holds what it cannot hold.

    Raises:
        ValueError: with the column.
    """
    absent = [name for name in schema.required if name not in table.columns]
    if absent:
        raise ValueError(f"no column {', '.join(absent)}")
    for name in schema.indices:
        if table[name].dtype.kind != "i" or table[name].min() < 0:
            raise ValueError(f"{name} holds what is no number from 0 on")
    for name in schema.numbers:
        if table[name].dtype.kind not in "if" or table[name].abs().max() == float("inf"):
            raise ValueError(f"{name} holds what is no number")
    if "method" in schema.texts:
        methods = table["method"].unique()
        if len(methods) > _MOST_METHODS or not all(map(_is_method, methods)):
            raise ValueError("method holds what is no name of a method")


def _is_method(name: object) -> bool:
    return isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_METHOD


def _with_features(table: pd.DataFrame) -> pd.DataFrame:
    """The table of inputs, whose other columns are features, and so numbers.

    Raises:
        ValueError: one is none, or a sample is there twice.
    """
    import numpy as np

    if tuple(table.columns[: len(INPUTS)]) != INPUTS:
        raise ValueError(f"it does not begin with the columns {', '.join(INPUTS)}")
    if not table["sample"].is_unique:
        raise ValueError("a sample is there twice")
    # A feature that is called as a column of texts was read as texts.
    texts = [name for name in table.columns[len(INPUTS) :] if table[name].dtype.kind not in "if"]
    table = table.astype(dict.fromkeys(texts, float))
    if not np.isfinite(table.iloc[:, len(INPUTS) :].to_numpy(float)).all():
        raise ValueError("a feature is no number")
    return table
