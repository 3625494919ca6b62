"""How far a run is: bars on a terminal, and elsewhere a line in the log when it takes long."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import TypeVar

from tqdm import tqdm

from dtd.progress import Track

T = TypeVar("T")


log = logging.getLogger(__name__)

_FIRST_LINE = 60.0
"""Seconds until the first line; each further one comes after twice the time."""


def bars(wanted: bool) -> Track:
    """What shows bars on a terminal, and writes lines where there is none or bars are unwanted."""
    return _tracked if wanted and sys.stderr.isatty() else Lines()


class Lines:
    """Writes into the log how far long work is, and about how long it still takes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun, self._due = clock, clock(), _FIRST_LINE
        self._open: list[_Work] = []

    def __call__(self, items: Sequence[T], what: str) -> Iterator[T]:
        work = _Work(what, len(items), self._clock())
        self._open.append(work)
        try:
            for work.done, item in enumerate(items):
                if work.done:
                    self._say_if_due(self._clock())
                yield item
        finally:
            self._open.remove(work)

    def _say_if_due(self, now: float) -> None:
        passed = now - self._begun
        if passed < self._due:
            return
        self._due = 2 * passed
        shown = ", ".join(f"{work.what} {work.done} of {work.size}" for work in self._open)
        # The outermost work of which something is done tells most.
        work = next(work for work in self._open if work.done)
        left = (now - work.begun) / work.done * (work.size - work.done)
        log.info("after %.0f s: %s; the %s left take about %.0f s", passed, shown, work.what, left)


@dataclass(eq=False)
class _Work:
    """Items that are handed out one by one, and how many of them are done."""

    what: str
    size: int
    begun: float
    done: int = 0


def bar(items: Sequence[T], what: str, wanted: bool = True) -> tqdm[T]:
    """The items with a bar, which goes when they are done; no bar where there is no terminal."""
    # Some terminals say that they have no size; this gives one then.
    width, height = get_terminal_size()
    return tqdm(
        items,
        desc=what,
        leave=False,
        ncols=width,
        nrows=height,
        disable=None if wanted else True,
        # What is left is estimated by the mean of all items so far.
        smoothing=0,
    )


def _tracked(items: Sequence[T], what: str) -> Iterable[T]:
    # A single item is done or not, which the bar around it shows.
    return bar(items, what) if len(items) > 1 else items
