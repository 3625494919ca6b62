"""Files of tables: text with separators, Parquet, arrays."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from dtd_cli.config.errors import SettingError
from dtd_cli.inputs.arrays import read_array, read_arrays
from dtd_cli.inputs.content import Content, refused
from dtd_cli.inputs.delimited import Dialect, read_text

_UNREADABLE = (OSError, EOFError, ValueError, OverflowError, zlib.error)
"""Pandas' and NumPy's errors of files that are cut off, damaged, or something else."""


def read(path: str, dialect: Dialect) -> Content:
    """The table in a file, by the ending of its name; what is no other is text.

    Raises:
        SettingError: there is no table in it, or not one that can be understood.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise SettingError("inputs.path", path, "no such file; allowed is a file with a table")
    try:
        reader = _READERS.get(file.suffix.lower())
        return reader(file) if reader else read_text(file, dialect)
    except UnicodeError as error:
        raise refused(
            path,
            f"it is not {dialect.encoding or 'UTF-8'} ({error}); inputs.encoding=latin-1 reads "
            "what older programs write, inputs.encoding=utf-16 what some spreadsheets write",
        ) from error
    except ImportError as error:
        raise refused(
            path, "Parquet needs the package pyarrow: pip install 'dtd-run[parquet]'"
        ) from error
    except SettingError:
        raise
    except _UNREADABLE as error:
        raise refused(path, f"it cannot be read as a table ({_one_line(error)})") from error


def _parquet(path: Path) -> Content:
    frame = pd.read_parquet(path)
    return Content(frame.set_axis([str(column) for column in frame.columns], axis=1))


_READERS: dict[str, Callable[[Path], Content]] = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".npy": read_array,
    ".npz": read_arrays,
}


def _one_line(error: Exception) -> str:
    message = str(error).removeprefix("Error tokenizing data. C error: ")
    return " ".join(message.split()) or type(error).__name__
