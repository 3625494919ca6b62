"""Exit statuses, and the failure of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path


class ExitStatus(IntEnum):
    """The exit status of ``dtd-run``, and of each run of a sweep."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    INTERRUPTED = 130


class SweepFailed(Exception):
    """Some runs of a sweep have no result; ``reasons`` says why, by the names of their folders."""

    def __init__(self, status: ExitStatus, folder: Path, reasons: Mapping[str, str]) -> None:
        self.status, self.folder, self.reasons = status, folder, reasons
        super().__init__(f"{len(reasons)} runs failed in {folder}")
