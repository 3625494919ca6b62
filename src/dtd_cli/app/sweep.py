"""A sweep: does the runs that are not done yet, and says what became of each."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from dtd_cli.app.identity import folder_name
from dtd_cli.app.status import ExitStatus, SweepFailed
from dtd_cli.records.folder import RunFolder


@dataclass(frozen=True)
class Job:
    """One run of a sweep that is to be launched."""

    name: str
    """The name of its folder."""
    overrides: list[str]
    composed: bytes
    """Its configuration, pickled: thousands of them may wait in memory."""

    @property
    def own(self) -> dict[str, str]:
        """Its own overrides: where it writes, and that only its last line is on the terminal."""
        return {
            "hydra.sweep.subdir": self.name,
            "hydra.job_logging.handlers.console.level": "ERROR",
        }


def sweep(
    config: DictConfig,
    runs: Sequence[Sequence[str]],
    compose: Callable[[list[str]], DictConfig],
    launch: Callable[[list[Job]], Sequence[JobReturn]],
) -> None:
    """Do the runs that are not done yet, each in the folder with the name of its configuration.

    Args:
        config: of the sweep.
        runs: the overrides of each.
        compose: composes the configuration of a run.
        launch: does the runs.

    Raises:
        SweepFailed: some have no result; the others were done first.
    """
    folder = Path(config.hydra.sweep.dir)
    usual = cache(lambda choices: compose(list(choices)))
    jobs: dict[str, Job] = {}
    for overrides in runs:
        composed = compose(list(overrides))
        name = folder_name(composed, lambda choices: usual(tuple(choices)))
        # A configuration that the sweep names twice is one run.
        jobs[name] = Job(name, list(overrides), pickle.dumps(composed))
    folders = {name: RunFolder(folder / name) for name in jobs}
    todo = {name for name in jobs if config.force or not folders[name].is_done}
    for name in todo:
        # An old result does not count from here on, even if its replacement never comes.
        folders[name].unmark()
    for name in jobs:
        if name not in todo:
            print(f"{name}: done before, skipped")
    status = _launched(launch, [job for job in jobs.values() if job.name in todo])
    reasons = {name: folders[name].reason for name in jobs if not folders[name].is_done}
    done, skipped = len(todo) - len(reasons), len(jobs) - len(todo)
    print(f"{done} done, {skipped} skipped, {len(reasons)} failed: {folder}")
    if config.report:
        _report(folder, config.progress)
    if reasons:
        # A run that was killed could not write that it failed.
        raise SweepFailed(status or ExitStatus.FAILED, folder, reasons)


def _report(folder: Path, progress: bool) -> None:
    """Write the report over the sweep; if that fails, the runs keep their results."""
    # Slow to import, and only needed here.
    from dtd_cli.report import write_report

    try:
        print(f"report: {write_report(folder, progress)}")
    except Exception as error:
        print(f"no report: {type(error).__name__}: {error}")


def _launched(launch: Callable[[list[Job]], Sequence[JobReturn]], jobs: list[Job]) -> ExitStatus:
    """Launch the jobs, and give the worst status with which one ended."""
    if not jobs:
        return ExitStatus.DONE
    try:
        return max(ExitStatus(job.return_value) for job in launch(jobs))
    except Exception as error:
        # A process was killed, or never started. The folders tell which runs have no result.
        print(f"the launcher failed: {type(error).__name__}: {error}")
        return ExitStatus.FAILED
