"""What is on the terminal while a sweep does its runs: one bar, and a line for each run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tqdm import tqdm

from dtd_cli.records.folder import RunFolder
from dtd_cli.run.progress import bar

_EVERY = 0.5
"""Seconds between two looks at the folders of the runs."""
_EMPTY_LINE = "\r\x1b[K"
"""Has a terminal empty the line in which the cursor is."""


@contextmanager
def runs_shown(folders: Sequence[Path], wanted: bool) -> Iterator[None]:
    """Show on a terminal how many of the runs have ended, whichever launcher does them."""
    shown = bar(folders, "runs", wanted)
    if shown.disable:
        yield
        return
    runs = [RunFolder(folder) for folder in folders]
    before = [run.end for run in runs]

    def look() -> None:
        ends = zip((run.end for run in runs), before, strict=True)
        # What an earlier run left says nothing of this one.
        shown.update(sum(end not in (None, first) for end, first in ends) - shown.n)

    def watch() -> None:
        while not over.wait(_EVERY):
            look()

    over, thread = Event(), Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look()
        shown.close()


def say(line: str, another_process: bool) -> None:
    """Print a line where a bar may be: one of this process, or of the one that started it."""
    terminal = another_process and sys.stdout.isatty() and sys.stderr.isatty()
    tqdm.write(f"{_EMPTY_LINE * terminal}{line}")
    sys.stdout.flush()
