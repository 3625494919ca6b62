"""A sheet of images: in each row one to compare with, and then one for each method."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import style

# Inches: images keep their shape, so everything around them is placed rather than fitted.
_RIGHT, _HEADING, _NAMES, _BOTTOM = 0.15, 0.42, 0.35, 0.62
_LEAST_LEFT, _BESIDE, _LETTER = 0.95, 0.15, 0.066
_SPACE, _AFTER_FIRST, _LINE, _LINES = 0.12, 0.2, 0.135, 0.06
_BAR_HEIGHT, _BAR_BELOW, _LONGEST_BAR = 0.09, 0.17, 3.0
_LONGER_SIDE, _LEAST_HEIGHT, _LEAST_WIDTH = 1.05, 0.45, 0.9


class Sheet(NamedTuple):
    """The figure and its parts."""

    figure: Figure
    cells: list[list[Axes]]
    """For each row a cell for each image."""
    bar: Axes
    """The place of the colour bar."""
    small: bool
    """Whether there is room for a number only above each image."""


def sheet(
    images: int,
    shape: tuple[int, int],
    names: Sequence[str],
    lines: int,
    heading: str,
    caption: str,
    plots: Plots,
) -> Sheet:
    """An empty sheet for images of ``shape`` (rows, columns), each row with a name at its left.

    Above each image there is room for so many ``lines``.
    """
    longest = max(len(line) for name in names for line in name.splitlines())
    margin = max(0 if plots.narrow else _LEAST_LEFT, _BESIDE + _LETTER * longest)
    between = _AFTER_FIRST + (images - 1) * _SPACE
    scale = _LONGER_SIDE / max(shape)
    width = max(shape[1] * scale, _LEAST_WIDTH)
    if plots.inches:
        width = (plots.inches - margin - between - _RIGHT) / images
    height = max(min(scale, width / shape[1]) * shape[0], _LEAST_HEIGHT)
    above = _LINES + lines * _LINE
    top = _HEADING * plots.heading + _NAMES
    total_width = margin + images * width + between + _RIGHT
    total_height = top + len(names) * (height + above) + _BOTTOM
    figure = style.figure(
        max(total_width, 0 if plots.inches else style.LEAST_WIDTH),
        total_height,
        heading,
        caption,
        plots,
    )
    figure.set_layout_engine("none")

    place = partial(style.place, figure)
    floors = [_BOTTOM + i * (height + above) for i in reversed(range(len(names)))]
    starts = [margin + i * (width + _SPACE) + _AFTER_FIRST * (i > 0) for i in range(images)]
    cells = [[place(start, floor, width, height) for start in starts] for floor in floors]
    for row, name in zip(cells, names, strict=True):
        style.beside(row[0], name)
    length = min(_LONGEST_BAR, starts[-1] + width - starts[min(1, images - 1)])
    bar = place(starts[min(1, images - 1)], _BOTTOM - _BAR_BELOW - _BAR_HEIGHT, length, _BAR_HEIGHT)
    return Sheet(figure, cells, bar, width < _LEAST_WIDTH)
