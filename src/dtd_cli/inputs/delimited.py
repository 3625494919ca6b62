"""Tables in text files: the separators, headers and decimal signs are found out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dtd_cli.inputs.cells import is_numeric
from dtd_cli.inputs.content import Content, refused

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": " "}
"""What may stand between columns."""
_TRIED = ("\t", ";", ",", "|")
"""In this order: names and numbers have commas in them, and hardly ever the others."""
DECIMALS = {"point": ".", "comma": ","}
"""What may stand before the fraction of a number."""
_SHOWN = 3
"""How many cells a message shows."""


@dataclass(frozen=True)
class Dialect:
    """How a text file writes a table; what is ``None`` is found out, or refused if in doubt.

    ``separator`` stands between columns, ``decimal`` before the fraction of a number, and
    ``header`` says whether the first row has names.
    """

    encoding: str | None
    separator: str | None
    decimal: str | None
    header: bool | None


def read_text(path: Path, dialect: Dialect) -> Content:
    """The table in a text file.

    Raises:
        SettingError: it is empty, or it is in doubt how the file is written.
    """
    encoding = dialect.encoding or "utf-8-sig"
    separators = (dialect.separator,) if dialect.separator else _TRIED

    def first_row(separator: str) -> list[str]:
        options = _options(separator, encoding) | {"header": None, "nrows": 1, "dtype": str}
        return [str(cell).strip() for cell in pd.read_csv(path, **options).iloc[0]]

    try:
        firsts = {separator: first_row(separator) for separator in separators}
    except pd.errors.EmptyDataError as error:
        raise refused(path, "it is empty; allowed is a header row and rows below it") from error
    separator = next((one for one, cells in firsts.items() if len(cells) > 1), separators[0])
    first = firsts[separator]
    has_header = dialect.header is not False
    names = first if has_header else [f"x{number + 1}" for number in range(len(first))]

    options = _options(separator, encoding) | {"header": 0 if has_header else None}
    options |= {"names": range(len(names))}

    def body(decimal: str) -> pd.DataFrame:
        return _whole(path, options | {"decimal": decimal})

    frame, notes = body(dialect.decimal or "."), []
    if separator != "," and len(names) > 1:
        notes.append(f"{path}: columns are separated by {separator!r}")
        if dialect.decimal is None and _has_decimal_commas(path, names, frame, body):
            frame = body(",")
            notes.append(f"{path}: numbers have decimal commas")
    if dialect.header is None:
        _check_header(path, first, frame)
    infinite = [name for name in frame if is_numeric(frame[name]) and np.isinf(frame[name]).any()]
    if infinite:
        # As it stands there, so that it can be named.
        written = _whole(path, options | {"dtype": str})
        for name in infinite:
            finite = np.isfinite(frame[name])
            frame[name] = frame[name].astype(object).where(finite, written[name])
    return Content(frame.set_axis(names, axis=1), notes=tuple(notes))


def _options(separator: str, encoding: str) -> dict[str, Any]:
    return {
        "sep": separator,
        "encoding": encoding,
        "keep_default_na": False,  # what stands there is kept, so that it can be named
        "skipinitialspace": True,
        "low_memory": False,  # a column has one type
        "index_col": False,
    }


def _whole(path: Path, options: dict[str, Any]) -> pd.DataFrame:
    """The rows of a file, none of which has more values than there are names."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame: pd.DataFrame = pd.read_csv(path, **options)
        except pd.errors.ParserWarning:
            # Pandas would leave out what has no name. With the header as a row it says where.
            rows = {"header": None, "names": None, "index_col": None}
            frame = pd.read_csv(path, **options | rows)
    return frame


def _check_header(path: Path, first: Sequence[str], frame: pd.DataFrame) -> None:
    """Refuse a first row that may be data: it has numbers wherever the rows below it have some.

    Numbers from 0 on are names that programs give.

    Raises:
        SettingError: with the settings that end the doubt.
    """
    of_numbers = [name for column, name in enumerate(first) if is_numeric(frame[column])]
    doubtful = of_numbers or first
    counted = len(first) > 1 and doubtful == [str(number) for number in range(len(doubtful))]
    if counted or not all(map(_is_number, doubtful)):
        return
    shown = ", ".join(first[:_SHOWN]) + (", …" if len(first) > _SHOWN else "")
    raise refused(
        path,
        f"its first row has numbers where those below have some ({shown}); inputs.header=false "
        "reads it as the first row of data, inputs.header=true as names",
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace(",", ".")))
    except ValueError:
        return False


def _has_decimal_commas(
    path: Path, names: Sequence[str], frame: pd.DataFrame, body: Callable[[str], pd.DataFrame]
) -> bool:
    """Whether columns of ``frame``, read with decimal points, are numbers with decimal commas.

    Raises:
        SettingError: commas may stand between thousands, or other columns have decimal points.
    """
    text = [column for column in range(len(names)) if not is_numeric(frame[column])]
    if not any(frame[column].astype(str).str.contains(r"\d,\d").any() for column in text):
        return False
    with_commas = body(",")
    numbers = [column for column in text if is_numeric(with_commas[column])]
    if not numbers:
        return False
    lost = [
        column
        for column in range(len(names))
        if is_numeric(frame[column]) and not is_numeric(with_commas[column])
    ]
    if lost:
        raise refused(
            path,
            f"column {names[numbers[0]]!r} has decimal commas and column {names[lost[0]]!r} has "
            "decimal points; allowed is one of them",
        )
    cells = pd.concat([frame[column].astype(str) for column in numbers])
    cells = cells[cells.str.contains(",")]
    if cells.str.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+").all():
        raise refused(
            path,
            f"the comma in {cells.iloc[0]!r} may be a decimal comma, or stand between thousands; "
            "inputs.decimal=comma reads it as a decimal comma, and thousands are to be written "
            "without one",
        )
    return True
