"""One run, as its folder tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dtd_cli.config.composed import leaves
from dtd_cli.records.documents import read_yaml
from dtd_cli.records.folder import DONE, FAILED, RunFolder
from dtd_cli.records.reading import UnreadableError, is_file, one_line

CONFIG = Path(".hydra", "config.yaml")


class Status(StrEnum):
    """What became of a run."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Run:
    """A run: its folder, its settings by dotted name as they were composed, and its status.

    ``name`` is the folder relative to that of the report; ``reason`` says in one line why a run
    has no result.
    """

    path: Path
    name: str
    settings: Mapping[str, Any]
    status: Status
    reason: str = ""

    @property
    def shown(self) -> str:
        """Its name as a page or a table may have it, also one that is no text."""
        return printable(self.name)

    @property
    def complete(self) -> bool:
        """Whether all of the run's settings are known."""
        return bool(self.settings) and self.status is not Status.MISSING

    @classmethod
    def read(cls, path: Path, name: str, verify: bool) -> Run:
        """The run in the folder ``path``; with ``verify`` the content of its files is compared."""
        folder = RunFolder(path)
        for link in (path, path / CONFIG.parent)[name == "." :]:
            if link.is_symlink():
                reason = f"{printable(link.name)} is a link, which is not followed"
                return cls(path, name, {}, Status.BROKEN, reason)
        try:
            settings = by_name(read_yaml(path / CONFIG))
        except UnreadableError as error:
            return cls(path, name, {}, Status.BROKEN, f"{CONFIG.parent}/{error}")
        if is_file(path / DONE):
            # Version 0.1 did not list the files; those that a report reads are checked there.
            listed = (path / DONE).lstat().st_size > 0
            problem = folder.problem(verify=verify) if listed else ""
            return cls(path, name, settings, Status.BROKEN if problem else Status.DONE, problem)
        if is_file(path / FAILED):
            return cls(path, name, settings, Status.FAILED, one_line(folder.reason))
        reason = f"neither {DONE} nor {FAILED}: it was cut off, or it is still running"
        return cls(path, name, settings, Status.INTERRUPTED, reason)


def by_name(content: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name; a group itself has the name of its option as its value."""
    return {
        name.removesuffix(".name"): _shown(value) for name, value in leaves(content) if value != {}
    }


def _shown(value: Any) -> Any:
    """A value in one line, without what a terminal would take for orders."""
    if isinstance(value, list):
        return f"[{', '.join(str(_shown(entry)) for entry in value)}]"
    return printable(value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """A text with code points in place of what is no letter, such as bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
