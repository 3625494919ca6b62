"""A folder that takes the place of an earlier one at once, so that files of two never mix."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtd_cli.config.errors import SettingError
from dtd_cli.records.folder import RunFolder
from dtd_cli.records.lock import held


@contextmanager
def replaced(place: Path) -> Iterator[RunFolder]:
    """A new folder to write into, which gets the name ``place`` once it is whole.

    Raises:
        SettingError: something else is there than an earlier folder of this kind.
    """
    # Beside the place, and hidden: what a process that was killed left there is taken away.
    work = place.with_name(f".{place.name}.unfinished")
    new, old = work / "new", work / "old"
    with held(place.parent, str(place.parent), waits=True, name=f".{place.name}"):
        for path in (place, work):
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                raise SettingError(str(path), "", "it is no folder; remove it or rename it")
        if place.exists():
            RunFolder(place).check_own(str(place))
        if work.exists():
            shutil.rmtree(work)
        new.mkdir(parents=True)
        try:
            folder = RunFolder(new)
            yield folder
            folder.sync()
            if place.exists():
                place.replace(old)
            new.replace(place)
        finally:
            shutil.rmtree(work)
