"""When is an input an image?"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_PIXEL = re.compile(r"pixel_(\d+)_(\d+)")


def pixel_grid(features: Sequence[str]) -> NDArray[np.intp] | None:
    """The index of the feature at each pixel, (rows, columns).

    ``None`` unless every feature is called ``pixel_<row>_<column>`` and together they fill a
    rectangle, each pixel once.
    """
    matches = [_PIXEL.fullmatch(name) for name in features]
    places = [(int(match[1]), int(match[2])) for match in matches if match]
    if not places or len(places) < len(features):
        return None
    rows, columns = (np.array(axis) - min(axis) for axis in zip(*places, strict=True))
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    if shape[0] * shape[1] != len(features) or len(set(places)) != len(places):
        return None
    grid = np.empty(shape, dtype=np.intp)
    grid[rows, columns] = np.arange(len(features))
    return grid
