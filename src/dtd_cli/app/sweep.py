"""A sweep: does the runs that are not done yet, and says what became of each."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf, open_dict

from dtd_cli.app.identity import identity
from dtd_cli.app.status import ExitStatus, Outcome, SweepFailed, described
from dtd_cli.app.waiting import runs_shown
from dtd_cli.config.composed import NOT_OF_THE_RUN
from dtd_cli.config.errors import SettingError
from dtd_cli.records.files import left_unfinished, sync, write_whole
from dtd_cli.records.folder import BEGUN, PLAN, REPORT, RunFolder
from dtd_cli.records.lock import held
from dtd_cli.records.manifest import is_inside
from dtd_cli.records.reading import is_file

_MULTIRUN = "multirun.yaml"
_OURS = ".sweep"
"""In a sweep's folder from its first moment on; a run in the same folder takes its own away."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep that is to be launched."""

    name: str
    """The name of its folder."""
    identity: str
    overrides: list[str]
    composed: bytes
    """Its configuration, pickled: thousands of them may wait in memory."""

    @property
    def own(self) -> dict[str, str]:
        """Its own overrides: where it writes, and which files and code it was named after."""
        return {"hydra.sweep.subdir": self.name, "hydra.sweeper.identity": self.identity}


Launch = Callable[[list[Job]], Sequence[JobReturn]]


def sweep(
    config: DictConfig,
    runs: Sequence[Sequence[str]],
    compose: Callable[[list[str]], DictConfig],
    launch: Launch,
) -> None:
    """Do the runs that are not done yet, each in the folder with the name of its configuration.

    Args:
        config: of the sweep.
        runs: the overrides of each.
        compose: composes the configuration of a run.
        launch: does the runs.

    Raises:
        SettingError: there are no runs, two of them have the same folder, or one is not inside the
            sweep's.
        SweepFailed: some have no result; the others were done first.
    """
    folder = Path(config.hydra.sweep.dir)
    for name in sorted(NOT_OF_THE_RUN):
        # What refers to nothing is refused before there is a folder.
        OmegaConf.select(config, name)
    jobs = _jobs(runs, compose)
    if not jobs:
        given: Any = OmegaConf.to_container(config.hydra.overrides.task)
        raise SettingError(
            "configuration", " ".join(given), "a setting has no values, so there is no run"
        )
    with folder_held(folder):
        # From it a report knows the runs that were asked for and never began.
        plan = {name: job.overrides for name, job in jobs.items()}
        write_whole(folder / PLAN, lambda path: path.write_text(json.dumps(plan, indent=1)))
        # As Hydra does, but never through a link.
        write_whole(folder / _MULTIRUN, lambda path: OmegaConf.save(config, path))
        sync([folder, folder.parent])
        _sweep(config, folder, jobs, launch)


@contextmanager
def folder_held(folder: Path) -> Iterator[None]:
    """Hold the lock of a sweep's folder; another sweep that works in it is waited for.

    Raises:
        SettingError: it is somebody else's folder, whose files would be replaced.
    """
    with held(folder, "sweep", waits=True):
        if not is_file(folder / _OURS):
            runs = any(path.parent.name != REPORT for path in folder.glob(f"*/{BEGUN}"))
            for name in (_MULTIRUN, PLAN):
                if (folder / name).exists() and not runs:
                    raise SettingError(
                        "sweep",
                        folder,
                        f"it holds a {name} and no run of this program; allowed is another name",
                    )
            write_whole(folder / _OURS, Path.touch)
        for name in (_OURS, _MULTIRUN, PLAN):
            # Of a sweep that was killed.
            for left in filter(is_file, left_unfinished(folder / name)):
                left.unlink()
        yield


def _jobs(
    runs: Sequence[Sequence[str]], compose: Callable[[list[str]], DictConfig]
) -> dict[str, Job]:
    """The runs by the names of their folders; one that is named twice is one run."""
    jobs: dict[str, Job] = {}
    for number, overrides in enumerate(runs):
        composed = compose(list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        name, digest = str(composed.hydra.sweep.subdir), identity(composed)
        if not is_inside(name):
            raise SettingError(
                "hydra.sweep.subdir", name, "allowed is the name of a folder inside the sweep's"
            )
        known = jobs.get(name)
        if known and known.identity != digest:
            raise SettingError(
                "hydra.sweep.subdir", name, "two runs have this folder; allowed is one for each"
            )
        jobs[name] = known or Job(name, digest, list(overrides), pickle.dumps(composed))
    return jobs


def _sweep(config: DictConfig, folder: Path, jobs: Mapping[str, Job], launch: Launch) -> None:
    folders = {name: RunFolder(folder / name) for name in jobs}
    todo = [
        job
        for name, job in jobs.items()
        if config.force or folders[name].problem(job.identity, config.verify)
    ]
    if config.force:
        for job in todo:
            # An old result does not count from here on, even if its replacement never comes.
            with held(folders[job.name].path, "sweep", waits=True):
                folders[job.name].unmark()
    for name, job in jobs.items():
        if job not in todo:
            print(f"{name}: done before, skipped")
    with runs_shown([folders[job.name].path for job in todo], config.progress):
        outcomes, trouble = _launched(launch, todo)
    reasons = {
        job.name: outcome.said if outcome else _reason(folders[job.name], trouble)
        for job, outcome in zip(todo, outcomes, strict=True)
        if not (outcome and outcome.status is ExitStatus.DONE)
        # What a launcher that failed does not say, the folder does.
        and (outcome or folders[job.name].problem(job.identity))
    }
    skipped = len(jobs) - len(todo) + sum(bool(o and o.skipped) for o in outcomes)
    done = len(jobs) - skipped - len(reasons)
    print(f"{done} done, {skipped} skipped, {len(reasons)} failed: {folder}")
    if config.report:
        write_report(folder, config.progress)
    if reasons:
        statuses = [outcome.status if outcome else ExitStatus.FAILED for outcome in outcomes]
        raise SweepFailed(max(statuses), folder, reasons)


def _reason(folder: RunFolder, trouble: str) -> str:
    """Why a run of which nobody said what became of it has no result."""
    if folder.is_left:
        return f"it ended without a word; was it killed? {trouble}".strip()
    return folder.reason or f"it never began. {trouble}".strip()


def write_report(folder: Path, progress: bool) -> None:
    """Write the report over a sweep; if that fails, the runs keep their results."""
    # Slow to import, and only needed here.
    from dtd_cli import report

    try:
        print(f"report: {report.write_report(folder, progress, verify=False)}")
    except Exception as error:
        print(f"no report: {described(error)}")


def _launched(launch: Launch, jobs: list[Job]) -> tuple[list[Outcome | None], str]:
    """What became of each job, as far as it says so; and what became of the launcher."""
    try:
        returned = launch(jobs) if jobs else []
        return [job.return_value for job in returned], ""
    except Exception as error:
        # A process was killed, or never started. The folders tell which runs have no result.
        said = f"the launcher failed: {described(error)}"
        return [None] * len(jobs), said
