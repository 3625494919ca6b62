"""Loggers of experiments: they read the folder of a finished run, and nothing else.

Hydra calls them when a run has ended. What they log to is imported when a run is logged.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from dtd_cli.config.composed import leaves
from dtd_cli.records.folder import RunFolder
from dtd_cli.records.objective import figures
from dtd_cli.records.reading import one_line


class _Logger(Callback, ABC):
    """What is logged: the settings by dotted name, the figures, and the files of the folder."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._before = _folder(config).end

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        folder = _folder(config)
        # What was there before was logged before.
        if folder.end == self._before or folder.problem():
            return
        content: Any = OmegaConf.to_container(job_return.cfg, resolve=True)
        settings = {name: value for name, value in leaves(content) if value is not None}
        try:
            self.log(folder.path, settings, figures(folder.path))
        except Exception as error:  # whatever a logger raises, the run is done
            said = one_line(f"{type(error).__name__}: {error}")
            print(f"dtd-run: {folder.path}: not logged: {said}", file=sys.stderr)

    @abstractmethod
    def log(self, folder: Path, settings: dict[str, Any], figures: dict[str, float]) -> None: ...


class MLflow(_Logger):
    """A run of MLflow, in the store that MLflow is set to."""

    def __init__(self, experiment: str) -> None:
        self._experiment = experiment

    def log(self, folder: Path, settings: dict[str, Any], figures: dict[str, float]) -> None:
        import mlflow

        mlflow.set_experiment(self._experiment)
        with mlflow.start_run(run_name=folder.name):
            mlflow.log_params({name: str(value)[:500] for name, value in settings.items()})
            mlflow.log_metrics(figures)
            mlflow.log_artifacts(str(folder))


class WeightsAndBiases(_Logger):
    """A run of Weights & Biases."""

    def __init__(self, project: str, mode: str) -> None:
        self._project, self._mode = project, mode

    def log(self, folder: Path, settings: dict[str, Any], figures: dict[str, float]) -> None:
        import wandb

        with wandb.init(
            project=self._project, mode=self._mode, name=folder.name, config=settings
        ) as run:
            run.summary.update(figures)
            run.log_artifact(str(folder), f"run-{run.id}", "dtd-run")


def _folder(config: DictConfig) -> RunFolder:
    return RunFolder(Path(config.hydra.runtime.output_dir))
