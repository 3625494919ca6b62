"""Files that anybody may have made: opened within limits, or refused in one line.

The folder of a run may come from somebody else, and so may what lies where a run is to go. This
file, :mod:`dtd_cli.records.documents` and :mod:`dtd_cli.records.table_reading` are the only code
that reads it. What is no plain file, or larger, deeper or of another kind than what this program
writes, is refused before it costs time or memory. Nothing is resolved or executed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

LARGEST = 2 * 2**30
"""Bytes that are read of a file at most."""
LARGEST_TEXT = 2**20
"""Bytes of a file of settings or figures."""


class UnreadableError(ValueError):
    """A file is not what it should be; the message is one line that begins with its name."""


@contextmanager
def opened(path: Path, largest: int = LARGEST) -> Iterator[BufferedReader]:
    """A plain file, to be read: no link, and nothing that waits for somebody or never ends.

    Raises:
        UnreadableError: it is something else, is larger, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        kind = "a link" if path.is_symlink() else getattr(error, "strerror", None) or error
        raise UnreadableError(f"{path.name}: {kind}") from error
    status = os.fstat(handle)
    try:
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError(f"{path.name}: no plain file")
        if status.st_size > largest:
            raise UnreadableError(f"{path.name}: larger than {largest / 2**20:.0f} MiB")
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    except OSError as error:
        raise UnreadableError(f"{path.name}: {error.strerror}") from error
    finally:
        os.close(handle)


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a plain file.

    Raises:
        UnreadableError: see :func:`opened`.
    """
    with opened(path, largest) as file:
        # No more than was allowed, also where somebody still writes.
        return file.read(os.fstat(file.fileno()).st_size)


def one_line(message: object) -> str:
    """A message without line breaks, and not longer than one reads."""
    return " ".join(str(message).split())[:300]


def is_file(path: Path) -> bool:
    """Whether there is a file: a link or a pipe is none."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
