"""One run in the folder that Hydra made for it, and what became of it."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd_cli.app.imports import undisturbed
from dtd_cli.app.status import ExitStatus, Outcome, RunFailed, causes, described
from dtd_cli.config.errors import SettingError
from dtd_cli.records.folder import RunFolder
from dtd_cli.records.lock import held
from dtd_cli.records.objective import figures, objective

# The log file alone: tracebacks are not for the terminal.
log_file = logging.getLogger(f"{__name__}.file")

_PLACE = ", and for a single run hydra.run.dir"
_OF_SWEEPS = {
    "sweep": _PLACE,
    "hydra.sweep": _PLACE,
    "report": "; dtd-report DIR writes one over any runs",
    "objective": "; summary.json has the figures of a run",
    "launch": "",
    "hydra.launcher": "",
    "hydra/launcher": "",
    "hydra.sweeper": "",
    "hydra/sweeper": "",
}
"""What a single run would ignore, and what there is instead."""

_OWN_SWEEPER = "hydra_plugins.dtd_sweeper.DtdSweeper"


def one_run(config: DictConfig, parent: int) -> Outcome:
    """What became of one run, in the folder that Hydra made for it.

    A failure is an outcome and not an exception. In a sweep the run may have a process of its own,
    which process ``parent`` started, and prints one line when it ends.
    """
    started = time.perf_counter()
    another_process = os.getpid() != parent
    context = HydraConfig.get()
    alone = context.mode is RunMode.RUN
    folder = RunFolder(Path(context.runtime.output_dir), _origin(config, context))
    if not alone:
        # In a sweep a run's last line alone is on the terminal.
        for handler in logging.getLogger().handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
    try:
        with held(folder.path, "hydra.run.dir", waits=not alone):
            outcome = _ended(config, context, folder, alone, bars=not another_process)
    except (InvalidSetting, OSError) as error:
        refused = isinstance(error, InvalidSetting)
        status = ExitStatus.REFUSED if refused else ExitStatus.FAILED
        outcome = Outcome(status, str(error) if refused else described(error))
    if alone and outcome.status is ExitStatus.REFUSED:
        folder.discard()
    if not alone:
        # Slow to import, and not needed before.
        from dtd_cli.app.waiting import say

        took = time.perf_counter() - started
        done = "done before, skipped" if outcome.skipped else f"done in {took:.1f} s"
        say(f"{folder.path.name}: {outcome.said or done}", another_process)
    elif outcome.said:
        log = f" (traceback in {folder.path}/{context.job.name}.log)"
        said = outcome.said + log * (outcome.status is ExitStatus.FAILED)
        print(f"dtd-run: {said}", file=sys.stderr)
    return outcome


def _ended(
    config: DictConfig, context: HydraConf, folder: RunFolder, alone: bool, bars: bool
) -> Outcome:
    """What became of one run, whose folder is held; ``bars`` says whether it may show some."""
    outcome = Outcome(ExitStatus.DONE)
    try:
        _check_used(config, context, alone)
        # Slow to import, and not needed before.
        with undisturbed():
            from dtd_cli.app.identity import identity, unchanged
            from dtd_cli.config.config import read
            from dtd_cli.run.run import run

        # What a sweep named the run's folder after, it named before the run began.
        named = context.sweeper.get("identity") or identity(config)
        check_unchanged = unchanged(config, named)
        if not (alone or config.force) and not folder.problem(named, config.verify):
            return replace(outcome, skipped=True)
        folder.check_own("hydra.run.dir" if alone else "hydra.sweep.dir")
        if not alone:
            folder.start()
        settings = read(config) if bars else read(config).silent
        pictures = settings.plots.draws(alone)
        run(settings, folder, pictures, check_unchanged)
        folder.done(named)
    except (Exception, KeyboardInterrupt) as error:  # the boundary: nothing gets further
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):
            # Libraries turn it into errors of their own.
            folder.failed("interrupted")
            raise KeyboardInterrupt from error
        if isinstance(error, InvalidSetting):
            from dtd_cli.config.names import as_setting

            outcome = Outcome(ExitStatus.REFUSED, str(as_setting(error)))
        else:
            outcome = Outcome(ExitStatus.FAILED, described(error))
            log_file.exception("the run failed")
    never_began = outcome.status is ExitStatus.REFUSED and alone and not folder.is_begun
    if outcome.status is not ExitStatus.DONE and not never_began:
        folder.failed(outcome.said)
    return outcome


def _check_used(config: DictConfig, context: HydraConf, alone: bool) -> None:
    """Refuse settings that the run would ignore.

    Raises:
        SettingError: with the setting.
    """
    if context.job.chdir:
        # Back, so that the folder can be taken away.
        os.chdir(context.runtime.cwd)
        raise SettingError(
            "hydra.job.chdir",
            "true",
            "paths are those of the folder where the command is given; allowed is false",
        )
    if alone:
        # As they were given: a reference in one is no reference of the list that they stand in.
        overrides: Any = OmegaConf.to_container(context.overrides)
        given = [*overrides["task"], *overrides["hydra"]]
        placed = any(part.startswith("hydra.run.dir=") for part in given)
        for part in given:
            setting, _, value = part.partition("=")
            for_sweeps = [text for name, text in _OF_SWEEPS.items() if _is_below(setting, name)]
            # Without a report is how a single run is. A script may say where either would write.
            either = (setting == "report" and _without_report(config)) or (
                placed and setting == "hydra.sweep.dir"
            )
            if for_sweeps and not either:
                allowed = f"a single run is in no sweep; allowed with -m{for_sweeps[0]}"
                raise SettingError(setting, value, allowed)


def _without_report(config: DictConfig) -> bool:
    """Whether it is said that there is to be no report."""
    # What refers to nothing says nothing.
    with suppress(OmegaConfBaseException):
        return config.report is False
    return False


def _is_below(setting: str, name: str) -> bool:
    """Whether a setting is the one with this name, or belongs to it."""
    return setting.lstrip("+") == name or setting.lstrip("+").startswith(f"{name}.")


def returned(outcome: Outcome, config: DictConfig, context: HydraConf) -> Any:
    """What a sweeper wants of a run: ours its outcome, others a figure, or else an exception.

    Raises:
        RunFailed: there is no figure.
    """
    folder = Path(context.runtime.output_dir)
    if context.mode is RunMode.RUN or context.sweeper["_target_"] == _OWN_SWEEPER:
        return outcome
    try:
        if outcome.status is ExitStatus.DONE:
            names = config.objective
            listed = names if isinstance(names, str) else [*map(str, names)]
            return objective(figures(folder), listed)
    except SettingError as error:
        outcome = Outcome(ExitStatus.REFUSED, str(error))
    raise RunFailed(outcome.status, str(folder), outcome.said)


def _origin(config: DictConfig, context: HydraConf) -> dict[str, str]:
    """The files that Hydra writes for a run, written here once an earlier run no longer counts."""
    return {
        ".hydra/config.yaml": OmegaConf.to_yaml(config),
        ".hydra/hydra.yaml": OmegaConf.to_yaml(HydraConfig.instance().cfg),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(context.overrides.task),
    }
