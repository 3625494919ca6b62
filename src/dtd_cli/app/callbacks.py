"""What Hydra calls when a sweep begins and when it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from dtd_cli.app import workers


class Workers(Callback):
    """Has the processes of ``launch=parallel`` end with the sweep, whatever the sweeper."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra itself refuses a launcher that is null.
        target = OmegaConf.select(config, "hydra.launcher._target_", default="")
        if target.startswith("hydra_plugins.hydra_joblib_launcher."):
            workers.prepare()


class Report(Callback):
    """Writes the report over a sweep of another sweeper than ours, which writes its own."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        # Slow to import, and only needed here.
        from dtd_cli.app.sweep import write_report

        ours = config.hydra.sweeper["_target_"].startswith("hydra_plugins.dtd_sweeper.")
        if config.report and not ours:
            write_report(Path(config.hydra.sweep.dir), config.progress)
