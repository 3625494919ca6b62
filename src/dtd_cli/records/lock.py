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

LOCK, HOLDER = ".lock", ".holder"
"""The file that is locked, and the one that says by whom."""


@contextmanager
def held(folder: Path, setting: str, waits: bool) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is not there.

    Args:
        folder: the folder.
        setting: the setting that names it.
        waits: whether to wait for another process that holds it, or to refuse the folder.

    Raises:
        SettingError: another process holds it; the message says which.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, poll_interval=0.2)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not waits:
            raise SettingError(
                setting, folder, f"{_holder(folder)} works in it; allowed is another folder"
            ) from None
        print(f"{folder}: {_holder(folder)} works in it; waiting", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        # Only for people, so a full disk is no reason to stop.
        with suppress(OSError):
            (folder / HOLDER).write_text(
                f"process {os.getpid()} on {socket.gethostname()}, "
                f"since {datetime.now():%Y-%m-%d %H:%M:%S}"
            )
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        return (folder / HOLDER).read_text() or "another process"
    except OSError:
        return "another process"
