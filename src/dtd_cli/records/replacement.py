"""A folder that takes the place of an earlier one at once, so that files of two never mix."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dtd_cli.config.errors import SettingError
from dtd_cli.records.files import UNFINISHED
from dtd_cli.records.folder import BEGUN, OF_FILE_MANAGERS, PLOTS, RunFolder
from dtd_cli.records.lock import held
from dtd_cli.records.reading import is_file


@contextmanager
def replaced(place: Path) -> Iterator[RunFolder]:
    """A new folder to write into, which gets the name ``place`` once it is whole.

    Raises:
        SettingError: something else is there than an earlier folder of this kind.
    """
    with held(place.parent, str(place.parent), waits=True, name=f".{place.name}"):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise SettingError(str(place), "", "it is no folder; remove it or rename it")
        if place.exists():
            RunFolder(place).check_all_own(f"DIR/{place.name}")
        _clear(place)
        # Hidden, beside the place, and with a name that nobody can have prepared.
        work = place.with_name(f".{place.name}.{secrets.token_hex(8)}{UNFINISHED}")
        work.mkdir()
        try:
            folder = RunFolder(work)
            yield folder
            folder.sync()
            if place.exists():
                for name in filter(lambda name: is_file(place / name), OF_FILE_MANAGERS):
                    (place / name).replace(work / name)
                _exchange(work, place)
            else:
                work.replace(place)
        finally:
            # What somebody put into the earlier folder meanwhile stays, and is named.
            if work.exists():
                _remove(work, f"DIR/{place.name}")


def _clear(place: Path) -> None:
    """Take away what processes that were killed left beside the place, and nothing of others."""
    for left in place.parent.glob(f".{place.name}.*{UNFINISHED}"):
        with suppress(SettingError):
            if left.is_dir() and not left.is_symlink():
                _remove(left, str(left))


def _remove(folder: Path, setting: str) -> None:
    """Take a folder away that holds its own files and those of file managers alone.

    Raises:
        SettingError: it holds something else, and stays.
    """
    RunFolder(folder).check_all_own(setting)
    # The list of the files last: without it they would be somebody else's.
    for path in sorted(folder.rglob("*"), key=lambda path: path.name == BEGUN):
        if not path.is_dir():
            path.unlink()
    with suppress(FileNotFoundError):
        (folder / PLOTS).rmdir()
    folder.rmdir()


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Of Linux: names are relative to the working folder, and two of them are swapped."""


def _exchange(one: Path, other: Path) -> None:
    """Have two folders swap their names: at once where the system can, else one after the other."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
        names = os.fsencode(one), os.fsencode(other)
        swapped = swap(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0
    except (OSError, AttributeError):  # no Linux
        swapped = False
    if not swapped:
        between = one.with_name(f".{other.name}.{secrets.token_hex(8)}{UNFINISHED}")
        other.replace(between)
        one.replace(other)
        between.replace(one)
