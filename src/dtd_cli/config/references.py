"""Settings that refer to others, as in ``seed=${network.seed}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd_cli.config.composed import leaves
from dtd_cli.config.errors import SettingError


def as_given(composed: DictConfig) -> dict[str, Any]:
    """Every setting by its dotted name, with references as they are."""
    content: Any = OmegaConf.to_container(composed)
    return dict(leaves(content))


def unresolved(error: OmegaConfBaseException, given: Mapping[str, Any]) -> SettingError:
    """The refusal of a setting that refers to what cannot be found.

    Args:
        error: what was raised when it was looked for.
        given: the settings by their dotted names.
    """
    key, _, _ = (error.full_key or "configuration").partition("[")
    said, _, _ = str(error).partition("\n")
    allowed = f"{said}; allowed are references to other settings and ${{oc.env:NAME}}"
    return SettingError(key, given.get(key, "?"), allowed)
