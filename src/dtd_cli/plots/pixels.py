"""When is an input an image, and how is it drawn?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from numpy.typing import NDArray

_PIXEL = re.compile(r"pixel(?:_(\d+))?_(\d+)_(\d+)")
_COLOURS = 3


@dataclass(frozen=True, eq=False)
class Pixels:
    """Where features lie in an image: ``index`` (channels, rows, columns) has their numbers."""

    index: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.index.shape[1], self.index.shape[2]

    @property
    def places(self) -> NDArray[np.intp]:
        """Row and column of each feature, (2, features)."""
        places = np.empty((2, self.index.size), dtype=np.intp)
        places[:, self.index] = np.indices(self.index.shape)[1:]
        return places

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of each pixel's channels, (rows, columns)."""
        summed: NDArray[np.float64] = values[self.index].sum(0)
        return summed

    def show(
        self, axes: Axes, values: NDArray[np.float64], norm: Normalize, **options: Any
    ) -> None:
        """Draw the image itself: three channels as red, green and blue, others as their mean."""
        channels = values[self.index]
        if len(channels) == _COLOURS:
            axes.imshow(np.clip(norm(channels), 0, 1).transpose(1, 2, 0), **options)
        else:
            axes.imshow(channels.mean(0), cmap="gray_r", norm=norm, **options)


def strip(features: int) -> Pixels:
    """Features side by side, each a pixel."""
    return Pixels(np.arange(features)[None, None])


def pixels_of(features: Sequence[str]) -> Pixels | None:
    """The pixels of an image.

    ``None`` unless every feature is called ``pixel_<row>_<column>``, or every one
    ``pixel_<channel>_<row>_<column>``, and together they fill a block, each place once.
    """
    matches = [_PIXEL.fullmatch(name) for name in features]
    groups = [match.groups() for match in matches if match]
    if not groups or len(groups) < len(features) or len({g[0] is None for g in groups}) > 1:
        return None
    places = [tuple(int(number or 0) for number in group) for group in groups]
    axes = [np.array(axis) - min(axis) for axis in zip(*places, strict=True)]
    shape = tuple(int(axis.max()) + 1 for axis in axes)
    if np.prod(shape, dtype=float) != len(features) or len(set(places)) != len(places):
        return None
    index = np.empty(shape, dtype=np.intp)
    index[tuple(axes)] = np.arange(len(features))
    return Pixels(index)
