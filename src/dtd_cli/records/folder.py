"""The folder of one run: files appear whole or not at all, ``DONE`` last."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

DONE = "DONE"
FAILED = "FAILED"


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes."""

    path: Path

    def start(self) -> None:
        """The run begins: an earlier one in the same folder no longer counts."""
        for name in (DONE, FAILED):
            (self.path / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Take away what Hydra made for a run that never began, but nothing else."""
        hydra = self.path / ".hydra"
        for path in [*hydra.glob("*.yaml"), *self.path.glob("*.log")]:
            path.unlink()
        # outputs/<date>/<time>, from the inside out.
        for folder in (hydra, self.path, *self.path.parents[:2]):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def write(self, name: str, content: Callable[[Path], object]) -> None:
        """A file that ``content`` writes under a name of its own and that then gets its name."""
        target = self.path / name
        unfinished = target.with_name(f".{target.name}.unfinished")
        content(unfinished)
        unfinished.replace(target)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """A CSV whose numbers read back as the same floats; empty where there is no number."""
        self.write(name, lambda path: table.to_csv(path, index=False, lineterminator="\n"))

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """A JSON file for people: indented, in the order given."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        self.write(name, lambda path: path.write_text(text))

    def done(self) -> None:
        """The run is complete: everything else is written."""
        self.write(DONE, lambda path: path.write_text(""))

    def failed(self, reason: str) -> None:
        """The run has no result; the reason is one line."""
        self.write(FAILED, lambda path: path.write_text(reason + "\n"))
