"""Overrides of the command line, checked before Hydra composes them.

Hydra answers a wrong choice with a traceback or a page of text. Here it is one line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from dtd_cli.app.launchers import check_installed
from dtd_cli.app.locations import CONF, EXPERIMENTS
from dtd_cli.config.composed import leaves
from dtd_cli.config.errors import SettingError
from dtd_cli.config.renamed import check_renamed

_SWEEP = "several values need a sweep: dtd-run -m ..."


def check(arguments: Sequence[str], sweep: bool, config_dir: str | None = None) -> None:
    """Refuse overrides that choose an unknown option, or that add or remove settings.

    Args:
        arguments: the overrides.
        sweep: whether settings may have several values.
        config_dir: a folder with options of the user's own.

    Raises:
        SettingError: with the setting, its value and what is allowed.
    """
    if config_dir and not Path(config_dir).is_dir():
        raise SettingError(
            "--config-dir", config_dir, "no such folder; allowed is one with options"
        )
    # Which options the user's folders have, Hydra knows.
    closed = not config_dir and not any(a.startswith("hydra.searchpath=") for a in arguments)
    placed = any(argument.startswith("hydra.sweep.dir=") for argument in arguments)
    for argument in arguments:
        override = _parsed(argument)
        key, value = override.key_or_group, argument.partition("=")[2]
        if sweep and key == "hydra.run.dir" and not placed:
            # Hydra ignores it in a sweep, and would write elsewhere.
            raise SettingError(
                key, value, "for a single run; allowed with -m are sweep=NAME and hydra.sweep.dir"
            )
        if key.startswith("hydra"):
            continue
        check_renamed(key, value)
        if override.is_delete():
            raise SettingError(f"~{key}", "", "settings cannot be removed; allowed is a value")
        if override.is_add() and not _compared(override):
            raise SettingError(key, value, f"settings cannot be added; {_hint(key, arguments)}")
        if override.is_sweep_override() and not sweep:
            raise SettingError(key, value, _SWEEP)
        if key in groups():
            _check_choice(key, override, closed)


def explained(error: Exception, arguments: Sequence[str]) -> SettingError:
    """The error of a configuration that Hydra cannot compose, in one line."""
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown:
        key = unknown.group(1)
        value = next((a.partition("=")[2] for a in arguments if a.startswith(f"{key}=")), "")
        without = _options_without(key, arguments)
        if without:
            return SettingError(
                key,
                value,
                f"not a setting of {', '.join(without)}; allowed is a sweep of the others alone",
            )
        return SettingError(key, value, f"no such setting; {_hint(key, arguments)}")
    return SettingError("configuration", " ".join(arguments), str(error).splitlines()[0])


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """The config groups and their options."""
    folders = [path for top in (CONF, EXPERIMENTS) for path in top.iterdir()]
    return {
        folder.name: tuple(sorted(option.stem for option in folder.glob("*.yaml")))
        for folder in sorted(folders)
        if any(folder.glob("*.yaml"))
    }


def _parsed(argument: str) -> Override:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException as error:
        setting, equals, value = argument.partition("=")
        if not equals:
            raise SettingError(argument, "", "allowed is SETTING=VALUE") from error
        raise SettingError(
            setting, value, "not a value; quote special characters as in 'inputs.path=\"a b.csv\"'"
        ) from error


def _compared(override: Override) -> bool:
    """Whether an override adds a further root search, whose label the user chooses."""
    place = override.package or override.key_or_group
    return place.startswith("compare_input_roots.")


def _check_choice(group: str, override: Override, closed: bool) -> None:
    value = override.value()
    options = groups()[group]
    for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
        name = choice.text if isinstance(choice, QuotedString) else choice
        if closed and name not in options:
            shown = (override.input_line or "").partition("=")[2]
            raise SettingError(group, shown, f"allowed are {', '.join(options)}")
        if group == "launch" and name in options:
            check_installed(str(name))


def _options_without(key: str, arguments: Sequence[str]) -> list[str]:
    """Of the options that a sweep goes through, those that do not have the setting."""
    group, _, setting = key.partition(".")
    swept = [
        argument.partition("=")[2] for argument in arguments if argument.startswith(f"{group}=")
    ]
    options = [option for option in ",".join(swept).split(",") if option in groups().get(group, ())]
    having = [o for o in options if setting in OmegaConf.load(CONF / group / f"{o}.yaml")]
    return [f"{group}={option}" for option in options if having and option not in having]


def _hint(key: str, arguments: Sequence[str]) -> str:
    """The settings that may be meant: those of the same group, and those of a similar name."""
    options = groups()
    given = [argument.partition("=")[::2] for argument in arguments]
    # Of the values of a sweep the first is enough.
    choices = [
        f"{name}={value.partition(',')[0]}"
        for name, value in given
        if value.partition(",")[0] in options.get(name, ())
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        known = _keys(compose("config", choices))
    close = difflib.get_close_matches(key, known, n=3)
    group = [name for name in known if name.startswith(key.partition(".")[0] + ".")]
    if close or group:
        return f"allowed are {', '.join(dict.fromkeys([*close, *group]))}"
    return "dtd-run --cfg job shows all"


def _keys(config: DictConfig) -> list[str]:
    """The dotted names of all settings; which option a group has is none of them."""
    content = cast(dict[str, Any], OmegaConf.to_container(config))
    return [name for name, _ in leaves(content) if name.rpartition(".")[2] != "name"]
