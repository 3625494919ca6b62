"""Exit statuses, and what became of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitStatus(IntEnum):
    """The exit status of ``dtd-run``, and of each run of a sweep."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    INTERRUPTED = 130


@dataclass(frozen=True)
class Outcome:
    """What became of a run; ``said`` is its reason in one line if it has no result."""

    status: ExitStatus
    said: str = ""
    skipped: bool = False


class RunFailed(Exception):
    """A run has no result: for sweepers that go by what a run returns or raises."""

    def __init__(self, status: ExitStatus, folder: str, reason: str) -> None:
        # What is given on is what a process needs to make it again.
        super().__init__(status, folder, reason)
        self.status, self.folder, self.reason = status, folder, reason

    def __str__(self) -> str:
        return f"{self.folder}: {self.reason}"


class SweepFailed(Exception):
    """Some runs of a sweep have no result; ``reasons`` says why, by the names of their folders."""

    def __init__(self, status: ExitStatus, folder: Path, reasons: Mapping[str, str]) -> None:
        self.status, self.folder, self.reasons = status, folder, reasons
        super().__init__(f"{len(reasons)} runs failed in {folder}")


def described(error: BaseException) -> str:
    """An error in one line: its type and its message."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, what caused that, and so on."""
    seen: set[int] = set()
    # Errors may name each other as their cause.
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
