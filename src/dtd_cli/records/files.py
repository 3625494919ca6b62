"""Files that appear whole or not at all, and that are still there after a power cut."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

UNFINISHED = ".unfinished"
_BYTES = 8
"""How the name ends under which a file is written until it is whole."""


def write_whole(path: Path, content: Callable[[Path], object]) -> None:
    """A file that ``content`` writes under a name of its own, and that then gets its name.

    Nobody can guess that name, so no link can wait there for what is written.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(_BYTES)}{UNFINISHED}")
    try:
        path.parent.mkdir(exist_ok=True)
        content(unfinished)
        unfinished.replace(path)
    except OSError as error:
        # With the name that readers know.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def left_unfinished(path: Path) -> Iterator[Path]:
    """What ``write_whole`` left of this file where it was killed."""
    return path.parent.glob(f".{path.name}.{'[0-9a-f]' * 2 * _BYTES}{UNFINISHED}")


def sync(paths: Iterable[Path]) -> None:
    """Have the disk keep these files and folders: what they hold survives a power cut."""
    # A file system commits what comes together at once: waiting one by one takes longer.
    with ThreadPoolExecutor(8) as pool:
        # What one of them raises is raised here.
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
