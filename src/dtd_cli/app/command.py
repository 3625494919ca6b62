"""``dtd-run``: the command line.

Hydra composes the configuration, makes the run's folder and runs sweeps. Slow imports wait until
a run begins, so that ``--help`` and ``--cfg`` answer at once.
"""

from __future__ import annotations

import copyreg
import logging
import os
import sys
import traceback
from argparse import ArgumentError, ArgumentParser, Namespace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra import version as hydra_version
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd_cli.app import overrides
from dtd_cli.app.choices import CONFIG, searchpath
from dtd_cli.app.launchers import processes
from dtd_cli.app.locations import CONF, ExperimentsSearchPath, experiments
from dtd_cli.app.one_run import one_run, returned
from dtd_cli.app.status import ExitStatus, RunFailed, SweepFailed, described
from dtd_cli.app.terminal import (
    be_patient,
    draw_alike,
    interrupt_twice,
    keep_numpy_to_one_thread,
)
from dtd_cli.config.errors import SettingError


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

    # Hydra copies its repository, and with it the store, for every group that --help lists and for
    # every run of a sweep. The store is one object, and gives copies of what it holds.
    copyreg.pickle(ConfigStore, lambda store: (ConfigStore.instance, ()))
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
        outcome = one_run(config, parent)
        statuses.append(outcome.status)
        return returned(outcome, config, HydraConfig.get())

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
        print(f"dtd-run: {described(error)}", file=sys.stderr)
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except Exception as error:
        # Runs have their errors to themselves: this is Hydra's, about what it was given.
        if told:
            traceback.print_exc()
        return _refused(SettingError("configuration", " ".join(given), described(error)))
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


def _refused(error: InvalidSetting) -> ExitStatus:
    print(f"dtd-run: {error}", file=sys.stderr)
    return ExitStatus.REFUSED
