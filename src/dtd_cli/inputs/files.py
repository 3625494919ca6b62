"""Files of tables, read by pandas and NumPy: text with separators, Parquet, arrays."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dtd_cli.config.errors import SettingError
from dtd_cli.inputs.source import Image, place

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": " "}
"""What may stand between columns."""
_TRIED = ("\t", ";", ",", "|")
"""In this order: names and numbers have commas in them, and hardly ever the others."""
DECIMALS = {"point": ".", "comma": ","}
"""What may stand before the fraction of a number."""
_SHOWN, _LONGEST = 3, 40
"""How many cells, and letters of one, a message shows."""


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


@dataclass(frozen=True, eq=False)
class Content:
    """What a file holds: columns with names, the empty name where there is none.

    Of an array of images, ``image`` is their shape, and the columns are the pixels. ``notes`` say
    what was found out about the file.
    """

    frame: pd.DataFrame
    image: Image | None = None
    notes: tuple[str, ...] = ()


def read(path: str, dialect: Dialect) -> Content:
    """The table in a file, by the ending of its name; what is no other is text.

    Raises:
        SettingError: there is no table in it, or not one that can be understood.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise SettingError("inputs.path", path, "no such file; allowed is a file with a table")
    try:
        return _READERS.get(file.suffix.lower(), _text)(file, dialect)
    except UnicodeError as error:
        raise _refused(
            path,
            f"it is not {dialect.encoding or 'UTF-8'} ({error}); inputs.encoding=latin-1 reads "
            "what older programs write, inputs.encoding=utf-16 what some spreadsheets write",
        ) from error
    except ImportError as error:
        raise _refused(
            path, "Parquet needs the package pyarrow: pip install 'dtd-run[parquet]'"
        ) from error
    except SettingError:
        raise
    except _UNREADABLE as error:
        raise _refused(path, f"it cannot be read as a table ({_one_line(error)})") from error


_UNREADABLE = (OSError, EOFError, ValueError, OverflowError, zlib.error)
"""Pandas' and NumPy's errors of files that are cut off, damaged, or something else."""


