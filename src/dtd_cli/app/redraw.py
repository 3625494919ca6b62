"""``dtd-plot``: the command line."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from dtd_cli.app.program import execute
from dtd_cli.config.errors import SettingError
from dtd_cli.config.plots import Plots
from dtd_cli.config.typed import typed
from dtd_cli.records.folder import PLOTS, RunFolder

_ABOUT = """\
Draw the pictures of a finished run again, from its tables; nothing is computed.

  dtd-plot DIR                            all of them, as the run drew them
  dtd-plot DIR ledger plots.format=pdf    one of them, as a PDF
  dtd-plot DIR --to paper plots.width=1 plots.font=serif plots.heading=false

Pictures go to DIR/plots and belong to the run, or to another folder with --to.
Each has its caption beside it, as a text file. Settings that are not given are
those of the run.
"""
_STATUSES = """\
Exit status: 0 done, 2 what was given is wrong, 1 a file cannot be written,
130 interrupted.
"""
_CONFIG = Path(".hydra", "config.yaml")


def main() -> None:
    """Entry point of ``dtd-plot``; the exit status is 0, 1, 2 or 130 (see ``--help``)."""
    parser = argparse.ArgumentParser(
        "dtd-plot",
        description=_ABOUT,
        epilog=f"{textwrap.fill(f'Settings: {_listed(_names())}', 79)}\n\n{_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of a run")
    parser.add_argument(
        "given", metavar="NAME | SETTING=VALUE", nargs="*", help="pictures, and how"
    )
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="where to, if not DIR/plots")
    execute(parser, lambda given: redraw(given.folder, given.given, given.to))


def redraw(folder: Path, given: Sequence[str], to: Path | None = None) -> list[Path]:
    """The pictures that were drawn.

    Args:
        folder: of the run.
        given: names of pictures, none for all, and settings such as ``plots.format=pdf``.
        to: another folder than the run's own for pictures.

    Raises:
        SettingError: it is no finished run, or a name or a setting is wrong.
        OSError: a file cannot be written.
    """
    # Slow to import, and not needed for --help.
    from dtd_cli.plots import PICTURES, Tables, draw, files

    run = RunFolder(folder)
    if not folder.is_dir():
        raise SettingError("DIR", folder, "no such folder; allowed is that of a finished run")
    if run.problem():
        raise SettingError("DIR", folder, f"allowed is a finished run; here {run.problem()}")
    plots = _plots(folder, [argument for argument in given if "=" in argument])
    names = [argument for argument in given if "=" not in argument]
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        raise SettingError("NAME", unknown[0], f"allowed are {', '.join(PICTURES)}")
    tables = Tables.read(folder)
    images = [] if tables.images is None else tables.images["layer"].tolist()
    methods = dict.fromkeys(method.partition(", ")[0] for method in tables.methods)
    plots.check([sample.number for sample in tables.explained], list(methods), images)
    asked = names or list(PICTURES)
    written = [f"{PLOTS}/{file}" for file in files(plots, asked)]
    with nullcontext() if to else run.adding(written):
        drawn = draw(tables, to or folder / PLOTS, plots, asked)
    absent = [name for name in names if name not in {path.stem for path in drawn}]
    if absent:
        raise SettingError("NAME", absent[0], "the run has no such picture, or not of this choice")
    return drawn


def _plots(folder: Path, given: Sequence[str]) -> Plots:
    """How the run drew, with what is given in its place."""
    try:
        own: Any = yaml.safe_load((folder / _CONFIG).read_text("utf-8"))["plots"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        own = None
    # Earlier runs do not say how.
    settings = {k: v for k, v in own.items() if k in _names()} if isinstance(own, dict) else {}
    for argument in given:
        setting, _, value = argument.partition("=")
        group, _, name = setting.partition(".")
        if group != "plots" or name not in _names():
            raise SettingError(setting, value, f"allowed are {_listed(_names())}")
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingError(setting, value, "not a value") from error
    return typed("plots", Plots, settings)


def _names() -> list[str]:
    return [field.name for field in fields(Plots)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"plots.{name}" for name in names)
