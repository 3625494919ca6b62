"""Overrides of the command line, checked before Hydra composes them.

Hydra answers a wrong choice with a traceback or a page of text. Here it is one line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import PurePath
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, ValueType
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, InterpolationResolutionError

from dtd.errors import FIRST_LAYER_ALONE
from dtd_cli.app.choices import CONFIG, groups
from dtd_cli.app.launchers import check_installed
from dtd_cli.app.locations import CONF
from dtd_cli.app.status import causes
from dtd_cli.config.composed import leaves
from dtd_cli.config.errors import SettingError
from dtd_cli.config.references import unresolved
from dtd_cli.config.renamed import check_renamed

_SWEEP = "several values need a sweep: dtd-run -m ..."
Where = tuple[str, ...]

_LONGEST = 400
_REMARKS = {"rule": f"; {FIRST_LAYER_ALONE}"}
"""What a message adds to the options of a group."""
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def check(arguments: Sequence[str], where: Where, sweep: bool) -> None:
    """Refuse overrides that choose an unknown option, or that add or remove settings.

    Args:
        arguments: the overrides.
        where: overrides that say where the user's own options are.
        sweep: whether settings may have several values.

    Raises:
        SettingError: with the setting, its value and what is allowed.
    """
    parsed = [_parsed(argument) for argument in arguments]
    options = groups(where)
    for argument, override in zip(arguments, parsed, strict=True):
        key, value = override.key_or_group, argument.partition("=")[2]
        if key.startswith("hydra"):
            _check_hydra(key, value, arguments, sweep)
            if not override.is_sweep_override():
                check_installed(key, value)
            continue
        check_renamed(key, value)
        if override.is_delete():
            raise SettingError(f"~{key}", "", "settings cannot be removed; allowed is a value")
        if override.is_add() and not _compared(override):
            raise SettingError(
                key, value, f"settings cannot be added; {_hint(key, arguments, where)}"
            )
        if override.is_sweep_override() and not sweep:
            raise SettingError(key, value, _SWEEP)
        if override.is_discrete_sweep():
            _check_values(override, value)
        if key == "sweep":
            _check_name(override, value)
        if key in options:
            _check_choice(key, override, options[key])


def explained(error: Exception, arguments: Sequence[str], where: Where) -> SettingError:
    """The error of a configuration that Hydra cannot compose, in one line."""
    # What a folder is named after may have been refused while its name was made.
    for cause in causes(error):
        if isinstance(cause, SettingError):
            return cause
    if isinstance(error, InterpolationResolutionError | GrammarParseError):
        parts = [argument.partition("=") for argument in arguments]
        given = {key.lstrip("+"): value for key, _, value in parts}
        found = unresolved(error, given)
        if found:
            return found
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        known = ", ".join(error.options or groups(where).get(group, ()))
        allowed = f"allowed are {known}" if known else "there is no such file"
        return SettingError(group, option, allowed)
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown:
        key = unknown.group(1)
        value = next((a.partition("=")[2] for a in arguments if a.startswith(f"{key}=")), "")
        without = _options_without(key, arguments, where)
        if without:
            return SettingError(
                key,
                value,
                f"not a setting of {', '.join(without)}; allowed is a sweep of the others alone",
            )
        return SettingError(key, value, f"no such setting; {_hint(key, arguments, where)}")
    # An error of Hydra's may have its words in the one that caused it.
    said = " ".join(f"{error} {error.__cause__ or ''}".split()) or type(error).__name__
    return SettingError("configuration", " ".join(arguments), said[:_LONGEST])


def _parsed(argument: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(argument)
        if not override.key_or_group:
            raise SettingError(argument, "", "allowed is SETTING=VALUE")
        return override
    # Its parser raises what it finds on odd input.
    except (HydraException, ValueError, ArithmeticError, AttributeError) as error:
        if isinstance(error, SettingError):
            raise
        setting, equals, value = argument.partition("=")
        if not (equals and setting):
            raise SettingError(argument, "", "allowed is SETTING=VALUE") from error
        raise SettingError(
            setting, value, "not a value; quote special characters as in 'inputs.path=\"a b.csv\"'"
        ) from error


def _check_hydra(key: str, value: str, arguments: Sequence[str], sweep: bool) -> None:
    """Refuse settings of Hydra's that this program would ignore."""
    placed = any(argument.startswith("hydra.sweep.dir=") for argument in arguments)
    if sweep and key == "hydra.run.dir" and not placed:
        # Hydra ignores it in a sweep, and would write elsewhere.
        raise SettingError(
            key, value, "for a single run; allowed with -m are sweep=NAME and hydra.sweep.dir"
        )
    if key in _FOLDERS and value in ("", "''", '""', "null"):
        raise SettingError(key, value, "allowed is the name of a folder")
    if key == "hydra.mode" and sweep and value == "RUN":
        raise SettingError(key, value, "allowed without -m")
    if key == "hydra.job.name" and ("/" in value or not value.strip("'\"")):
        raise SettingError(key, value, "allowed is a name for the log of a run, without /")
    if key in ("hydra.job.num", "hydra.job.id"):
        raise SettingError(key, value, "Hydra counts the runs of a sweep itself")
    if key in ("hydra.job", "hydra.run", "hydra.sweep"):
        raise SettingError(key, value, f"allowed are its settings one by one, as {key}.…")
    if key == "hydra.output_subdir":
        raise SettingError(
            key, value, "a run keeps its configuration in .hydra, where reports look for it"
        )


