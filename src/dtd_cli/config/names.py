"""From the names of the library's arguments to those of settings."""

from __future__ import annotations

import re

from dtd.errors import InvalidSetting
from dtd.roots import ROOT_FINDERS
from dtd.rules import RULES
from dtd_cli.config.errors import SettingError

_SETTINGS = {
    "model": "network",
    "x": "inputs",
    "domain": "inputs.domain",
    "target": "explain.output",
    "method": "relevance.methods",
    "estimator": "relevance.estimator",
    "paths": "relevance.sampled_paths",
    "stderr": "relevance.stderr",
    "degree": "relevance.degree",
    "interactions": "relevance.interactions",
    "root_dependence": "relevance.root_dependence",
    "max_paths": "relevance.max_paths",
    "max_points": "relevance.max_points",
    "max_visits": "relevance.max_visits",
}
"""The setting behind an argument of ``dtd.DTD`` or ``explain``; others have the same name."""

_PHRASES = {
    "domain=dtd.Domain.box(low, high)": "inputs=digits, inputs=grid or inputs.domain=box",
    "fewer samples": "fewer samples (inputs.n)",
    "a lower degree": "a lower relevance.degree",
    "a linear output;": "a linear output (network.output_activation=linear);",
}
"""What is done otherwise on the command line."""

_OPTIONS: dict[type, str] = {
    kind: name for table in (RULES, ROOT_FINDERS) for name, kind in table.items()
}


def as_setting(error: InvalidSetting, group: str = "") -> SettingError:
    """The same refusal, with the name of the setting and the value as one would write it.

    Args:
        error: raised by an object of the library, or a refusal that names a setting already.
        group: the config group whose fields are the object's arguments, as ``rule`` is for
            ``gamma``; empty for the arguments of the library's entry points.
    """
    if isinstance(error, SettingError):
        return error
    own = f"{group}.{error.argument}" if group else _SETTINGS.get(error.argument, error.argument)
    # A rule or a root search is written as the name of its option.
    value = _OPTIONS.get(type(error.value), error.value)
    return SettingError(own, value, in_settings(error.allowed))


def in_settings(words: str) -> str:
    """What the library advises, with the names of settings in place of arguments."""
    for phrase, other in _PHRASES.items():
        words = words.replace(phrase, other)
    return re.sub(r"(?<![\w.])(\w+)=", lambda name: f"{_SETTINGS.get(name[1], name[1])}=", words)
