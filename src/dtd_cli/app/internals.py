"""All that is used of Hydra's inside, which its next version may change without a word.

Hydra has no public way to do what each of these is for:

- ``get_args_parser``, ``run_hydra``: ``hydra.main`` prints errors itself, and wants options first.
- ``BasicSweeper``: a sweeper of one's own has to go through choices, ranges and batches itself.
- ``BasicLauncher``: only its class tells that runs are done in this process.
- ``JobReturn``, ``run_job``: do a run whose configuration is composed already. A launcher composes
  it again.
- ``ConfigLoaderImpl``, ``IConfigRepository``: list the options of all groups, the user's own among
  them. The loader's own way reads the configuration anew for each group.
- ``get_overrides_dirname`` and a method of ``ConfigLoaderImpl``: set values in a configuration that
  is composed already, as the command line does.
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
