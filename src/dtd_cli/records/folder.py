"""The folder of one run: files appear whole or not at all, ``DONE`` last."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtd_cli.records.files import write_whole

if TYPE_CHECKING:
    # Slow to import, and others write the tables.
    import pandas as pd

DONE = "DONE"
FAILED = "FAILED"


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes; ``origin`` holds the files that say what it is, by their names."""

    path: Path
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the folder holds a complete run."""
        return (self.path / DONE).exists()

    @property
    def reason(self) -> str:
        """Why the run has no result, in one line."""
        try:
            return (self.path / FAILED).read_text().strip()
        except OSError:
            return "it ended without a word; was it killed?"

    @property
    def is_begun(self) -> bool:
        """Whether a run began here and has not ended."""
        marked = any((self.path / name).exists() for name in (DONE, FAILED))
        return not marked and all((self.path / name).exists() for name in self.origin)

    def start(self) -> None:
        """The run begins: an earlier one in the same folder no longer counts."""
        self.unmark()
        for name, text in self.origin.items():
            self.write_text(name, text)

    def unmark(self) -> None:
        """What the folder holds no longer counts, neither as a result nor as a failure."""
        for name in (DONE, FAILED):
            (self.path / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Take away the empty folders that Hydra made for a run that never began.

        The run's own, and those above it as far as the working directory, which stays itself.
        """
        here = Path.cwd()
        above = [folder for folder in self.path.parents if here in folder.parents]
        # The first that is not empty is not removed, and ends it.
        with suppress(OSError):
            for folder in (self.path, *above):
                if folder not in (here, *here.parents):
                    folder.rmdir()

    def write(self, name: str, content: Callable[[Path], object]) -> None:
        """A file that ``content`` writes; see :func:`write_whole`."""
        write_whole(self.path / name, content)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """A CSV whose numbers read back as the same floats; empty where there is no number."""
        self.write(name, lambda path: table.to_csv(path, index=False, lineterminator="\n"))

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """A JSON file for people: indented, in the order given."""
        self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """A file of text."""
        self.write(name, lambda path: path.write_text(text))

    def done(self) -> None:
        """The run is complete: everything else is written."""
        self.write_text(DONE, "")

    def failed(self, reason: str) -> None:
        """The run has no result; the reason becomes one line. A full disk takes even that."""
        with suppress(OSError):
            self.write_text(FAILED, " ".join(reason.split()) + "\n")
