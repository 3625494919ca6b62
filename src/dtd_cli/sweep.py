"""A sweep: which of its runs are to be done, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from dtd_cli.errors import ExitStatus, SweepFailed
from dtd_cli.identity import folder_name
from dtd_cli.records.folder import RunFolder

Overrides = Sequence[str]


def sweep(
    config: DictConfig,
    runs: Sequence[Overrides],
    compose: Callable[[list[str]], DictConfig],
    launch: Callable[[list[list[str]]], Sequence[JobReturn]],
) -> None:
    """Do the runs that are not done yet, each in the folder that its configuration names.

    Args:
        config: of the sweep.
        runs: the overrides of each.
        compose: composes the configuration of a run.
        launch: does the runs.

    Raises:
        SweepFailed: after all the others are done.
    """
    folder = Path(config.hydra.sweep.dir)
    usual = cache(lambda choices: compose(list(choices)))
    # A configuration that the sweep names twice is one run.
    named = {
        folder_name(compose(list(overrides)), lambda choices: usual(tuple(choices))): overrides
        for overrides in runs
    }
    folders = {name: RunFolder(folder / name) for name in named}
    todo = [name for name in named if config.force or not folders[name].is_done]
    for name in named:
        if name not in todo:
            print(f"{name}: done before, skipped")
    for name in todo:
        # What is to be replaced is no result any more, even if it is never replaced.
        folders[name].unmark()
    statuses = _launched(launch, [_job(name, named[name]) for name in todo])
    reasons = {name: folders[name].reason for name in todo if not folders[name].is_done}
    done, skipped = len(todo) - len(reasons), len(named) - len(todo)
    print(f"{done} done, {skipped} skipped, {len(reasons)} failed: {folder}")
    if reasons:
        raise SweepFailed(max(statuses, default=ExitStatus.FAILED), folder, reasons)


def _job(name: str, overrides: Overrides) -> list[str]:
    """The overrides with which a run finds its folder, and leaves the terminal to its last line."""
    return [
        *overrides,
        f'hydra.sweep.subdir="{name}"',
        "hydra.job_logging.handlers.console.level=ERROR",
    ]


def _launched(
    launch: Callable[[list[list[str]]], Sequence[JobReturn]], jobs: list[list[str]]
) -> list[ExitStatus]:
    """The statuses that runs ended with; those of runs that were killed are not known."""
    if not jobs:
        return []
    try:
        return [job.return_value for job in launch(jobs)]
    except Exception as error:
        # The folders of the runs say which were lost.
        print(f"the launcher failed: {type(error).__name__}: {error}")
        return [ExitStatus.FAILED]
