"""What Hydra calls when a sweep begins and when it has ended."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from dtd.errors import InvalidSetting
from dtd_cli.app import workers
from dtd_cli.app.status import ExitStatus, described


class Workers(Callback):
    """Has the processes of ``launch=parallel`` end with the sweep, whatever the sweeper."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if _uses_joblib(config):
            workers.prepare()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        if _uses_joblib(config):
            workers.dismiss()


class OtherSweeper(Callback):
    """Gives a sweep of another sweeper than ours what ours does itself: a lock, and a report."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def __reduce__(self) -> tuple[type[OtherSweeper], tuple[()]]:
        # Launchers send the callbacks to other processes, which hold no lock.
        return OtherSweeper, ()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Slow to import, and only needed here.
        from dtd_cli.app.sweep import folder_held

        sweeper = _target(config, "sweeper")
        if not sweeper or _is_ours(config):
            return
        try:
            self._held.enter_context(folder_held(Path(config.hydra.sweep.dir)))
        except (InvalidSetting, OSError) as error:
            # After an error of a callback Hydra would go on.
            refused = isinstance(error, InvalidSetting)
            print(f"dtd-run: {error if refused else described(error)}", file=sys.stderr)
            raise SystemExit(ExitStatus.REFUSED if refused else ExitStatus.FAILED) from error

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from dtd_cli.app.sweep import write_report

        if _is_ours(config):
            return
        with self._held:
            if config.report:
                write_report(Path(config.hydra.sweep.dir), config.progress)


def _is_ours(config: DictConfig) -> bool:
    return _target(config, "sweeper").startswith("hydra_plugins.dtd_sweeper.")


def _uses_joblib(config: DictConfig) -> bool:
    return _target(config, "launcher").startswith("hydra_plugins.hydra_joblib_launcher.")


def _target(config: DictConfig, plugin: str) -> str:
    # Hydra itself refuses a sweeper or launcher that is null.
    return str(OmegaConf.select(config, f"hydra.{plugin}._target_", default=""))
