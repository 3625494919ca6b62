"""The relevance of the input: configurations against samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dtd_cli.plots import style
from dtd_cli.plots.heatmaps import symmetric
from dtd_cli.plots.pixels import pixels_of, strip
from dtd_cli.report.explanations import Explanations
from dtd_cli.report.pictures.bands import LONGEST_CONFIGURATION, MOST_CONFIGURATIONS

MOST_SAMPLES = 8
_MOST_FEATURES, _MOST_NAMES, _LONGEST_NAME = 40, 10, 12
# Inches: everything is placed, because images keep their shape.
_RIGHT, _TOP, _BOTTOM, _LETTER = 0.25, 0.55, 0.95, 0.075
_CELL, _SPACE, _CAPTION, _BAR = 1.0, 0.09, 0.2, 0.09


def heatmaps(group: Explanations, method: str) -> Figure | None:
    """One method's relevance: a row a configuration, a column a sample.

    All images are on one scale, symmetric about zero, which is white. Inputs that are no images
    are strips, a field for each feature. A method that gives the same for every configuration has
    one row. None for inputs too long to be told apart. Marks say where it may be wrong, and where
    there is none that is finite.
    """
    rows = {name: values for (by, name), values in group.relevance.items() if by == method}
    doubts = {name: states for (by, name), states in group.doubts.items() if by == method}
    first, *others = rows
    if others and all(np.array_equal(rows[first], rows[o], equal_nan=True) for o in others):
        rows = {"all configurations": rows[first]}
        doubts = {"all configurations": doubts[first]}
    names = list(rows)[:MOST_CONFIGURATIONS]
    features, samples = group.inputs.features, group.samples[:MOST_SAMPLES]
    image = pixels_of(features)
    if image is None and len(features) > _MOST_FEATURES:
        return None
    pixels = image or strip(len(features))
    heats = [[*map(pixels.total, rows[name][: len(samples)])] for name in names]
    norm = symmetric(chain.from_iterable(heats))

    labels = [
        "input",
        *(style.literal(n, LONGEST_CONFIGURATION).replace(", ", ",\n") for n in names),
    ]
    named = [] if image is not None or len(features) > _MOST_NAMES else features
    figure, cells, bar = _sheet(labels, len(samples), pixels.shape, named, style.words(method))
    inputs = [group.inputs.values(sample.number) for sample in samples]
    gray = Normalize(min(v.min() for v in inputs), max(v.max() for v in inputs))
    for axes, sample, values in zip(cells[0], samples, inputs, strict=True):
        pixels.show(axes, values, gray, aspect="auto")
        named = [f"class {style.literal(sample.name)}"] if sample.name else []
        _above(axes, "\n".join([f"sample {sample.number}, f = {style.number(sample.f)}", *named]))
    for row, heat, name in zip(cells[1:], heats, names, strict=True):
        for axes, sample, values, doubt in zip(row, samples, heat, doubts[name], strict=False):
            style.name_marks(axes, [doubt])
            if doubt == "unbounded":
                style.leave_empty(axes, doubt)
                continue
            axes.imshow(values, cmap=style.DIVERGING, norm=norm, aspect="auto")
            share = f"ΣR / f = {style.number(np.nansum(values) / sample.f)}"
            _above(axes, style.marked(share, doubt))
    style.legend_below(figure, chain.from_iterable(cells), "lower left", ncols=2)
    scale = figure.colorbar(
        ScalarMappable(norm, style.DIVERGING),
        cax=bar,
        orientation="horizontal",
        ticks=MaxNLocator(5),
    )
    scale.outline.set(edgecolor=style.FAINT, linewidth=0.6)
    scale.set_label("relevance R, one scale for all", fontsize=style.LABEL)
    bar.tick_params(labelsize=style.SMALL, color=style.MUTED, length=2.5)
    return figure


def _sheet(
    labels: Sequence[str],
    columns: int,
    shape: tuple[int, ...],
    features: Sequence[str],
    method: str,
) -> tuple[Figure, list[list[Axes]], Axes]:
    """The figure, its cells in rows with labels, and the place of the colour bar.

    The names of ``features`` are written below the last row.
    """
    strip = shape[0] == 1
    height = 0.22 if strip else _CELL * shape[0] / max(shape)
    width = 1.3 if strip else max(0.8, _CELL * shape[1] / max(shape))
    left = 0.25 + _LETTER * max(len(line) for label in labels for line in label.splitlines())
    names = [style.literal(name, _LONGEST_NAME) for name in features]
    bottom = _BOTTOM + _LETTER * max(map(len, names), default=0)
    total_width = max(style.LEAST_WIDTH, left + columns * (width + _SPACE) + _RIGHT)
    total_height = _TOP + len(labels) * (height + _CAPTION) + bottom
    figure = style.figure(total_width, total_height, f"Relevance of the input, {method}")
    figure.set_layout_engine("none")

    place = partial(style.place, figure)
    cells = [
        [
            place(left + i * (width + _SPACE), bottom + row * (height + _CAPTION), width, height)
            for i in range(columns)
        ]
        for row in reversed(range(len(labels)))
    ]
    for row, label in zip(cells, labels, strict=True):
        style.beside(row[0], label)
    for axes in cells[-1]:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=style.SMALL)
        axes.tick_params(length=0)
    bar = place(left, _BOTTOM - 0.25, min(3.4, total_width - left - _RIGHT), _BAR)
    return figure, cells, bar


def _above(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=style.SMALL - 0.5, color=style.MUTED, pad=2.5)
