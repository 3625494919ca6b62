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

from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.heatmaps import symmetric
from dtd_cli.plots.pixels import pixels_of, strip
from dtd_cli.plots.style import Vector
from dtd_cli.report.explanations import Explanations
from dtd_cli.report.pictures.bands import MOST_CONFIGURATIONS
from dtd_cli.report.settings import LONGEST_LABEL
from dtd_cli.report.verdict import number

MOST_SAMPLES, MOST_FIELDS = 8, 12
_LONGEST_NAME, _MOST_NUMBERED = 16, 100
# Inches: everything is placed, because images keep their shape.
_RIGHT, _TOP, _BOTTOM, _LETTER = 0.25, 0.55, 0.95, 0.075
_CELL, _SPACE, _CAPTION, _BAR = 1.0, 0.09, 0.2, 0.09


def heatmaps(group: Explanations, method: str) -> Figure:
    """One method's relevance: a row a configuration, a column a sample.

    All images are on one scale, symmetric about zero, which is white. Inputs that are no images
    are strips, a field for each feature; of many features the strongest of the sample are shown,
    and the sum of the others. A method that gives the same for every configuration has one row.
    Marks say where it may be wrong, and where there is none that is finite.
    """
    rows, doubts = _rows(group, method)
    names = list(rows)[:MOST_CONFIGURATIONS]
    features, samples = group.inputs.features, group.samples[:MOST_SAMPLES]
    image = pixels_of(features)
    shown = [
        [*range(len(features))] if image else strongest([rows[name][i] for name in names])
        for i in range(len(samples))
    ]
    fields = MOST_FIELDS if image is None and len(features) > MOST_FIELDS else len(features)
    pixels = image or strip(fields)
    heats = [
        [pixels.total(_with_rest(rows[name][i], shown[i])) for i in range(len(samples))]
        for name in names
    ]
    norm = symmetric(chain.from_iterable(heats))

    labels = ["input", *(wording.literal(n, LONGEST_LABEL).replace(", ", ",\n") for n in names)]
    rest = [f"{len(features) - fields + 1} others"] * (fields < len(features))
    names_below = _below(features)
    below = [[] if image else [*(names_below[k] for k in chosen), *rest] for chosen in shown]
    figure, cells, bar = _sheet(labels, pixels.shape, below, wording.words(method))
    inputs = [group.inputs.values(sample.number) for sample in samples]
    gray = Normalize(min(v.min() for v in inputs), max(v.max() for v in inputs))
    for axes, sample, values, chosen in zip(cells[0], samples, inputs, shown, strict=True):
        # The values of other features have no sum that says anything.
        drawn = np.append(values[chosen], np.full(fields - len(chosen), np.nan))
        pixels.show(axes, drawn, gray, aspect="auto")
        named = [f"class {wording.literal(sample.name)}"] if sample.name else []
        _above(axes, "\n".join([f"sample {sample.number}, f = {wording.number(sample.f)}", *named]))
    for row, heat, name in zip(cells[1:], heats, names, strict=True):
        for axes, sample, values, doubt in zip(row, samples, heat, doubts[name], strict=False):
            doubt_marks.name_marks(axes, [doubt])
            if doubt == "unbounded":
                doubt_marks.leave_empty(axes, doubt)
                continue
            axes.imshow(values, cmap=style.DIVERGING, norm=norm, aspect="auto")
            share = f"ΣR / f = {number(np.nansum(values) / sample.f)}"
            _above(axes, doubt_marks.marked(share, doubt))
    legends.legend_below(figure, chain.from_iterable(cells), "lower left", ncols=2)
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


def finding(group: Explanations, method: str) -> str:
    """The features that matter most for the first sample, in words."""
    rows, _ = _rows(group, method)
    features, sample = group.inputs.features, group.samples[0]
    texts = []
    for name, values in list(rows.items())[:MOST_CONFIGURATIONS]:
        own = values[0]
        most = [k for k in np.argsort(-np.abs(np.nan_to_num(own)), kind="stable")[:3] if own[k]]
        told = ", ".join(f"{features[k]} ({number(own[k])})" for k in most if own[k] == own[k])
        texts.append(f"{name}: {told or 'none'}")
    return f"What matters most for {sample.title}, f = {number(sample.f)}. By {'; '.join(texts)}."


