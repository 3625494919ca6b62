"""What a file of a table holds, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dtd_cli.config.errors import SettingError
from dtd_cli.inputs.source import Image


@dataclass(frozen=True, eq=False)
class Content:
    """What a file holds: columns with names, the empty name where there is none.

    Of an array of images, ``image`` is their shape, and the columns are the pixels. ``notes`` say
    what was found out about the file.
    """

    frame: pd.DataFrame
    image: Image | None = None
    notes: tuple[str, ...] = ()


def refused(path: object, reason: str) -> SettingError:
    """The error that says why the file is not read."""
    return SettingError("inputs.path", str(path), reason)
