"""``inputs=digits``: handwritten digits."""

from __future__ import annotations

import torch
from pydantic.dataclasses import dataclass
from sklearn.datasets import load_digits

from dtd.domains import Domain
from dtd_cli.inputs.source import Inputs, Source, pixel_names


@dataclass(frozen=True)
class Digits(Inputs):
    """1797 images of 8×8 pixels in ten classes, scaled to the box 0..1.

    Source: scikit-learn's ``load_digits`` (test set of UCI's optical recognition of digits).
    """

    def open(self, input_size: int | None) -> Source:
        digits = load_digits()
        rows = torch.from_numpy(digits.data / 16).float()
        size = rows.shape[1]
        domain = Domain(torch.zeros(size), torch.ones(size))
        image = (1, 8, 8)
        return Source(pixel_names(image), domain, rows, digits.target, image)
