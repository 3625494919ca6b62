"""Which runs there are below a folder, and which there should be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from dtd_cli.report.run import CONFIG, OVERRIDES, Run, Status, by_name, load_yaml
from dtd_cli.run.progress import bars

REPORT = "report"
_SWEEP = "multirun.yaml"
_SWEEPER = "hydra_plugins.dtd_sweeper.DtdSweeper"
"""It reads what to sweep as Hydra's basic sweeper does; others are not understood here."""


def scan(folder: Path, progress: bool) -> list[Run]:
    """All runs below ``folder``, in the natural order of their names; missing ones last."""
    folders = list(_folders(folder))
    found = [path for path in folders if (path / CONFIG).is_file()]
    found.sort(key=lambda path: _natural(path.relative_to(folder).as_posix()))
    shown = bars(progress)(found, "finding runs")
    runs = [Run.read(path, path.relative_to(folder).as_posix()) for path in shown]
    sweeps = [path for path in folders if (path / _SWEEP).is_file()]
    return runs + [run for sweep in sweeps for run in _missing(sweep, found)]


def _folders(top: Path) -> Iterator[Path]:
    """``top`` and the folders below it, without hidden ones and the report."""
    for place, names, _ in os.walk(top):
        here = Path(place)
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".") and not (here == top and name == REPORT)
        )
        yield here


def _natural(name: str) -> list[tuple[float, str]]:
    """Sorts ``seed=10`` after ``seed=9``, and ``gamma=0.5`` after ``gamma=0.25``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    # Every second part is a number.
    return [(float(p), "") if i % 2 else (-1.0, p) for i, p in enumerate(parts)]


def _missing(sweep: Path, found: list[Path]) -> list[Run]:
    """The runs that a sweep was to make and that have no folder: it ended before."""
    try:
        made = {
            tuple(sorted(load_yaml(run / OVERRIDES)))
            for run in found
            if run.is_relative_to(sweep) and (run / OVERRIDES).is_file()
        }
        return [
            Run(sweep, "", _given(job), Status.MISSING, f"never begun: {' '.join(job)}")
            for job in _jobs(load_yaml(sweep / _SWEEP)["hydra"])
            if tuple(sorted(job)) not in made
        ]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError, HydraException):
        return []  # nothing can be said of what it was to make


def _jobs(hydra: dict[str, Any]) -> list[list[str]]:
    """The overrides of each run of a sweep by the program's own sweeper."""
    if hydra["sweeper"]["_target_"] != _SWEEPER:
        return []
    params = hydra["sweeper"]["params"] or {}
    task = [f"{name}={value}" for name, value in params.items()] + hydra["overrides"]["task"]
    overrides = OverridesParser.create().parse_overrides(task)
    (jobs,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return [list(job) for job in jobs]


def _given(job: list[str]) -> dict[str, Any]:
    """The settings that the overrides of a run name."""
    pairs = (override.partition("=") for override in job)
    return by_name({name: yaml.load(value, yaml.CSafeLoader) for name, _, value in pairs})
