"""JSON and YAML of a run: the values in them, or one line that says what they are not."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from dtd_cli.records.reading import LARGEST_TEXT, UnreadableError, one_line, read_bytes

T = TypeVar("T")

_DEEPEST, _LONGEST_KEY, _LONGEST_WORD, _DIGITS = 12, 300, 10_000, 18


def read_json(path: Path, kind: type[T], largest: int = LARGEST_TEXT) -> T:
    """The content of a JSON file, which is of the type ``kind``.

    Raises:
        UnreadableError: it is not, or see :func:`~dtd_cli.records.reading.opened`.
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
        UnreadableError: it holds something else, or see :func:`~dtd_cli.records.reading.opened`.
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
