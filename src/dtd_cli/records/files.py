"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, content: Callable[[Path], object]) -> None:
    """A file that ``content`` writes under a name of its own, and that then gets its name.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(exist_ok=True)
        content(unfinished)
        unfinished.replace(path)
    except OSError as error:
        # With the name that readers know.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)
