"""``dtd-run``: the command line.

Hydra composes the configuration, makes the run's folder and runs sweeps. Slow imports wait until
a run begins, so that ``--help`` and ``--cfg`` answer at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from hydra import version as hydra_version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd_cli.app import overrides
from dtd_cli.app.launchers import processes
from dtd_cli.app.locations import CONF, ExperimentsSearchPath
from dtd_cli.app.status import ExitStatus, SweepFailed
from dtd_cli.config.errors import SettingError
from dtd_cli.records.folder import RunFolder

# The log file alone: tracebacks are not for the terminal.
log_file = logging.getLogger(f"{__name__}.file")


def main() -> None:
    """Entry point of ``dtd-run``; the exit status is 0, 1, 2 or 130 (see ``--help``)."""
    if "--version" in sys.argv[1:]:
        print(f"dtd-run {version('dtd-run')}")
        return
    sys.exit(_status())


def _status() -> ExitStatus:
    """Do what the command line says, and give the exit status."""
    Plugins.instance().register(ExperimentsSearchPath)
    OmegaConf.register_new_resolver("processes", processes, replace=True)
    # Then Hydra raises its errors instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Without this, a full disk would be reported again for every line of the log.
    logging.raiseExceptions = False
    statuses: list[ExitStatus] = []

    def job(config: DictConfig) -> ExitStatus:
        statuses.append(_job(config))
        return statuses[-1]

    parser = get_args_parser()
    try:
        arguments = _arguments(parser)
        overrides.check(arguments.overrides, arguments.multirun, arguments.config_dir)
        # What hydra.main does, except that options may stand anywhere among the settings.
        hydra_version.setbase("1.3")
        _run_hydra(arguments, parser, job, str(CONF), "config")
    except ArgumentError as error:
        return _refused(SettingError(error.argument_name or "", "", error.message))
    except InvalidSetting as error:
        return _refused(error)
    except (HydraException, OmegaConfBaseException) as error:
        return _refused(overrides.explained(error, arguments.overrides))
    except SweepFailed as error:
        for name, reason in error.reasons.items():
            print(f"dtd-run: {error.folder / name}: {reason}", file=sys.stderr)
        return error.status
    except OSError as error:
        # The run's folder cannot be made.
        print(f"dtd-run: {_described(error)}", file=sys.stderr)
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
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
    return arguments


def _job(config: DictConfig) -> ExitStatus:
    """The status of one run, in the folder that Hydra made for it.

    A failure is a status and not an exception. In a sweep the run may have a process of its own,
    and prints one line when it ends.
    """
    started = time.perf_counter()
    context = HydraConfig.get()
    alone = context.mode is RunMode.RUN
    folder = RunFolder(Path(context.runtime.output_dir), _origin(config, context))
    status, said = ExitStatus.DONE, ""
    try:
        # Slow to import, and not needed before.
        with _interrupts_later():
            from dtd_cli.config.config import read
            from dtd_cli.run.run import run

        if not alone:
            folder.start()
        settings = read(config)
        run(settings, folder, pictures=settings.draws_pictures(alone))
    except (Exception, KeyboardInterrupt) as error:  # the boundary: nothing gets further
        if _interrupted(error):
            folder.failed("interrupted")
            raise KeyboardInterrupt from error
        if isinstance(error, InvalidSetting):
            from dtd_cli.config.names import as_setting

            status, said = ExitStatus.REFUSED, str(as_setting(error))
        else:
            status, said = ExitStatus.FAILED, _described(error)
            log_file.exception("the run failed")
    if status is ExitStatus.REFUSED and alone and not folder.is_begun:
        folder.discard()
    elif status is not ExitStatus.DONE:
        folder.failed(said)
    if not alone:
        took = time.perf_counter() - started
        print(f"{folder.path.name}: {said or f'done in {took:.1f} s'}", flush=True)
    elif said:
        log = f" (traceback in {folder.path}/dtd-run.log)" * (status is ExitStatus.FAILED)
        print(f"dtd-run: {said}{log}", file=sys.stderr)
    return status


def _origin(config: DictConfig, context: HydraConf) -> dict[str, str]:
    """The files that Hydra writes for a run, written here once an earlier run no longer counts."""
    return {
        ".hydra/config.yaml": OmegaConf.to_yaml(config),
        ".hydra/hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": context})),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(context.overrides.task),
    }


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold interrupts back during imports, which would turn them into other errors, or none."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
