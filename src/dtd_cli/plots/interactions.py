"""Which pairs of input units carry relevance together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.heatmaps import symmetric
from dtd_cli.plots.pixels import Pixels, pixels_of
from dtd_cli.plots.sample import Sample
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables, has_rows

_MOST_SAMPLES, _MOST_NAMES, _STRONGEST = 4, 12, 25
_LEAST_SHARE = 1e-6
_SIDE, _HEIGHT, _DISC = 2.9, 2.9, 140.0


def interactions(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The degree-2 matrix of the input layer, one panel a sample, red for the output.

    Of images it is drawn on the image: the strongest pairs of pixels as lines, and of a pixel with
    itself as discs, whose size says how much relevance they hold.
    """
    if not has_rows(tables.interactions):
        return None
    rows = tables.interactions[tables.interactions["layer"] == 0]
    samples = [s for s in tables.explained if (rows["sample"] == s.number).any()]
    samples, others = style.first(samples, _MOST_SAMPLES, plots)
    if not samples:
        return None
    pixels = pixels_of(tables.features)
    columns = min(len(samples), max(1, int((plots.inches or style.MOST_WIDTH) / _SIDE)))
    panels = -(-len(samples) // columns)
    seen = (
        "Every panel has a scale of its own."
        if pixels is None
        else f"The {_STRONGEST} strongest entries: a line is what two different pixels share, a "
        "disc what is a pixel's own; widths and areas are relative to the strongest of the sample."
    )
    picture = style.figure(
        style.total_width(columns, _SIDE),
        0.6 + _HEIGHT * panels,
        f"Interactions of input units: red for the output, blue against it{others}",
        f"Degree-2 relevance of pairs of inputs. {seen} Σ is the sum of all entries. "
        f"n = {wording.counted(len(samples), 'sample')}, a panel each.",
        plots,
    )
    # The panels are squares, whatever room they have.
    picture.set_layout_engine("compressed")
    cells = picture.subplots(panels, columns, squeeze=False).ravel()
    for axes in cells[len(samples) :]:
        axes.remove()
    for axes, sample in zip(cells, samples, strict=False):
        matrix = interaction_matrix(rows, sample.number)
        doubt = tables.doubt("recursive", sample.number, 0)
        doubt_marks.name_marks(axes, [doubt])
        if pixels is None:
            _draw_matrix(axes, matrix, sample, tables.features)
        else:
            _draw_pairs(axes, tables.values(sample.number), matrix, pixels)
        share = f"Σ / f = {wording.number(matrix.sum() / sample.f)}"
        title = f"{', '.join(sample.names)}\n{', '.join(sample.outcome)}\n"
        axes.set_title(
            title + doubt_marks.marked(share, doubt),
            fontsize=style.LABEL,
            color=style.INK,
            loc="left",
        )
    legends.legend_below(picture, cells[: len(samples)])
    return picture


def interaction_matrix(rows: pd.DataFrame, sample: int) -> Vector:
    """The matrix (d, d) of one sample, from the rows of one layer."""
    of_sample = rows[rows["sample"] == sample]
    return of_sample.pivot(index="i", columns="k", values="relevance").to_numpy(np.float64)


def strongest_pairs(matrix: Vector, count: int) -> list[tuple[int, int, float]]:
    """The pairs i < k with the largest magnitude, weakest first; what both entries hold."""
    i, k = np.triu_indices(len(matrix), 1)
    values = matrix[i, k] + matrix[k, i]
    order = np.argsort(np.abs(values), kind="stable")[-count:]
    return [(int(i[n]), int(k[n]), float(values[n])) for n in order if values[n] != 0]


def _draw_matrix(axes: Axes, matrix: Vector, sample: Sample, features: list[str]) -> None:
    # What is nothing beside f(x) is rounding, and shall not look like something.
    norm = symmetric([matrix, np.array(_LEAST_SHARE * sample.f)])
    image = axes.imshow(matrix, cmap=style.DIVERGING, norm=norm)
    style.colour_bar(axes, image)
    axes.tick_params(labelsize=style.SMALL, color=style.MUTED, length=2.5)
    if len(features) <= _MOST_NAMES:
        names = [wording.literal(name) for name in features]
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)


def _draw_pairs(axes: Axes, values: Vector, matrix: Vector, pixels: Pixels) -> None:
    pixels.show(axes, values, Normalize(values.min(), 2 * values.max()))
    axes.set(xticks=[], yticks=[])
    row, column = pixels.places
    own = [(i, i, float(matrix[i, i])) for i in np.flatnonzero(matrix.diagonal()).tolist()]
    entries = sorted([*strongest_pairs(matrix, _STRONGEST), *own], key=lambda entry: abs(entry[2]))
    entries = entries[-_STRONGEST:]
    for i, k, value in entries:
        colour = style.POSITIVE if value > 0 else style.NEGATIVE
        share = abs(value) / abs(entries[-1][2])
        if i == k:
            axes.scatter(
                column[i], row[i], s=_DISC * share, color=colour, alpha=0.8, linewidth=0, zorder=3
            )
        else:
            axes.plot(
                column[[i, k]], row[[i, k]], color=colour, linewidth=0.3 + 3.2 * share,
                solid_capstyle="round", alpha=0.8,
            )  # fmt: skip
