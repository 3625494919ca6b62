"""``inputs=digits``: handwritten digits."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.metadata import distribution

import numpy as np
import torch
from pydantic.dataclasses import dataclass

from dtd.domains import Domain
from dtd_cli.inputs.source import DataSet, Source, pixel_names


@dataclass(frozen=True)
class Digits(DataSet):
    """1797 images of 8×8 pixels in ten classes, scaled to the box 0..1.

    Source: scikit-learn's ``load_digits`` (test set of UCI's optical recognition of digits).
    """

    def open(self, input_size: int | None) -> Source:
        table = _table()
        rows = torch.from_numpy(table[:, :-1] / 16).float()
        size = rows.shape[1]
        domain = Domain(torch.zeros(size), torch.ones(size))
        image = (1, 8, 8)
        return Source(pixel_names(image), domain, rows, table[:, -1].astype(int), image)


@cache
def _table() -> np.ndarray:
    """Pixels from 0 to 16, and the class, (1797, 65), read once in a process.

    From scikit-learn's own file: its import takes longer than training on these images.
    """
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(str(path), "rt") as file:
        return np.loadtxt(file, delimiter=",")
