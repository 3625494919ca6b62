"""One run, as its folder tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

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
            settings = dict(flat(load_yaml(path / CONFIG)))
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


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted name; a group itself has the name of its option as its value."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if "name" in value:
                yield name, value["name"]
            yield from flat({k: v for k, v in value.items() if k != "name"}, f"{name}.")
        elif isinstance(value, list):
            yield name, f"[{', '.join(map(str, value))}]"
        else:
            yield name, value
