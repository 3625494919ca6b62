"""``dtd-run``: the command line.

Hydra composes the configuration, makes the run's folder and runs sweeps. Slow imports wait until
a run begins, so that ``--help`` and ``--cfg`` answer at once.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from argparse import ArgumentError, ArgumentParser, Namespace
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra import version as hydra_version
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd_cli.app import overrides
from dtd_cli.app.choices import CONFIG, searchpath
from dtd_cli.app.launchers import processes
from dtd_cli.app.locations import CONF, ExperimentsSearchPath, experiments
from dtd_cli.app.status import ExitStatus, Outcome, RunFailed, SweepFailed
from dtd_cli.app.terminal import (
    be_patient,
    draw_alike,
    interrupt_twice,
    interrupts_later,
    keep_numpy_to_one_thread,
)
from dtd_cli.config.errors import SettingError
from dtd_cli.records.folder import RunFolder
from dtd_cli.records.lock import held
from dtd_cli.records.objective import figures, objective

# The log file alone: tracebacks are not for the terminal.
log_file = logging.getLogger(f"{__name__}.file")

_OWN_SWEEPER = "hydra_plugins.dtd_sweeper.DtdSweeper"


def main() -> None:
    """Entry point of ``dtd-run``; the exit status is 0, 1, 2 or 130 (see ``--help``)."""
    be_patient()
    draw_alike()
    keep_numpy_to_one_thread()
    if "--version" in sys.argv[1:]:
        print(f"dtd-run {version('dtd-run')}")
        return
    interrupt_twice()
    sys.exit(_status())


def _status() -> ExitStatus:
    """Do what the command line says, and give the exit status."""
    Plugins.instance().register(ExperimentsSearchPath)
    # Not before: when Hydra first looks for plugins, it executes the modules of its own anew.
    from dtd_cli.app.internals import get_args_parser, run_hydra

    OmegaConf.register_new_resolver("processes", processes, replace=True)
    OmegaConf.register_new_resolver("experiments", experiments, replace=True)
    told = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Then Hydra raises its errors instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Without this, a full disk would be reported again for every line of the log.
    logging.raiseExceptions = False
    statuses: list[ExitStatus] = []
    parent = os.getpid()

    def job(config: DictConfig) -> Any:
        outcome = _job(config, parent)
        statuses.append(outcome.status)
        return _returned(outcome, config, HydraConfig.get())

    parser = get_args_parser()
    parser.add_argument("--verify", action="store_true")
    given = sys.argv[1:]
    where: tuple[str, ...] = ()
    try:
        arguments = _arguments(parser)
        given = list(arguments.overrides)
        if "${" in str(Path.cwd()):
            raise SettingError(
                str(Path.cwd()), "", "Hydra reads ${ as a reference; allowed is a folder without it"
            )
        where = searchpath(given, arguments.config_dir)
        overrides.check(given, where, arguments.multirun or "hydra.mode=MULTIRUN" in given)
        # What hydra.main does, except that options may stand anywhere among the settings.
        hydra_version.setbase("1.3")
        run_hydra(arguments, parser, job, str(CONF), CONFIG)
    except ArgumentError as error:
        return _refused(SettingError(error.argument_name or "", "", error.message))
    except InvalidSetting as error:
        return _refused(error)
    except (HydraException, OmegaConfBaseException) as error:
        return _refused(overrides.explained(error, given, where))
    except SweepFailed as error:
        for name, reason in error.reasons.items():
            print(f"dtd-run: {error.folder / name}: {reason}", file=sys.stderr)
        return error.status
    except RunFailed as error:
        print(f"dtd-run: {error}", file=sys.stderr)
        return error.status
    except OSError as error:
        # The run's folder cannot be made.
        print(f"dtd-run: {_described(error)}", file=sys.stderr)
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except Exception as error:
        # Runs have their errors to themselves: this is Hydra's, about what it was given.
        if told:
            traceback.print_exc()
        return _refused(SettingError("configuration", " ".join(given), _described(error)))
    return max(statuses, default=ExitStatus.DONE)


def _arguments(parser: ArgumentParser) -> Namespace:
    """The command line; options stand anywhere among the settings.

    Raises:
        ArgumentError: an option has a value that it cannot have.
        SettingError: an option is unknown, or cannot stand with another one.
    """
    parser.exit_on_error = False
    arguments, unknown = parser.parse_known_intermixed_args()
    if unknown:
        raise SettingError(unknown[0], "", "no such option; dtd-run --help shows what there is")
    modes = ("run", "multirun", "cfg", "info", "shell_completion")
    asked = [f"--{name}" for name in modes if getattr(arguments, name)]
    if len(asked) > 1:
        raise SettingError(asked[1], "", f"allowed without {asked[0]}")
    if arguments.resolve and not arguments.cfg:
        raise SettingError("--resolve", "", "allowed with --cfg job")
    if arguments.verify:
        arguments.overrides.append("verify=true")
    return arguments


def _job(config: DictConfig, parent: int) -> Outcome:
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
        outcome = Outcome(status, str(error) if refused else _described(error))
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
        _check_used(context, alone)
        # Slow to import, and not needed before.
        with interrupts_later():
            from dtd_cli.app.identity import check_unchanged, identity
            from dtd_cli.config.config import read
            from dtd_cli.run.run import run

        # What a sweep named the run's folder after, it named before the run began.
        named = context.sweeper.get("identity") or identity(config)
        check_unchanged(config, named)
        if not (alone or config.force) and not folder.problem(named, config.verify):
            return replace(outcome, skipped=True)
        folder.check_own("hydra.run.dir" if alone else "hydra.sweep.dir")
        if not alone:
            folder.start()
        settings = read(config) if bars else read(config).silent
        pictures = settings.plots.draws(alone)
        run(settings, folder, pictures, lambda: check_unchanged(config, named))
        folder.done(named)
    except (Exception, KeyboardInterrupt) as error:  # the boundary: nothing gets further
        if _interrupted(error):
            folder.failed("interrupted")
            raise KeyboardInterrupt from error
        if isinstance(error, InvalidSetting):
            from dtd_cli.config.names import as_setting

            outcome = Outcome(ExitStatus.REFUSED, str(as_setting(error)))
        else:
            outcome = Outcome(ExitStatus.FAILED, _described(error))
            log_file.exception("the run failed")
    never_began = outcome.status is ExitStatus.REFUSED and alone and not folder.is_begun
    if outcome.status is not ExitStatus.DONE and not never_began:
        folder.failed(outcome.said)
    return outcome


def _check_used(context: HydraConf, alone: bool) -> None:
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
    named = [part for part in context.overrides.task if part.startswith("sweep=")]
    if alone and named:
        raise SettingError(
            "sweep",
            named[-1].partition("=")[2],
            "a single run is in no sweep; allowed with -m, and for a single run hydra.run.dir",
        )


def _returned(outcome: Outcome, config: DictConfig, context: HydraConf) -> Any:
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
        ".hydra/hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": context})),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(context.overrides.task),
    }


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error was caused by an interrupt, which libraries turn into other errors."""
    seen: set[int] = set()
    # Errors may name each other as their cause.
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _described(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _refused(error: InvalidSetting) -> ExitStatus:
    print(f"dtd-run: {error}", file=sys.stderr)
    return ExitStatus.REFUSED
