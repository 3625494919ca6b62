"""Tables in NumPy's files of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dtd_cli.inputs.content import Content, refused


def read_array(path: Path) -> Content:
    """The table in a file of one array."""
    return _of_array(path, np.load(path, allow_pickle=False))


def read_arrays(path: Path) -> Content:
    """The table in a file of arrays: the one of two or more dimensions, the others as columns."""
    with np.load(path, allow_pickle=False) as arrays:
        named = dict(arrays)
    tables = [name for name, array in named.items() if array.ndim > 1]
    if len(tables) != 1:
        raise refused(
            path,
            f"it has the arrays {', '.join(named)}; allowed is one of two or more dimensions, "
            "and columns as arrays of one",
        )
    content = _of_array(path, named.pop(tables[0]))
    wrong = [name for name, array in named.items() if array.shape != (len(content.frame),)]
    if wrong:
        raise refused(
            path,
            f"its array {wrong[0]} has the shape {named[wrong[0]].shape}; allowed is "
            f"({len(content.frame)},), a value for each row",
        )
    return Content(content.frame.assign(**named), content.image)


def _of_array(path: Path, array: np.ndarray) -> Content:
    if array.dtype.names:
        return Content(pd.DataFrame(array))
    if not 2 <= array.ndim <= 4:
        raise refused(
            path,
            f"its array has the shape {array.shape}; allowed are (rows, columns), and of images "
            "(rows, height, width) or (rows, channels, height, width)",
        )
    image = None
    if array.ndim > 2:
        channels, height, width = (1, *array.shape[1:])[-3:]
        image = channels, height, width
    columns = array.reshape(len(array), -1)
    return Content(
        pd.DataFrame(columns, columns=[f"x{i + 1}" for i in range(columns.shape[1])]), image
    )
