"""The sweeper of ``dtd-run -m``. Hydra finds sweepers in this namespace only."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, run_job
from omegaconf import DictConfig, OmegaConf, open_dict

if TYPE_CHECKING:
    from dtd_cli.app.sweep import Job


class DtdSweeper(BasicSweeper):
    """Hydra's basic sweeper, which also skips runs that are done, and ends with a report."""

    def sweep(self, arguments: list[str]) -> None:
        # Imported here because Hydra imports every plugin, also to answer --help.
        from dtd_cli.app.sweep import sweep

        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (runs,) = self.split_arguments(overrides, None)
        # As Hydra does. From it a report knows the runs that were asked for and never began.
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        compose = partial(loader.load_sweep_config, self.config)
        serial = isinstance(self.launcher, BasicLauncher)
        sweep(self.config, runs, compose, self._serial if serial else self._launch)

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

    def _run(self, number: int, job: Job) -> JobReturn:
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
