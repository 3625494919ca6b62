"""Which pairs of input units carry relevance together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.heatmaps import symmetric
from dtd_cli.plots.pixels import Pixels, pixels_of
from dtd_cli.plots.tables import Sample, Tables, Vector, has_rows

_MOST_SAMPLES, _MOST_NAMES, _STRONGEST = 4, 12, 25
_LEAST_SHARE = 1e-6
_SIDE, _HEIGHT = 3.0, 2.6


def interactions(tables: Tables) -> Figure | None:
    """The degree-2 matrix of the input layer, one panel a sample, red for the output.

    Of images there is a second row: the image, and on it the strongest pairs of different pixels,
    as lines whose width says how much relevance the pair shares, in the colours of the matrix.
    """
    if not has_rows(tables.interactions):
        return None
    rows = tables.interactions[tables.interactions["layer"] == 0]
    samples = [s for s in tables.explained if (rows["sample"] == s.number).any()]
    samples, others = style.first(samples, _MOST_SAMPLES)
    if not samples:
        return None
    pixels = pixels_of(tables.features)
    panels = 1 if pixels is None else 2
    picture = style.figure(
        style.total_width(len(samples), _SIDE),
        0.6 + _HEIGHT * panels,
        f"Interactions of input units: red for the output, blue against it{others}",
    )
    # The panels are squares, whatever room they have.
    picture.set_layout_engine("compressed")
    cells = picture.subplots(panels, len(samples), squeeze=False)
    for column, sample in enumerate(samples):
        matrix = interaction_matrix(rows, sample.number)
        doubt = tables.doubt("recursive", sample.number, 0)
        style.name_marks(cells[0, column], [doubt])
        _draw_matrix(cells[0, column], matrix, sample, tables.features, doubt)
        if pixels is not None:
            _draw_pairs(cells[1, column], tables.values(sample.number), matrix, pixels)
    style.legend_below(picture, cells[0])
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


def _draw_matrix(
    axes: Axes, matrix: Vector, sample: Sample, features: list[str], doubt: str
) -> None:
    # What is nothing beside f(x) is rounding, and shall not look like something.
    norm = symmetric([matrix, np.array(_LEAST_SHARE * sample.f)])
    image = axes.imshow(matrix, cmap=style.DIVERGING, norm=norm)
    share = f"Σ / f = {style.number(matrix.sum() / sample.f)}"
    axes.set_title(
        f"{sample.title}\n{style.marked(share, doubt)}",
        fontsize=style.LABEL,
        color=style.INK,
        loc="left",
    )
    style.colour_bar(axes, image)
    axes.tick_params(labelsize=style.SMALL, color=style.MUTED, length=2.5)
    if len(features) <= _MOST_NAMES:
        names = [style.literal(name) for name in features]
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)


def _draw_pairs(axes: Axes, values: Vector, matrix: Vector, pixels: Pixels) -> None:
    pixels.show(axes, values, Normalize(values.min(), 2 * values.max()))
    axes.set(xticks=[], yticks=[])
    row, column = pixels.places
    pairs = strongest_pairs(matrix, _STRONGEST)
    for i, k, value in pairs:
        axes.plot(
            column[[i, k]],
            row[[i, k]],
            color=style.POSITIVE if value > 0 else style.NEGATIVE,
            linewidth=0.3 + 3.2 * abs(value) / abs(pairs[-1][2]),
            solid_capstyle="round",
            alpha=0.8,
        )
    axes.set_title(f"the {len(pairs)} strongest pairs", fontsize=style.SMALL, color=style.MUTED)