def _text(path: Path, dialect: Dialect) -> Content:
    encoding = dialect.encoding or "utf-8-sig"
    separators = (dialect.separator,) if dialect.separator else _TRIED

    def first_row(separator: str) -> list[str]:
        options = _options(separator, encoding) | {"header": None, "nrows": 1, "dtype": str}
        return [str(cell).strip() for cell in pd.read_csv(path, **options).iloc[0]]

    try:
        firsts = {separator: first_row(separator) for separator in separators}
    except pd.errors.EmptyDataError as error:
        raise _refused(path, "it is empty; allowed is a header row and rows below it") from error
    separator = next((one for one, cells in firsts.items() if len(cells) > 1), separators[0])
    first = firsts[separator]
    has_header = dialect.header is not False
    names = first if has_header else [f"x{number + 1}" for number in range(len(first))]

    def body(decimal: str) -> pd.DataFrame:
        options = _options(separator, encoding) | {"header": 0 if has_header else None}
        return _whole(path, options | {"names": range(len(names)), "decimal": decimal})

    frame, notes = body(dialect.decimal or "."), []
    if separator != "," and len(names) > 1:
        notes.append(f"{path}: columns are separated by {separator!r}")
        if dialect.decimal is None and _has_decimal_commas(path, names, frame, body):
            frame = body(",")
            notes.append(f"{path}: numbers have decimal commas")
    if dialect.header is None:
        _check_header(path, first, frame)
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
    of_numbers = [name for column, name in enumerate(first) if _is_numeric(frame[column])]
    doubtful = of_numbers or first
    counted = len(first) > 1 and doubtful == [str(number) for number in range(len(doubtful))]
    if counted or not all(map(_is_number, doubtful)):
        return
    shown = ", ".join(first[:_SHOWN]) + (", …" if len(first) > _SHOWN else "")
    raise _refused(
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
    text = [column for column in range(len(names)) if not _is_numeric(frame[column])]
    if not any(frame[column].astype(str).str.contains(r"\d,\d").any() for column in text):
        return False
    with_commas = body(",")
    numbers = [column for column in text if _is_numeric(with_commas[column])]
    if not numbers:
        return False
    lost = [
        column
        for column in range(len(names))
        if _is_numeric(frame[column]) and not _is_numeric(with_commas[column])
    ]
    if lost:
        raise _refused(
            path,
            f"column {names[numbers[0]]!r} has decimal commas and column {names[lost[0]]!r} has "
            "decimal points; allowed is one of them",
        )
    cells = pd.concat([frame[column].astype(str) for column in numbers])
    cells = cells[cells.str.contains(",")]
    if cells.str.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+").all():
        raise _refused(
            path,
            f"the comma in {cells.iloc[0]!r} may be a decimal comma, or stand between thousands; "
            "inputs.decimal=comma reads it as a decimal comma, and thousands are to be written "
            "without one",
        )
    return True


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_any_real_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _parquet(path: Path, dialect: Dialect) -> Content:
    frame = pd.read_parquet(path)
    return Content(frame.set_axis([str(column) for column in frame.columns], axis=1))


def _array(path: Path, dialect: Dialect) -> Content:
    return _of_array(path, np.load(path, allow_pickle=False))


def _arrays(path: Path, dialect: Dialect) -> Content:
    """Of several arrays the one of two or more dimensions, and the others as columns."""
    with np.load(path, allow_pickle=False) as arrays:
        named = dict(arrays)
    tables = [name for name, array in named.items() if array.ndim > 1]
    if len(tables) != 1:
        raise _refused(
            path,
            f"it has the arrays {', '.join(named)}; allowed is one of two or more dimensions, "
            "and columns as arrays of one",
        )
    content = _of_array(path, named.pop(tables[0]))
    wrong = [name for name, array in named.items() if array.shape != (len(content.frame),)]
    if wrong:
        raise _refused(
            path,
            f"its array {wrong[0]} has the shape {named[wrong[0]].shape}; allowed is "
            f"({len(content.frame)},), a value for each row",
        )
    return Content(content.frame.assign(**named), content.image)


def _of_array(path: Path, array: np.ndarray) -> Content:
    if array.dtype.names:
        return Content(pd.DataFrame(array))
    if not 2 <= array.ndim <= 4:
        raise _refused(
            path,
            f"its array has the shape {array.shape}; allowed are (rows, columns), and of images "
            "(rows, height, width) or (rows, channels, height, width)",
        )
    image = None
    if array.ndim > 2:
        channels, height, width = (1, *array.shape[1:])[-3:]
        image = channels, height, width
    columns = array.reshape(len(array), -1)
    return Content(
        pd.DataFrame(columns, columns=[f"x{i + 1}" for i in range(columns.shape[1])]), image
    )


_READERS: dict[str, Callable[[Path, Dialect], Content]] = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".npy": _array,
    ".npz": _arrays,
}


def numbers(path: str, frame: pd.DataFrame) -> np.ndarray:
    """The columns as numbers, (N, d).

    Raises:
        SettingError: a column is text, or a cell is no finite number.
    """
    found: np.ndarray = frame.apply(_numeric).to_numpy(float, na_value=np.nan)
    wrong = ~np.isfinite(found)
    if not wrong.any():
        return found
    text = np.flatnonzero(wrong.all(0))
    column = int(text[0]) if len(text) else int(np.argwhere(wrong)[0, 1])
    row = int(np.flatnonzero(wrong[:, column])[0])
    name, cell = frame.columns[column], str(frame.iat[row, column])[:_LONGEST]
    if len(text) and len(frame) > 1 and cell.strip():
        raise _refused(
            path,
            f"column {name!r} is text ({cell!r} in row {row}); allowed are numbers: take it as the "
            f"label (inputs.label={name}), as classes of 0 and 1 (inputs.onehot=[{name}]), as the "
            f"name of the rows (inputs.index={name}), or leave it out (inputs.drop=[{name}])",
        )
    what = f"is {cell!r}" if cell.strip() else "is empty"
    raise _refused(
        path,
        f"{place(row, name)} {what}; allowed are finite numbers in the range of float64 (a column "
        f"is left out by inputs.drop=[{name}])",
    )


def _numeric(column: pd.Series) -> pd.Series:
    """The column as numbers, NaN where a cell is none; dates are none."""
    return column if _is_numeric(column) else pd.to_numeric(column.astype(str), errors="coerce")


def _refused(path: object, reason: str) -> SettingError:
    return SettingError("inputs.path", str(path), reason)


def _one_line(error: Exception) -> str:
    message = str(error).removeprefix("Error tokenizing data. C error: ")
    return " ".join(message.split()) or type(error).__name__
