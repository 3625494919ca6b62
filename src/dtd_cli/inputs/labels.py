"""What the labels of a data set are: classes with names, or numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

MOST_CLASSES = 50
"""More distinct labels are taken for numbers, or for names of the rows."""


def distinct(labels: np.ndarray) -> np.ndarray:
    """The distinct labels, sorted, without missing ones."""
    present: np.ndarray = np.unique(labels[~pd.isna(labels)])
    return present


def name(label: object) -> str:
    """What tables and pictures call a label: whole numbers without a point."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def why_no_classes(labels: np.ndarray) -> str:
    """Why labels cannot stand for classes, in words; empty where they can."""
    values = distinct(labels)
    if np.issubdtype(values.dtype, np.floating) and (values % 1 != 0).any():
        fraction = values[values % 1 != 0][0]
        return f"the labels are numbers, such as {fraction:g}, and no classes"
    if len(values) > MOST_CLASSES:
        return f"the labels have {len(values)} different values, more than {MOST_CLASSES} classes"
    return ""