def _check_values(override: Override, value: str) -> None:
    """Refuse a sweep over no values, or over what is no range."""
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return  # of a group, whose options are known
    try:
        empty = not [*islice(override.sweep_iterator(), 1)]
    except (ValueError, ArithmeticError) as error:
        raise SettingError(override.key_or_group, value, "it is no range") from error
    if empty:
        raise SettingError(override.key_or_group, value, "it has no values, so there is no run")


def _check_name(override: Override, value: str) -> None:
    """Refuse a name of a sweep that is no folder below ``outputs/sweeps``."""
    if override.is_sweep_override():
        raise SettingError("sweep", value, "allowed is one name, for all runs")
    name = override.value()
    given = name.text if isinstance(name, QuotedString) else name
    parts = PurePath(str(given)).parts if given is not None else ()
    if not parts or ".." in parts or PurePath(*parts).is_absolute() or not _is_text(str(given)):
        raise SettingError(
            "sweep", value, "allowed is a name below outputs/sweeps, or hydra.sweep.dir=FOLDER"
        )


def _is_text(name: str) -> bool:
    return name.isprintable() and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _compared(override: Override) -> bool:
    """Whether an override adds a further root search, whose label the user chooses."""
    place = override.package or override.key_or_group
    return place.startswith("compare_input_roots.")


def _check_choice(group: str, override: Override, options: Sequence[str]) -> None:
    value = cast(Any, override.value())
    shown = (override.input_line or "").partition("=")[2]
    if isinstance(value, Glob):
        if not value.filter(list(options)):
            raise SettingError(group, shown, f"it fits none of {', '.join(options)}")
        return
    for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
        name = choice.text if isinstance(choice, QuotedString) else choice
        if name not in options:
            raise SettingError(
                group, shown, f"allowed are {', '.join(options)}{_REMARKS.get(group, '')}"
            )
        check_installed(group, str(name))


def _options_without(key: str, arguments: Sequence[str], where: Where) -> list[str]:
    """Of the options that a sweep goes through, those that do not have the setting."""
    group, _, setting = key.partition(".")
    given = [
        argument.partition("=")[2] for argument in arguments if argument.startswith(f"{group}=")
    ]
    known = groups(where).get(group, ())
    # The last counts.
    options = [option for option in ",".join(given[-1:]).split(",") if option in known]
    files = {option: CONF / group / f"{option}.yaml" for option in options}
    having = [o for o, file in files.items() if file.is_file() and setting in OmegaConf.load(file)]
    return [f"{group}={option}" for option in options if having and option not in having]


def _hint(key: str, arguments: Sequence[str], where: Where) -> str:
    """The settings that may be meant: those of the same group, and those of a similar name."""
    options = groups(where)
    given = [argument.partition("=")[::2] for argument in arguments]
    # Of the values of a sweep the first is enough.
    choices = [
        f"{name}={value.partition(',')[0]}"
        for name, value in given
        if value.partition(",")[0] in options.get(name, ()) or name.startswith("hydra/")
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(CONFIG, [*where, *choices], return_hydra_config=True)
    known = _keys(composed)
    if key in known:
        return f"to add one below it, write +{key}.NAME"
    if not key.startswith("hydra"):
        known = [name for name in known if not name.startswith("hydra.")]
    close = difflib.get_close_matches(key, [*known, *options], n=3)
    above = key.rpartition(".")[0] if key.startswith("hydra") else key.partition(".")[0]
    beside = [name for name in known if name.startswith(above + ".")]
    if key.startswith("hydra.") and not beside:
        return f"to add it, write +{key}"
    elsewhere = _elsewhere(key, known, options)
    names = [name for name in dict.fromkeys([*close, *beside]) if not (elsewhere and name == above)]
    if names:
        return f"{elsewhere and elsewhere + '; here '}allowed are {', '.join(names)}"
    return elsewhere or "dtd-run --cfg job shows all"


def _elsewhere(key: str, known: Sequence[str], options: Mapping[str, Sequence[str]]) -> str:
    """Which other options of a group have the setting that may be meant; empty if none has."""
    group, _, setting = key.partition(".")
    others = _settings(group, options.get(group, ()))
    for name in difflib.get_close_matches(setting, others, n=1, cutoff=0.8):
        if f"{group}.{name}" not in known:
            return f"{group}.{name} is a setting of {', '.join(others[name])}"
    return ""


def _settings(group: str, options: Sequence[str]) -> dict[str, list[str]]:
    """The settings of a group's options, and which options have each of them."""
    found: dict[str, list[str]] = {}
    for option in options:
        file = CONF / group / f"{option}.yaml"
        for setting in OmegaConf.load(file) if file.is_file() else ():
            found.setdefault(str(setting), []).append(f"{group}={option}")
    return found


def _keys(config: DictConfig) -> list[str]:
    """The dotted names of all settings; which option a group has is none of them."""
    content = cast(dict[str, Any], OmegaConf.to_container(config))
    return [name for name, _ in leaves(content) if name.rpartition(".")[2] != "name"]
