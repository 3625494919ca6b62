"""Progress bars, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from shutil import get_terminal_size
from typing import TypeVar

from tqdm import tqdm

from dtd.progress import Track, untracked

T = TypeVar("T")


def bars(wanted: bool) -> Track:
    """What shows bars, or nothing."""
    return _tracked if wanted else untracked


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
