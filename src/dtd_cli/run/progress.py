"""Progress bars, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

from dtd.progress import Track, untracked

T = TypeVar("T")


def bars(wanted: bool) -> Track:
    """What shows bars, or nothing."""
    return _bar if wanted else untracked


def _bar(items: Sequence[T], what: str) -> Iterable[T]:
    # Nothing is shown where the output is no terminal.
    return tqdm(items, desc=what, disable=None)
