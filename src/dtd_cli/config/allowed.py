"""What a setting may be, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from dtd_cli.config.errors import as_written


def allowed(adapter: TypeAdapter[Any], field: object) -> str:
    """What a field of a dataclass may be, in words: from its type and what annotates it."""
    schema = adapter.json_schema()["properties"][field]
    return f"allowed {'are' if 'enum' in schema else 'is'} {_words(schema)}"


def described(value: object) -> str:
    """A value with its type, in words."""
    kind = _TYPES.get(type(value))
    return f"{as_written(value)}, {kind}" if kind else str(as_written(value))


def _words(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if "anyOf" in schema:
        return ", or ".join(map(_words, schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"])
    limits = [f"{sign} {schema[key]:g}" for key, sign in _SIGNS.items() if key in schema]
    noun = _NOUNS[schema["type"]]
    items = schema.get("items", {}).get("type")
    if items in _NOUNS:
        noun += f" of {_NOUNS[items].split()[-1]}s"
    return f"any {noun.split()[-1]} {' and '.join(limits)}" if limits else noun


_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_NOUNS = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "null": "null",
}
_TYPES = {
    int: _NOUNS["integer"],
    float: _NOUNS["number"],
    str: _NOUNS["string"],
    list: _NOUNS["array"],
}
