"""Relevance of a table's features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dtd_cli.plots import style
from dtd_cli.plots.pixels import pixels_of
from dtd_cli.plots.tables import Tables, Vector

_MOST_SAMPLES, _MOST_FEATURES, _STRONGEST = 6, 30, 20


def relevance_bars(tables: Tables) -> Figure | None:
    """How much each feature contributes: one panel a sample, one colour a method.

    Of more than 30 features the 20 strongest of each sample are shown, the strongest first, and the
    sum of the others. What is estimated from sampled paths has its standard error. Where a method
    has no finite relevance, marks stand for its bars.
    """
    features, relevance, stderr = tables.features, tables.input_relevance(), tables.input_stderr()
    samples = tables.explained if tables.methods else []
    samples, others = style.first(samples, _MOST_SAMPLES)
    if not samples or pixels_of(features) is not None:
        return None

    methods = tables.methods
    many = len(features) > _MOST_FEATURES
    if many:
        others += f", the {_STRONGEST} strongest of {len(features)}"
    bars = _STRONGEST + 1 if many else len(features)
    width = max(2.6, 0.5 + bars * (0.16 + 0.07 * len(methods)))
    rows, columns = style.shape(len(samples), width)
    picture = style.figure(
        style.total_width(columns, width), 0.9 + 2.3 * rows, f"Relevance of each feature{others}"
    )
    grid = style.panels(picture, rows, columns, len(samples), "relevance")
    colours = style.colours(methods, style.METHOD_COLOURS)
    thickness = 0.8 / len(methods)
    for axes, sample in zip(grid, samples, strict=True):
        title = f"{sample.title}, f = {style.number(sample.f)}"
        axes.set_title(title, fontsize=style.TITLE, color=style.INK, loc="left")
        of_methods = {
            m: relevance[m, sample.number] for m in methods if (m, sample.number) in relevance
        }
        shown = _strongest([*of_methods.values()], len(features)) if many else np.arange(bars)
        for i, method in enumerate(methods):
            centres = np.arange(bars) + (i - (len(methods) - 1) / 2) * thickness
            doubt = tables.doubt(method, sample.number, 0)
            style.name_marks(axes, [doubt])
            if doubt == "unbounded":
                style.instead_of_bars(axes, centres)
            if method in of_methods:
                heights = _with_rest(of_methods[method], shown)
                axes.bar(
                    centres,
                    heights,
                    thickness * 0.94,
                    color=colours[method],
                    label=style.words(method),
                    zorder=2,
                )
                if (method, sample.number) in stderr:
                    # A sum of estimates that depend on each other has an error that is not known.
                    errors = stderr[method, sample.number][shown]
                    style.error_bars(axes, centres[: len(shown)], heights[: len(shown)], errors)
                if doubt:
                    style.above_bars(axes, centres, heights)
        values = tables.values(sample.number)[shown].tolist()
        names = [features[feature] for feature in shown]
        if many:
            names.append(f"{len(features) - len(shown)} others")
        style.name_features(axes, names, values)
    style.legend_below(picture, grid)
    return picture


def _strongest(relevances: Sequence[Vector], count: int) -> NDArray[np.intp]:
    """The features whose relevance is largest by any method, the largest first."""
    largest = np.nanmax(np.abs([np.zeros(count), *relevances]), axis=0)
    return np.argsort(-largest, kind="stable")[:_STRONGEST]


def _with_rest(relevance: Vector, shown: NDArray[np.intp]) -> Vector:
    """The relevance of the features that are shown, and the sum of the others if there are any."""
    rest = np.delete(relevance, shown)
    return np.append(relevance[shown], rest.sum()) if len(rest) else relevance[shown]
