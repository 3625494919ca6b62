"""From the names of the library's arguments to those of settings."""

from __future__ import annotations

from dtd.errors import InvalidSetting
from dtd_cli.config.errors import SettingError

_SETTINGS = {
    "model": "network",
    "x": "inputs",
    "domain": "inputs.domain",
    "target": "explain.output",
    "method": "relevance.methods",
    "estimator": "relevance.estimator",
    "paths": "relevance.sampled_paths",
    **{
        name: f"relevance.{name}"
        for name in ("degree", "root_dependence", "max_paths", "max_points", "max_visits")
    },
}
"""The setting behind an argument of ``dtd.DTD`` or ``explain``; others have the same name."""


def as_setting(error: InvalidSetting) -> SettingError:
    """The same refusal with the name of the setting."""
    if isinstance(error, SettingError):
        return error
    return SettingError(_SETTINGS.get(error.argument, error.argument), error.value, error.allowed)
