"""Files that anybody may have made: read within limits, or refused in one line.

The folder of a run may come from somebody else, and so may what lies where a run is to go. Here is
the only code that reads it. What is no plain file, or larger, deeper or of another kind than what
this program writes, is refused before it costs time or memory. Nothing is resolved or executed.
"""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dtd_cli.records.columns import INPUTS, SCHEMAS, Schema

if TYPE_CHECKING:
    # Slow to import, and not needed by all who read.
    import pandas as pd

T = TypeVar("T")

LARGEST = 2 * 2**30
"""Bytes that are read of a file at most."""
LARGEST_TEXT = 2**20
"""Bytes of a file of settings or figures."""
_DEEPEST, _LONGEST_KEY, _LONGEST_WORD, _DIGITS = 12, 300, 10_000, 18
_LONGEST_HEADER, _MOST_COLUMNS, _MOST_FEATURES = 2**23, 60, 100_000
_MOST_METHODS, _LONGEST_METHOD = 60, 100


class UnreadableError(ValueError):
    """A file is not what it should be; the message is one line that begins with its name."""


@contextmanager
def opened(path: Path, largest: int = LARGEST) -> Iterator[BufferedReader]:
    """A plain file, to be read: no link, and nothing that waits for somebody or never ends.

    Raises:
        UnreadableError: it is something else, is larger, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        kind = "a link" if path.is_symlink() else getattr(error, "strerror", None) or error
        raise UnreadableError(f"{path.name}: {kind}") from error
    found = os.fstat(handle)
    try:
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(f"{path.name}: no plain file")
        if found.st_size > largest:
            raise UnreadableError(f"{path.name}: larger than {largest / 2**20:.0f} MiB")
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    except OSError as error:
        raise UnreadableError(f"{path.name}: {error.strerror}") from error
    finally:
        os.close(handle)


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a plain file.

    Raises:
        UnreadableError: see :func:`opened`.
    """
    with opened(path, largest) as file:
        # No more than was allowed, also where somebody still writes.
        return file.read(os.fstat(file.fileno()).st_size)


def read_json(path: Path, kind: type[T], largest: int = LARGEST_TEXT) -> T:
    """The content of a JSON file, which is of the type ``kind``.

    Raises:
        UnreadableError: it is not, or see :func:`opened`.
    """
    from pydantic import ValidationError

    content = read_bytes(path, largest)
    try:
        _check(json.loads(content, parse_int=_integer, parse_float=_finite, parse_constant=_finite))
        read: T = _adapter(cast(Any, kind)).validate_json(content, strict=True)
        return read
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
        raise UnreadableError(f"{path.name}: {one_line(said)}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path.name}: {one_line(error)}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file: a mapping of texts, numbers, truth values, lists and mappings.

    Raises:
        UnreadableError: it holds something else, or see :func:`opened`.
    """
    content = read_bytes(path, LARGEST_TEXT)
    try:
        values = parse_yaml(content.decode())
        if not isinstance(values, dict):
            raise ValueError("no settings")
    except ValueError as error:
        raise UnreadableError(f"{path.name}: {one_line(error)}") from error
    return values


def parse_yaml(text: str) -> Any:
    """What a text in YAML says, without aliases and tags, which can stand for anything.

    Raises:
        ValueError: it has such, or is no YAML.
    """
    import yaml

    try:
        depth = 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
                raise ValueError("it has an alias or a tag")
            if depth > _DEEPEST or len(getattr(event, "value", "")) > _LONGEST_WORD:
                raise ValueError("too deep, or too long a word")
        # libyaml's parser is ten times as fast as the one in Python.
        values = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(one_line(error)) from error
    _check(values)
    return values


def read_table(path: Path) -> pd.DataFrame:
    """A table of a run, with the columns that its readers need, if it is one of these.

    Raises:
        UnreadableError: it was cut off, is no table, or see :func:`opened`.
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


def one_line(message: object) -> str:
    """A message without line breaks, and not longer than one reads."""
    return " ".join(str(message).split())[:300]


def is_file(path: Path) -> bool:
    """Whether there is a file: a link or a pipe is none."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


@cache
def _adapter(kind: Any) -> Any:
    # Slow to import, and not needed by all who read.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not abs(number) < float("inf"):
        raise ValueError(f"{digits[:20]} is no finite number")
    return number


def _check(values: object) -> None:
    """Refuse values that are nested too deeply, or of kinds that are not written by this program.

    Raises:
        ValueError: with the reason.
    """
    waiting = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(value, dict):
            if not all(isinstance(key, str) and len(key) <= _LONGEST_KEY for key in value):
                raise ValueError("a name is no text, or too long")
            waiting += [(entry, depth + 1) for entry in value.values()]
        elif isinstance(value, list):
            waiting += [(entry, depth + 1) for entry in value]
        elif isinstance(value, int):
            if abs(value) >= 10**_DIGITS:
                raise ValueError(f"a number of more than {_DIGITS} digits")
        elif isinstance(value, str):
            # Half of a letter, which no file can hold.
            value.encode()
        elif not (value is None or isinstance(value, float)):
            raise ValueError(f"{one_line(value)[:40]} is no text or number")


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
