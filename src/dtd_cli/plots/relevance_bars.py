"""Relevance of a table's features."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.pixels import pixel_grid
from dtd_cli.plots.tables import Tables

_MOST_SAMPLES, _MOST_FEATURES = 6, 30


def relevance_bars(tables: Tables) -> Figure | None:
    """How much each feature contributes: one panel a sample, one colour a method.

    What is estimated from sampled paths has its standard error. Where a method has no finite
    relevance, marks stand for its bars.
    """
    features, relevance, stderr = tables.features, tables.input_relevance(), tables.input_stderr()
    samples = tables.explained if tables.methods else []
    samples, others = style.first(samples, _MOST_SAMPLES)
    if not samples or len(features) > _MOST_FEATURES or pixel_grid(features) is not None:
        return None

    methods = tables.methods
    width = max(2.6, 0.5 + len(features) * (0.16 + 0.07 * len(methods)))
    rows, columns = style.shape(len(samples), width)
    picture = style.figure(
        style.total_width(columns, width), 0.9 + 2.3 * rows, f"Relevance of each feature{others}"
    )
    grid = style.panels(picture, rows, columns, len(samples), "relevance")
    colours = style.colours(methods, style.METHOD_COLOURS)
    thickness = 0.8 / len(methods)
    for axes, sample in zip(grid, samples, strict=True):
        title = f"sample {sample.number}, output {sample.output}, f = {style.number(sample.f)}"
        axes.set_title(title, fontsize=style.TITLE, color=style.INK, loc="left")
        for i, method in enumerate(methods):
            heights = relevance.get((method, sample.number))
            centres = np.arange(len(features)) + (i - (len(methods) - 1) / 2) * thickness
            doubt = tables.doubt(method, sample.number, 0)
            style.name_marks(axes, [doubt])
            if doubt == "unbounded":
                style.instead_of_bars(axes, centres)
            if heights is not None:
                axes.bar(
                    centres,
                    heights,
                    thickness * 0.94,
                    color=colours[method],
                    label=style.words(method),
                    zorder=2,
                )
                if (method, sample.number) in stderr:
                    style.error_bars(axes, centres, heights, stderr[method, sample.number])
                if doubt:
                    style.above_bars(axes, centres, heights)
        style.name_features(axes, features, tables.values(sample.number).tolist())
    style.legend_below(picture, grid)
    return picture
