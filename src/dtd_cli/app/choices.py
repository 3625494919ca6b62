"""Which options the config groups have, the user's own among them: Hydra knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig

from dtd_cli.app.locations import CONF, ExperimentsSearchPath
from dtd_cli.config.errors import SettingError

CONFIG = "config"
SEARCHPATH = "hydra.searchpath"


def searchpath(arguments: Sequence[str], config_dir: str | None = None) -> tuple[str, ...]:
    """Of the overrides those that say where the user's own options are.

    Args:
        arguments: the overrides.
        config_dir: one more folder, that of ``--config-dir``.

    Raises:
        SettingError: there is no such folder.
    """
    given = tuple(argument for argument in arguments if argument.startswith(f"{SEARCHPATH}="))
    if not config_dir:
        return given
    if not Path(config_dir).is_dir():
        raise SettingError(
            "--config-dir", config_dir, "no such folder; allowed is one with options"
        )
    folders: Any = OverridesParser.create().parse_override(given[-1]).value() if given else []
    # JSON's quotes are Hydra's too.
    own = json.dumps([*map(str, folders), f"file://{Path(config_dir).resolve()}"])
    return (f"{SEARCHPATH}={own}",)


def groups(where: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """The config groups and their options, but for Hydra's own.

    Args:
        where: overrides that say where the user's own are.
    """
    hydra = GlobalHydra.instance()
    known = str(hydra.config_loader().get_search_path()) if hydra.is_initialized() else ""
    # A folder among them may be relative.
    return _groups(where, known, str(Path.cwd()))


@cache
def _groups(where: tuple[str, ...], known: str, folder: str) -> dict[str, tuple[str, ...]]:
    """The groups, as seen from a folder, with what Hydra knows already."""
    if not GlobalHydra.instance().is_initialized():
        Plugins.instance().register(ExperimentsSearchPath)
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return _groups(where, known, folder)
    # Not before Hydra has looked for plugins, when it executes its modules anew.
    from dtd_cli.app.internals import config_repository

    repository = config_repository(GlobalHydra.instance().config_loader(), CONFIG, where)
    names = [name for name in repository.get_group_options("", ObjectType.GROUP) if name != "hydra"]
    options = {name: tuple(sorted(repository.get_group_options(name))) for name in sorted(names)}
    return {name: listed for name, listed in options.items() if listed}


def composed(where: Sequence[str], choices: Sequence[str]) -> DictConfig:
    """The configuration with these options, and nothing else that is not the default.

    Args:
        where: overrides that say where the user's own options are.
        choices: overrides that choose options.
    """
    loader = GlobalHydra.instance().config_loader()
    return loader.load_configuration(CONFIG, [*where, *choices], RunMode.RUN)
