"""The sweeper of ``dtd-run -m``. Hydra finds sweepers in this namespace only.

Hydra imports every plugin, also to answer ``--help``, and in the processes of every launcher.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from dtd_cli.app.internals import BasicLauncher, BasicSweeper, JobReturn, parameters, run_job

if TYPE_CHECKING:
    from dtd_cli.app.sweep import Job


# As the settings of ``basic``; ``identity`` is what the folder of a run was named after.
_SETTINGS = {
    "_target_": "hydra_plugins.dtd_sweeper.DtdSweeper",
    "max_batch_size": None,
    "params": None,
    "identity": None,
}
ConfigStore.instance().store(group="hydra/sweeper", name="dtd", node=_SETTINGS, provider="dtd-run")


def _run_folder(*, _root_: DictConfig) -> str:
    # Slow to import, and only needed here.
    from dtd_cli.app.identity import folder_name

    return folder_name(_root_)


OmegaConf.register_new_resolver("run_folder", _run_folder, replace=True)


class DtdSweeper(BasicSweeper):
    """Hydra's basic sweeper, which also skips runs that are done, and ends with a report."""

    def __init__(
        self, max_batch_size: int | None, params: dict[str, str] | None, identity: str | None
    ) -> None:
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> None:
        from dtd_cli.app.composing import composer
        from dtd_cli.app.sweep import sweep

        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*parameters(self), *arguments])
        (runs,) = self.split_arguments(overrides, None)
        serial = isinstance(self.launcher, BasicLauncher)
        launch = self._serial if serial else self._launch
        sweep(self.config, runs, composer(loader, self.config), launch)

    def _launch(self, jobs: list[Job]) -> list[JobReturn]:
        """Run the jobs in processes of their own, which compose their configurations again."""
        assert self.launcher is not None
        overrides = [
            [*job.overrides, *(f'{key}="{value}"' for key, value in job.own.items())]
            for job in jobs
        ]
        returns: list[JobReturn] = []
        for batch in self.split_overrides_to_chunks(overrides, self.max_batch_size):
            returns += self.launcher.launch(batch, initial_job_idx=len(returns))
        return returns

    def _serial(self, jobs: list[Job]) -> list[JobReturn]:
        """Run the jobs in this process, with the configurations that are composed already."""
        return [self._run(number, job) for number, job in enumerate(jobs)]

    def _run(self, number: int, job: Job) -> Any:
        assert isinstance(self.launcher, BasicLauncher)
        assert self.launcher.task_function is not None
        assert self.hydra_context is not None
        config: DictConfig = pickle.loads(job.composed)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            for key, value in job.own.items():
                OmegaConf.update(config, key, value)
        return run_job(
            self.launcher.task_function,
            config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.hydra_context,
        )
