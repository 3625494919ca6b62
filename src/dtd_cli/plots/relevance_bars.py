"""Relevance of a table's features."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.pixels import pixels_of
from dtd_cli.plots.sample import Sample
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables

_MOST_SAMPLES, _MOST_FEATURES, _STRONGEST = 6, 30, 20
_ROUNDING = 1e-12
_OUTSIZED = 3.0
"""So many times the others, a method makes their bars short, and the caption says so."""
_LONGEST_NAME, _LETTER, _PANEL, _VALUE, _TITLE = 32, 0.068, 2.0, 0.55, 34


def relevance_bars(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """How much each feature contributes: one panel a sample, one colour a method, one scale.

    The features stand in the order of their largest |R| in any panel. Of more than 30 the 20
    strongest are shown, and the sum of the others. What is estimated from sampled paths has its
    standard error. Where a method has no finite relevance, marks stand for its bars.
    """
    features, relevance = tables.features, tables.input_relevance()
    samples, others = style.first(tables.explained, _MOST_SAMPLES, plots)
    methods = tables.methods
    if not samples or not methods or pixels_of(features) is not None:
        return None
    numbers = [sample.number for sample in samples]
    here = [values for (_, number), values in relevance.items() if number in numbers]
    shown = _strongest(here, len(features))
    names = [wording.literal(features[feature], _LONGEST_NAME) for feature in shown]
    if len(shown) < len(features):
        others += f", the {len(shown)} strongest of {len(features)}"
        names.append(f"{len(features) - len(shown)} others")

    margin = 0.3 + _LETTER * max(map(len, names))
    rows, columns = style.shape(len(samples), _PANEL + _VALUE + margin / 2, plots)
    height = 0.75 + len(names) * (0.08 + 0.085 * len(methods))
    picture = style.figure(
        style.total_width(1, margin + columns * (_PANEL + _VALUE)),
        0.7 + height * rows,
        f"Relevance of each feature{others}",
        "Features in the order of their largest |R| in any panel, on one scale; at the right of "
        f"each the value of the sample. n = {wording.counted(len(samples), 'sample')}, a panel "
        "each."
        f"{_scale_setter(tables, numbers)}{_errors(tables)}",
        plots,
    )
    grid = picture.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.ravel()[len(samples) :]:
        axes.remove()
    panels = list(grid.ravel()[: len(samples)])
    for axes, sample in zip(panels, samples, strict=True):
        _draw(axes, tables, sample, shown)
    largest = max(np.nanmax(np.abs(values), initial=0.0) for values in here)
    if largest <= _ROUNDING * (whole := max(abs(sample.f) for sample in samples)):
        # What is nothing beside f is rounding, and shall not look like something.
        panels[0].set_xlim(-whole, whole)
    places = np.arange(len(names))
    panels[0].set_yticks(places, names)
    panels[0].set_ylim(len(names) - 0.45, -0.55)
    for number, axes in enumerate(panels):
        # The values of the panel at its left stand there, and are not those of its features.
        axes.tick_params(left=number % columns == 0)
        if number + columns >= len(panels):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("relevance R", fontsize=style.LABEL)
    legends.legend_below(picture, panels, ncols=2 if plots.narrow else 5)
    return picture


def _draw(axes: Axes, tables: Tables, sample: Sample, shown: NDArray[np.intp]) -> None:
    methods, relevance, errors = tables.methods, tables.input_relevance(), tables.input_stderr()
    thickness = 0.8 / len(methods)
    values = tables.values(sample.number)
    rest = len(shown) < len(values)
    parts = [*sample.names, *sample.outcome, f"f = {wording.number(sample.f)}"]
    # No line ends within a part.
    title = ", ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    style.plain(axes, textwrap.fill(title, _TITLE))
    axes.axvline(0.0, color=style.MUTED, linewidth=0.8, zorder=1)
    for i, method in enumerate(methods):
        place = np.arange(len(shown) + rest) + (i - (len(methods) - 1) / 2) * thickness
        doubt = tables.doubt(method, sample.number, 0)
        doubt_marks.name_marks(axes, [doubt])
        if doubt == "unbounded":
            doubt_marks.instead_of_bars(axes, place, upright=False)
        if (method, sample.number) not in relevance:
            continue
        lengths = _with_rest(relevance[method, sample.number], shown)
        label = wording.words(method)
        axes.barh(
            place, lengths, thickness * 0.94, color=tables.colours[method], label=label, zorder=2
        )
        if (method, sample.number) in errors:
            # A sum of estimates that depend on each other has an error that is not known.
            stderr = errors[method, sample.number][shown]
            style.error_bars(axes, lengths[: len(shown)], place[: len(shown)], stderr, along="x")
        if doubt:
            doubt_marks.above_bars(axes, place, lengths, upright=False)
    for at, value in enumerate(values[shown].tolist()):
        axes.annotate(
            wording.number(value), (1.0, at), (3, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=style.SMALL, color=style.MUTED,
            annotation_clip=False,
        )  # fmt: skip


def _scale_setter(tables: Tables, samples: list[int]) -> str:
    """What the caption says of a method beside whose bars those of all others are short."""
    largest: dict[str, float] = {}
    for (method, sample), values in tables.input_relevance().items():
        if sample in samples:
            size = float(np.nanmax(np.abs(values), initial=0.0))
            largest[method] = max(largest.get(method, 0.0), size)
    if len(largest) < 2:
        return ""
    (method, most), (_, second), *_ = sorted(largest.items(), key=lambda item: -item[1])
    if second == 0 or most < _OUTSIZED * second:
        return ""
    return (
        f" {wording.words(method)} sets the scale: its largest |R| is "
        f"{wording.number(most / second)} times that of any other method."
    )


def _errors(tables: Tables) -> str:
    estimated = any(np.isfinite(errors).any() for errors in tables.input_stderr().values())
    return " Error bars: one standard error of the sampled paths." if estimated else ""


def _strongest(relevances: list[Vector], count: int) -> NDArray[np.intp]:
    """The features by their largest relevance, the largest first; of very many some."""
    largest = np.nanmax(np.abs([np.zeros(count), *relevances]), axis=0)
    order = np.argsort(-largest, kind="stable")
    return order if count <= _MOST_FEATURES else order[:_STRONGEST]


def _with_rest(relevance: Vector, shown: NDArray[np.intp]) -> Vector:
    """The relevance of the features that are shown, and the sum of the others if there are any."""
    rest = np.delete(relevance, shown)
    return np.append(relevance[shown], rest.sum()) if len(rest) else relevance[shown]
