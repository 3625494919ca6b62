"""From a mapping of settings to an object that has checked them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dtd.errors import InvalidSetting
from dtd_cli.config.allowed import allowed, described
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
    choices = f"allowed are {', '.join(options)}"
    if not isinstance(settings, dict):
        in_a_file = f"; a file chooses by - override /{group}: OPTION, below defaults"
        raise SettingError(group, settings, choices + in_a_file)
    name = settings.get("name")
    if not isinstance(name, str) or name not in options:
        raise SettingError(group, name, choices)
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
    adapter = _adapter(cast(Any, schema))
    for key, value in settings.items():
        setting = f"{prefix}{key}"
        check_renamed(setting, value)
        if key not in known:
            raise SettingError(setting, value, f"no such setting; known are {', '.join(known)}")
        if value == _MISSING:
            raise SettingError(setting, value, f"it has no default; {allowed(adapter, key)}")
    try:
        made: T = adapter.validate_python(_in_words(settings))
        return made
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InvalidSetting):
            raise as_setting(cause, group) from error
        field = first["loc"][0]
        value, words = settings.get(field, _MISSING), allowed(adapter, field)
        # Of what may be a list or another thing, the first error can be that it is not the other.
        of_field = [one["loc"] for one in (first, *others) if one["loc"][0] == field]
        inside = [part for where in of_field for part in where if isinstance(part, int)]
        if inside:
            element = described(value[inside[0]])
            words = f"element {inside[0]} (the first is 0) is {element}; {words}"
        raise SettingError(f"{prefix}{field}", value, words) from error


def as_typed(schema: type, field: str, value: Any) -> Any:
    """The value of a field as its type has it; one that it cannot have stays as it is."""
    try:
        return _of_fields(schema)[field].validate_python(_in_words(value))
    except ValidationError:
        return value


@cache
def _adapter(schema: type) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


@cache
def _of_fields(schema: type) -> dict[str, TypeAdapter[Any]]:
    kinds = get_type_hints(schema, include_extras=True)
    return {field: TypeAdapter(kind) for field, kind in kinds.items()}


def _in_words(settings: Any) -> Any:
    """The settings with true and false as words: Python would take them for the numbers 1 and 0."""
    if isinstance(settings, dict):
        return {key: _in_words(value) for key, value in settings.items()}
    if isinstance(settings, list):
        return [_in_words(value) for value in settings]
    return as_written(settings) if isinstance(settings, bool) else settings
