"""``dtd-run``: the command line.

Hydra composes the configuration, makes the run's folder and runs sweeps. What is slow to import
is imported when a run begins: ``--help`` and ``--cfg`` answer without it.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from dtd_cli import overrides
from dtd_cli.errors import SettingError
from dtd_cli.locations import CONF, ExperimentsSearchPath

log = logging.getLogger(__name__)
# The log file alone: tracebacks are not for the terminal.
log_file = logging.getLogger(f"{__name__}.file")

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main() -> None:
    """Entry point of ``dtd-run``; the exit status is 0, 1, 2 or 130 (see ``--help``)."""
    if "--version" in sys.argv[1:]:
        print(f"dtd-run {version('dtd-run')}")
        return
    sys.exit(_status())


def _status() -> int:
    """Run what the command line says."""
    Plugins.instance().register(ExperimentsSearchPath)
    # Hydra then raises its errors, instead of printing them with its own words.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    statuses: list[int] = []

    def job(config: DictConfig) -> None:
        statuses.append(_job(config))

    try:
        arguments, unknown = get_args_parser().parse_known_args()
        if unknown:
            raise SettingError(unknown[0], "", "no such option; dtd-run --help shows what there is")
        overrides.check(arguments.overrides, sweep=arguments.multirun)
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    except SettingError as error:
        return _refused(error)
    except (HydraException, OmegaConfBaseException) as error:
        return _refused(overrides.explained(error, arguments.overrides))
    except KeyboardInterrupt:
        return INTERRUPTED
    return max(statuses, default=DONE)


def _job(config: DictConfig) -> int:
    """One run in the folder that Hydra made for it; failures are statuses, not exceptions."""
    # Slow to import, and not needed before.
    from dtd_cli.config import read
    from dtd_cli.records.folder import RunFolder
    from dtd_cli.runner import run

    context = HydraConfig.get()
    alone = context.mode is RunMode.RUN
    folder = RunFolder(Path(context.runtime.output_dir))
    try:
        settings = read(config)
        run(settings, folder, pictures=settings.draws_pictures(alone))
    except SettingError as error:
        if alone:
            folder.discard()
        else:
            folder.failed(str(error))
        return _refused(error)
    except KeyboardInterrupt:
        folder.failed("interrupted")
        raise
    except Exception as error:  # the boundary: whatever happens ends in the run's log
        reason = f"{type(error).__name__}: {error}"
        log_file.exception("the run failed")
        folder.failed(reason)
        print(f"dtd-run: {reason} (traceback in {folder.path}/dtd-run.log)", file=sys.stderr)
        return FAILED
    return DONE


def _refused(error: SettingError) -> int:
    print(f"dtd-run: {error}", file=sys.stderr)
    return REFUSED
