"""One at a time: who works in a folder holds its lock, which ends with the process."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from dtd_cli.config.errors import SettingError
from dtd_cli.records.reading import LARGEST_TEXT, one_line, read_bytes

LOCK = ".lock"
"""The file that is locked; one beside it says by whom."""
_HOLDER = ".holder"


@contextmanager
def held(folder: Path, setting: str, waits: bool, name: str = "") -> Iterator[None]:
    """Hold a lock of a folder, which is made if it is not there.

    Args:
        folder: the folder.
        setting: the setting that names it.
        waits: whether to wait for another process that holds it, or to refuse the folder.
        name: what the lock is for, where the folder has more than one.

    Raises:
        SettingError: another process holds it; the message says which.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / f"{name}{_HOLDER}"
    lock = FileLock(folder / f"{name}{LOCK}")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not waits:
            raise SettingError(
                setting, folder, f"{_holder(said)} works in it; allowed is another folder"
            ) from None
        print(f"{folder}: {_holder(said)} works in it; waiting", file=sys.stderr, flush=True)
        lock.acquire(poll_interval=0.2)
    try:
        # Only for people, so a full disk is no reason to stop.
        with suppress(OSError):
            # A link that waits there is taken away, not followed.
            said.unlink(missing_ok=True)
            with said.open("x") as file:
                file.write(
                    f"process {os.getpid()} on {socket.gethostname()}, "
                    f"since {datetime.now():%Y-%m-%d %H:%M:%S}"
                )
        yield
    finally:
        with suppress(OSError):
            said.unlink(missing_ok=True)
        lock.release()


def _holder(said: Path) -> str:
    try:
        return one_line(read_bytes(said, LARGEST_TEXT).decode()) or "another process"
    except ValueError:
        return "another process"
