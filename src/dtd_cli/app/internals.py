"""All that is used of Hydra's inside, which its next version may change without a word.

Hydra has no public way to give its command line other words for errors, to sweep as its own
sweeper does but for what is done, to run a job from a configuration that is composed already, to
list the options of several groups without reading the configuration anew for each, or to set
values in a composed configuration as its command line does.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import _run_hydra as run_hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, run_job
from omegaconf import DictConfig

__all__ = [
    "WORKS_WITH", "BasicLauncher", "BasicSweeper", "JobReturn", "apply_overrides",
    "config_repository", "get_args_parser", "overrides_dirname", "parameters", "run_hydra",
    "run_job",
]  # fmt: skip

WORKS_WITH = ("1.3.8",)
"""The versions of Hydra that this was tried with."""


def parameters(sweeper: BasicSweeper) -> list[str]:
    """The overrides in ``hydra.sweeper.params``."""
    return sweeper._parse_config()


def config_repository(
    loader: ConfigLoader, config: str, overrides: Sequence[str]
) -> IConfigRepository:
    """Where the options of the config groups are listed, also those that overrides add."""
    assert isinstance(loader, ConfigLoaderImpl)
    return loader._parse_overrides_and_create_caching_repo(config, list(overrides))[1]


def apply_overrides(overrides: list[Override], config: DictConfig) -> None:
    """Set the values of overrides, of which none chooses an option, in a composed configuration."""
    ConfigLoaderImpl._apply_overrides_to_config(overrides, config)


def overrides_dirname(overrides: list[Override], config: DictConfig) -> str:
    """What ``hydra.job.override_dirname`` is with these overrides."""
    form = config.hydra.job.config.override_dirname
    return get_overrides_dirname(overrides, form.exclude_keys, form.item_sep, form.kv_sep)
