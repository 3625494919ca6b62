"""Settings that refer to others, as in ``seed=${network.seed}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd_cli.config.composed import leaves
from dtd_cli.config.errors import SettingError

_LONGEST = 400
_ALLOWED = (
    "allowed are references to settings that have a value of their own, and to the environment, "
    "as in ${oc.env:NAME}"
)
_REFERENCE = re.compile(r"\$\{([\w.]+)")
_NOT_FOUND = re.compile(r"Interpolation key '([^']+)' not found|interpolation type (\S+)")


def refused(error: OmegaConfBaseException, composed: DictConfig) -> SettingError:
    """The refusal of a setting of a configuration that refers to what cannot be found."""
    content: Any = OmegaConf.to_container(composed)
    found = unresolved(error, dict(leaves(content)))
    return found or SettingError(error.full_key or "configuration", "", _said(error))


def unresolved(error: OmegaConfBaseException, given: Mapping[str, Any]) -> SettingError | None:
    """The refusal of a setting that refers to what cannot be found; None where it is not given.

    Args:
        error: what was raised when it was looked for.
        given: the settings by their dotted names, with their references.
    """
    key, _, _ = (error.full_key or "").partition("[")
    missing = {name for names in _NOT_FOUND.findall(_said(error)) for name in names}
    # The setting that was looked for may refer to another one, which refers to nothing.
    names = [name for name, value in given.items() if missing & {*_REFERENCE.findall(str(value))}]
    for name in (*names, key):
        if name in given:
            return SettingError(name, given[name], f"{_said(error)}; {_ALLOWED}")
    return None


def _said(error: OmegaConfBaseException) -> str:
    """What is wrong, without the lines about where."""
    return str(error).partition("\n")[0][:_LONGEST]
