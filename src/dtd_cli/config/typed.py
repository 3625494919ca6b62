"""From a mapping of settings to a dataclass that has checked them."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd_cli.config.errors import SettingError
from dtd_cli.config.renamed import check_renamed

T = TypeVar("T")


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
    fields = {key: value for key, value in settings.items() if key != "name"}
    return typed(group, options[name], fields)


def typed(group: str, schema: type[T], settings: Any) -> T:
    """An instance of the dataclass ``schema``, its fields checked against their types.

    Raises:
        SettingError: a setting is unknown, missing, or has a value that it cannot have.
    """
    prefix = f"{group}." if group else ""
    hints = get_type_hints(schema)
    if not isinstance(settings, dict):
        raise SettingError(group, settings, f"allowed are settings of {', '.join(hints)}")
    for key, value in settings.items():
        check_renamed(prefix + key, value)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), settings)
    except OmegaConfBaseException as error:
        key = str(error.full_key).partition("[")[0]
        allowed = (
            f"allowed is {_described(hints[key])}" if key in hints else _known(settings, hints)
        )
        raise SettingError(prefix + key, settings.get(key), allowed) from error
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        key = missing[0]
        raise SettingError(
            prefix + key, "???", f"it has no default; allowed is {_described(hints[key])}"
        )
    try:
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except InvalidSetting as error:
        # What an object of many groups refuses, it names by its own field.
        setting = error.argument if error.argument.startswith(group) else prefix + error.argument
        raise SettingError(setting, error.value, error.allowed) from error
    except OmegaConfBaseException as error:
        # A list inside a list is found out only by what the object does with it.
        allowed = ", ".join(f"{prefix}{key}: {_described(hint)}" for key, hint in hints.items())
        raise SettingError(group, settings, f"allowed are {allowed}") from error


def _known(settings: Mapping[str, Any], hints: Mapping[str, Any]) -> str:
    return f"no such setting; known are {', '.join(key for key in hints if key in settings)}"


_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "null",
    list: "a list",
}


def _described(hint: Any) -> str:
    """What a type hint allows, in words."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_described(part) for part in get_args(hint))
    return _WORDS[get_origin(hint) or hint]
