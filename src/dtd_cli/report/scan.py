"""Which runs there are below a folder, and which there should be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dtd_cli.records.documents import parse_yaml, read_json
from dtd_cli.records.folder import DONE, LARGEST_PLAN, PLAN, REPORT
from dtd_cli.records.manifest import Manifest, is_inside
from dtd_cli.records.reading import UnreadableError
from dtd_cli.report.run import CONFIG, Run, Status, by_name
from dtd_cli.run.progress import bars


def scan(folder: Path, progress: bool, verify: bool = False) -> list[Run]:
    """All runs below ``folder``, in the natural order of their names; missing ones last."""
    folders = list(_folders(folder))
    holding = [path for path in folders if _holds_a_run(path)]
    holding.sort(key=lambda path: _natural(path.relative_to(folder).as_posix()))
    shown = bars(progress)(holding, "finding runs")
    runs = [Run.read(path, path.relative_to(folder).as_posix(), verify) for path in shown]
    sweeps = [path for path in folders if os.path.lexists(path / PLAN) and not path.is_symlink()]
    return runs + [
        run for sweep in sweeps for run in _missing(sweep, sweep.relative_to(folder).as_posix())
    ]


def _folders(top: Path) -> Iterator[Path]:
    """``top`` and the folders below it, without hidden ones and the report; links are last."""
    links = []
    for place, names, _ in os.walk(top):
        here = Path(place)
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".") and not (here == top and name == REPORT)
        )
        links += [here / name for name in names if (here / name).is_symlink()]
        yield here
    # What they lead to is not read, and in its own place below ``top`` it is found anyway.
    yield from (link for link in links if not link.resolve().is_relative_to(top.resolve()))


def _holds_a_run(folder: Path) -> bool:
    """Whether somebody's run is there, also one whose settings were taken away."""
    return os.path.lexists(folder / CONFIG) or Manifest.read(folder / DONE) is not None


def _natural(name: str) -> list[tuple[float, str]]:
    """Sorts ``seed=10`` after ``seed=9``, and ``gamma=0.5`` after ``gamma=0.25``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    # Every second part is a number.
    return [(float(p), "") if i % 2 else (-1.0, p) for i, p in enumerate(parts)]


def _missing(sweep: Path, shown: str) -> list[Run]:
    """The runs that a sweep was to make and that have no folder: it ended before."""
    try:
        plan = read_json(sweep / PLAN, dict[str, list[str]], LARGEST_PLAN)
    except UnreadableError as error:
        return [Run(sweep, shown, {}, Status.BROKEN, str(error))]
    return [
        Run(sweep, "", _given(job), Status.MISSING, f"never begun: {' '.join(job)}")
        for name, job in plan.items()
        if is_inside(name) and not _holds_a_run(sweep / name)
    ]


def _given(job: list[str]) -> dict[str, Any]:
    """The settings that the overrides of a run name."""
    given: dict[str, Any] = {}
    for override in job:
        name, _, value = override.partition("=")
        given[name] = value
        # Other words are as they are.
        with suppress(ValueError):
            given[name] = parse_yaml(value)
    return by_name(given)
