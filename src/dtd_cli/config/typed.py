"""From a mapping of settings to an object that has checked them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dtd.errors import InvalidSetting
from dtd_cli.config.errors import SettingError, as_written
from dtd_cli.config.names import as_setting
from dtd_cli.config.renamed import check_renamed

T = TypeVar("T")

_MISSING = "???"
"""What stands in a configuration for a value that the user has to give."""


def option(group: str, options: Mapping[str, type[T]], settings: Any) -> T:
    """The object of a config group: its ``name`` picks the class, the rest are its fields.

    Raises:
        SettingError: there is no such option, or as :func:`typed`.
    """
    allowed = f"allowed are {', '.join(options)}"
    if not isinstance(settings, dict):
        raise SettingError(group, settings, allowed)
    name = settings.get("name")
    if not isinstance(name, str) or name not in options:
        raise SettingError(group, name, allowed)
    given = {key: value for key, value in settings.items() if key != "name"}
    return typed(group, options[name], given)


def typed(group: str, schema: type[T], settings: Any) -> T:
    """An instance of the dataclass ``schema``, its fields checked against their types.

    Raises:
        SettingError: a setting is unknown, missing, or has a value that it cannot have.
    """
    prefix = f"{group}." if group else ""
    known = [field.name for field in fields(schema) if field.init]  # type: ignore[arg-type]
    if not isinstance(settings, dict):
        raise SettingError(group, settings, f"allowed are settings of {', '.join(known)}")
    adapter = TypeAdapter(schema)
    for key, value in settings.items():
        setting = f"{prefix}{key}"
        check_renamed(setting, value)
        if key not in known:
            raise SettingError(setting, value, f"no such setting; known are {', '.join(known)}")
        if value == _MISSING:
            allowed = f"it has no default; {_allowed(adapter, key)}"
            raise SettingError(setting, value, allowed)
    try:
        return adapter.validate_python(_in_words(settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InvalidSetting):
            raise as_setting(cause, group) from error
        field = first["loc"][0]
        raise SettingError(
            f"{prefix}{field}", settings.get(field, _MISSING), _allowed(adapter, field)
        ) from error


def _in_words(settings: Any) -> Any:
    """Settings in which true and false are words: as numbers, which they are too, nobody means
    them."""
    if isinstance(settings, dict):
        return {key: _in_words(value) for key, value in settings.items()}
    if isinstance(settings, list):
        return [_in_words(value) for value in settings]
    return as_written(settings) if isinstance(settings, bool) else settings


def _allowed(adapter: TypeAdapter[Any], field: object) -> str:
    """What a field may be, in words."""
    schema = adapter.json_schema()["properties"][field]
    if "enum" in schema:
        return f"allowed are {', '.join(schema['enum'])}"
    return f"allowed is {_words(schema)}"


def _words(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    if "anyOf" in schema:
        return ", or ".join(map(_words, schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"])
    limits = [f"{sign} {schema[key]:g}" for key, sign in _SIGNS.items() if key in schema]
    noun = _NOUNS[schema["type"]]
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
