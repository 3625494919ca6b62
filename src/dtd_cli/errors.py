"""The one error that is the user's to mend, and how the program ends."""

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


class SettingError(ValueError):
    """A setting has a value that it cannot have.

    The message is one line for the terminal: the setting, its value, what is allowed.
    """

    def __init__(self, setting: str, value: object, allowed: str) -> None:
        self.setting, self.value, self.allowed = setting, value, allowed
        given = f"{setting}={value}" if value != "" else setting
        super().__init__(" ".join(f"{given}: {allowed}".split()))

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, object, str]]:
        # Worker processes of a sweep send their errors home.
        return SettingError, (self.setting, self.value, self.allowed)


def check_seed(setting: str, seed: int) -> None:
    """Refuse what no generator takes.

    Raises:
        SettingError: the seed is negative or has more than 63 bits.
    """
    if not 0 <= seed < 2**63:
        raise SettingError(setting, seed, "allowed is any integer >= 0 and < 2**63")


class SweepFailed(Exception):
    """Some runs of a sweep have no result; ``reasons`` by the name of their folder."""

    def __init__(self, status: ExitStatus, folder: Path, reasons: Mapping[str, str]) -> None:
        self.status, self.folder, self.reasons = status, folder, reasons
        super().__init__(f"{len(reasons)} runs failed in {folder}")
