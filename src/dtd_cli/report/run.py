"""One run, as its folder tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from dtd_cli.config.composed import leaves
from dtd_cli.records.folder import DONE, FAILED

CONFIG = Path(".hydra", "config.yaml")
OVERRIDES = Path(".hydra", "overrides.yaml")


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
    def complete(self) -> bool:
        """Whether all of the run's settings are known."""
        return bool(self.settings) and self.status is not Status.MISSING

    @classmethod
    def read(cls, path: Path, name: str) -> Run:
        """The run in the folder ``path``."""
        try:
            settings = by_name(load_yaml(path / CONFIG))
        except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
            return cls(path, name, {}, Status.BROKEN, f"{CONFIG}: {one_line(error)}")
        if (path / DONE).exists():
            return cls(path, name, settings, Status.DONE)
        if (path / FAILED).exists():
            reason = one_line((path / FAILED).read_text(errors="replace"))
            return cls(path, name, settings, Status.FAILED, reason)
        reason = f"neither {DONE} nor {FAILED}: it was cut off, or it is still running"
        return cls(path, name, settings, Status.INTERRUPTED, reason)


def load_yaml(path: Path) -> Any:
    """What a YAML file holds; libyaml's parser is ten times as fast as the one in Python."""
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def one_line(message: object) -> str:
    """A message without line breaks."""
    return " ".join(str(message).split())


def by_name(content: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name; a group itself has the name of its option as its value."""
    return {
        name.removesuffix(".name"): _shown(value) for name, value in leaves(content) if value != {}
    }


def _shown(value: Any) -> Any:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else value