def numbered(group: Explanations) -> str:
    """The names of the features whose numbers stand below a strip; empty if there are none."""
    features = group.inputs.features
    if pixels_of(features) or not _are_numbered(features):
        return ""
    names = ", ".join(f"{k} is {name}" for k, name in enumerate(features[:_MOST_NUMBERED]))
    return f" Feature {names}{', …' * (len(features) > _MOST_NUMBERED)}."


def _below(features: Sequence[str]) -> list[str]:
    """The features as they are written below strips, with their numbers if these are needed."""
    short = [wording.literal(name, _LONGEST_NAME) for name in features]
    if _are_numbered(features):
        return [f"{number}: {name}" for number, name in enumerate(short)]
    return short


def _are_numbered(features: Sequence[str]) -> bool:
    """Whether names that had to be cut, or whose letters no font has, look the same."""
    return len({wording.literal(name, _LONGEST_NAME) for name in features}) < len(features)


def strongest(relevance: Sequence[Vector]) -> list[int]:
    """The features of a sample that are shown: all, or of many the strongest in any row."""
    features = len(relevance[0])
    if features <= MOST_FIELDS:
        return [*range(features)]
    reach = np.abs(np.nan_to_num(relevance)).max(axis=0)
    order: list[int] = np.argsort(-reach, kind="stable")[: MOST_FIELDS - 1].tolist()
    return order


def _with_rest(values: Vector, chosen: Sequence[int]) -> Vector:
    """The chosen values, and the sum of the others if there are any."""
    others = np.delete(values, chosen)
    return np.append(values[chosen], [others.sum()] * bool(len(others)))


def _rows(group: Explanations, method: str) -> tuple[dict[str, Vector], dict[str, list[str]]]:
    """Relevance and doubts by configuration; one row where they are the same for all."""
    rows = {name: values for (by, name), values in group.relevance.items() if by == method}
    doubts = {name: states for (by, name), states in group.doubts.items() if by == method}
    first, *others = rows
    if others and all(np.array_equal(rows[first], rows[o], equal_nan=True) for o in others):
        return {"all configurations": rows[first]}, {"all configurations": doubts[first]}
    return rows, doubts


def _sheet(
    labels: Sequence[str], shape: tuple[int, ...], below: Sequence[Sequence[str]], method: str
) -> tuple[Figure, list[list[Axes]], Axes]:
    """The figure, its cells in rows with labels, and the place of the colour bar.

    Each column has names ``below`` its last row.
    """
    columns = len(below)
    strip = shape[0] == 1
    height = 0.22 if strip else _CELL * shape[0] / max(shape)
    width = 1.3 if strip else max(0.8, _CELL * shape[1] / max(shape))
    left = 0.25 + _LETTER * max(len(line) for label in labels for line in label.splitlines())
    bottom = _BOTTOM + _LETTER * max(map(len, chain.from_iterable(below)), default=0)
    total_width = max(style.LEAST_WIDTH, left + columns * (width + _SPACE) + _RIGHT)
    total_height = _TOP + len(labels) * (height + _CAPTION) + bottom
    figure = style.figure(
        total_width, total_height, f"Relevance of the input, {method}; all on one scale"
    )
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
    for axes, own in zip(cells[-1], below, strict=True):
        axes.set_xticks(range(len(own)), own, rotation=90, fontsize=style.SMALL)
        axes.tick_params(length=0)
    bar = place(left, _BOTTOM - 0.25, min(3.4, total_width - left - _RIGHT), _BAR)
    return figure, cells, bar


def _above(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=style.SMALL - 0.5, color=style.MUTED, pad=2.5)
