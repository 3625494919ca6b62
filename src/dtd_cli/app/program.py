"""How ``dtd-plot`` and ``dtd-report`` begin and end: what they print, and their exit statuses."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

from dtd.errors import InvalidSetting
from dtd_cli.app.status import ExitStatus, described
from dtd_cli.app.terminal import be_patient, draw_alike, interrupt_twice


def execute(parser: ArgumentParser, work: Callable[[Namespace], Iterable[Path]]) -> None:
    """Do what the command line says, print the files that come of it, and exit if it fails.

    Args:
        parser: of the command line.
        work: what is done with its arguments.
    """
    be_patient()
    draw_alike()
    interrupt_twice()
    arguments = parser.parse_intermixed_args()
    try:
        for path in work(arguments):
            print(path)
    except InvalidSetting as error:
        _exit(parser.prog, str(error), ExitStatus.REFUSED)
    except OSError as error:
        _exit(parser.prog, described(error), ExitStatus.FAILED)
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)


def _exit(program: str, said: str, status: ExitStatus) -> None:
    print(f"{program}: {said}", file=sys.stderr)
    sys.exit(status)
