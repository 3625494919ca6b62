"""Which runs there are below a folder, and which there should be."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dtd_cli.records.folder import PLAN
from dtd_cli.records.manifest import is_file, is_inside
from dtd_cli.report.run import CONFIG, Run, Status, by_name
from dtd_cli.run.progress import bars

REPORT = "report"


def scan(folder: Path, progress: bool, verify: bool = False) -> list[Run]:
    """All runs below ``folder``, in the natural order of their names; missing ones last."""
    folders = list(_folders(folder))
    found = [path for path in folders if (path / CONFIG).is_file()]
    found.sort(key=lambda path: _natural(path.relative_to(folder).as_posix()))
    shown = bars(progress)(found, "finding runs")
    runs = [Run.read(path, path.relative_to(folder).as_posix(), verify) for path in shown]
    sweeps = [path for path in folders if is_file(path / PLAN)]
    return runs + [run for sweep in sweeps for run in _missing(sweep)]


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


def _missing(sweep: Path) -> list[Run]:
    """The runs that a sweep was to make and that have no folder: it ended before."""
    try:
        plan = json.loads((sweep / PLAN).read_text("utf-8"))
        return [
            Run(sweep, "", _given(job), Status.MISSING, f"never begun: {' '.join(job)}")
            for name, job in plan.items()
            if is_inside(name) and not is_file(sweep / name / CONFIG)
        ]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return []  # nothing can be said of what it was to make


def _given(job: list[str]) -> dict[str, Any]:
    """The settings that the overrides of a run name."""
    pairs = (override.partition("=") for override in job)
    return by_name({name: yaml.load(value, yaml.CSafeLoader) for name, _, value in pairs})
