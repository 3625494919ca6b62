"""A sheet of images: one row a sample, the input first, then two blocks of methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.plots import style

# Inches: images keep their shape, so everything around them is placed rather than fitted.
_RIGHT, _TOP, _BOTTOM = 0.15, 0.95, 0.65
_LEAST_LEFT, _BESIDE, _LETTER = 0.95, 0.15, 0.066
_SPACE, _BLOCK_SPACE, _CAPTION = 0.09, 0.38, 0.2
_BAR_HEIGHT, _BAR_BELOW = 0.09, 0.17
_LONGER_SIDE, _LEAST_HEIGHT, _LEAST_WIDTH = 1.05, 0.45, 0.8


class Sheet(NamedTuple):
    """The figure and its parts."""

    figure: Figure
    inputs: list[Axes]
    """A cell for each sample."""
    blocks: tuple[list[list[Axes]], list[list[Axes]]]
    """For each block a cell for each sample and method."""
    bars: tuple[Axes, Axes]
    """The place of each block's colour bar."""


def sheet(methods: int, shape: tuple[int, int], names: Sequence[str], heading: str) -> Sheet:
    """An empty sheet for images of ``shape`` (rows, columns), each row with a name at its left."""
    samples = len(names)
    longest = max(len(line) for name in names for line in name.splitlines())
    margin = max(_LEAST_LEFT, _BESIDE + _LETTER * longest)
    scale = _LONGER_SIDE / max(shape)
    height, width = max(shape[0] * scale, _LEAST_HEIGHT), max(shape[1] * scale, _LEAST_WIDTH)
    block = methods * width + (methods - 1) * _SPACE
    starts = (margin + width + _BLOCK_SPACE, margin + width + 2 * _BLOCK_SPACE + block)
    total_width = starts[1] + block + _RIGHT
    total_height = _TOP + samples * height + (samples - 1) * _CAPTION + _BOTTOM
    figure = style.figure(total_width, total_height, heading)
    figure.set_layout_engine("none")

    place = partial(style.place, figure)
    floors = [_BOTTOM + i * (height + _CAPTION) for i in reversed(range(samples))]
    inputs = [place(margin, floor, width, height) for floor in floors]
    first, second = (
        [
            [place(start + i * (width + _SPACE), floor, width, height) for i in range(methods)]
            for floor in floors
        ]
        for start in starts
    )
    for axes, name in zip(inputs, names, strict=True):
        style.beside(axes, name)
    left, right = (
        place(start, _BOTTOM - _BAR_BELOW - _BAR_HEIGHT, block, _BAR_HEIGHT) for start in starts
    )
    return Sheet(figure, inputs, (first, second), (left, right))
