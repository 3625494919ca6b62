"""How the program ends."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path


class ExitStatus(IntEnum):
    """What ``dtd-run`` ends with; also what a run of a sweep ends with."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    INTERRUPTED = 130


class SweepFailed(Exception):
    """Some runs of a sweep have no result; ``reasons`` by the name of their folder."""

    def __init__(self, status: ExitStatus, folder: Path, reasons: Mapping[str, str]) -> None:
        self.status, self.folder, self.reasons = status, folder, reasons
        super().__init__(f"{len(reasons)} runs failed in {folder}")
