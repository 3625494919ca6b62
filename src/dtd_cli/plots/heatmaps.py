"""Relevance of an image, pixel by pixel."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.pixels import Pixels, pixels_of
from dtd_cli.plots.sample import Sample
from dtd_cli.plots.sheet import Sheet, sheet
from dtd_cli.plots.style import Vector
from dtd_cli.plots.tables import Tables, has_rows

_MOST_SAMPLES = 8
_CERTAIN = 2.0
"""Standard errors that an estimate must exceed to count as other than zero."""
_COLOURS = (
    "White is zero, and the relevance of a pixel is the sum of its channels. Above each picture: "
    "ΣR, the sum of its relevances, as a share of the output f, and the largest |R| where the "
    "scale is its own."
)


class _Row(NamedTuple):
    """One row of a sheet: what stands first, and by method the relevance and its errors."""

    sample: Sample
    layer: int
    pixels: Pixels
    first: Vector
    relevance: dict[str, Vector]
    stderr: dict[str, Vector]


def heatmaps(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """Each explained image beside its relevance, red for the output and blue against it.

    A row is a sample, a column a method. Each picture has a scale of its own, or all have one if
    ``plots.scale`` says so. Every scale is symmetric about zero, which is white. A coloured pixel
    has the sum of its channels. Where the relevance is estimated from sampled paths, pixels are
    hatched whose relevance is less than two standard errors, or has none.
    """
    pixels = pixels_of(tables.features)
    samples, others = style.first(tables.explained, _MOST_SAMPLES, plots)
    if pixels is None or not samples or not tables.methods:
        return None
    relevance, stderr = tables.input_relevance(), tables.input_stderr()
    rows = [
        _Row(s, 0, pixels, tables.values(s.number), *(_of(t, s) for t in (relevance, stderr)))
        for s in samples
    ]
    names = ["\n".join([*s.names, f"f = {wording.number(s.f)}"]) for s in samples]
    first = "input", [s.classes or s.outcome for s in samples]
    heading = f"Relevance of each pixel: red speaks for the output, blue against it{others}"
    return _sheet(tables, rows, names, first, heading, plots)


def layer_heatmaps(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The relevance of one sample in the layers of a network with convolutions.

    A row is a layer whose activations are images, its channels summed, a column a method; else
    as :func:`heatmaps`.
    """
    images = tables.images
    if not has_rows(images) or not tables.explained or not tables.methods:
        return None
    sample, rows = tables.explained[0], []
    for layer, *shape in images.to_numpy().tolist():
        if plots.layers is None or layer in plots.layers:
            size = int(np.prod(shape))
            relevance, stderr, activation = (
                _of(tables.of_layer(layer, size, column), sample)
                for column in ("relevance", "stderr", "activation")
            )
            pixels = Pixels(np.arange(size).reshape(shape))
            if relevance:
                first = next(iter(activation.values()))
                rows.append(_Row(sample, layer, pixels, first, relevance, stderr))
    if not rows:
        return None
    names = [
        f"layer {row.layer}\n{row.pixels.index.shape[0]} channel"
        + "s" * (row.pixels.index.shape[0] > 1)
        for row in rows
    ]
    heading = (
        f"Relevance in the layers that are images, {sample.title}: red speaks for the output, blue "
        "against it"
    )
    return _sheet(tables, rows, names, ("activation", [[]] * len(rows)), heading, plots)


def _of(relevance: dict[tuple[str, int], Vector], sample: Sample) -> dict[str, Vector]:
    return {method: r for (method, number), r in relevance.items() if number == sample.number}


def _sheet(
    tables: Tables,
    rows: list[_Row],
    names: list[str],
    first: tuple[str, list[list[str]]],
    heading: str,
    plots: Plots,
) -> Figure:
    """The rows with their names; ``first`` says what stands first, and the lines above it."""
    methods, own = tables.methods, plots.scale == "own"
    heats = [
        {method: row.pixels.total(values) for method, values in row.relevance.items()}
        for row in rows
    ]
    together = symmetric(heat for of_row in heats for heat in of_row.values())
    paper = sheet(
        1 + len(methods),
        max((row.pixels.shape for row in rows), key=lambda shape: shape[0] / shape[1]),
        names,
        max(1 + own, *map(len, first[1])),
        heading,
        f"{_COLOURS} {_scale(own, together)} {_hatching(rows)} "
        f"n = {wording.counted(len({row.sample.number for row in rows}), 'sample')}.",
        plots,
    )
    grays = [Normalize(row.first.min(), row.first.max()) for row in rows]
    if first[0] == "input":
        values = np.concatenate([row.first for row in rows])
        grays = [Normalize(values.min(), values.max())] * len(rows)
    for row, cells, gray, lines in zip(rows, paper.cells, grays, first[1], strict=True):
        row.pixels.show(cells[0], row.first, gray)
        _caption(cells[0], lines)
    for row, cells, of_row in zip(rows, paper.cells, heats, strict=True):
        for axes, method in zip(cells[1:], methods, strict=True):
            heat = of_row.get(method)
            doubt = tables.doubt(method, row.sample.number, row.layer)
            doubt_marks.name_marks(axes, [doubt])
            if heat is None:
                doubt_marks.leave_empty(axes, doubt)
                continue
            axes.imshow(heat, cmap=style.DIVERGING, norm=symmetric([heat]) if own else together)
            share, reach = (
                wording.number(np.nansum(heat) / row.sample.f),
                wording.number(_reach(heat)),
            )
            if paper.small:
                lines = [f"{share} f", f"± {reach}"]
            else:
                lines = [f"ΣR / f = {share}", f"max |R| = {reach}"]
            _caption(axes, [doubt_marks.marked(lines[0], doubt), *lines[1:] * own])
            if method in row.stderr:
                _hatch(axes, heat, row.pixels.total(row.stderr[method]))
    for axes, name in zip(paper.cells[0], [first[0], *map(wording.words, methods)], strict=True):
        _name_column(axes, textwrap.fill(name, 10 if paper.small else 14))
    _colour_bar(paper, Normalize(-1, 1) if own else together, own)
    legends.legend_below(paper.figure, chain.from_iterable(paper.cells), "lower left", ncols=1)
    return paper.figure


def _scale(own: bool, together: Normalize) -> str:
    if own:
        return "Each picture has a scale of its own, from −max |R| to max |R|."
    return (
        f"All pictures have one scale, from −{wording.number(together.vmax or 0)} to its opposite."
    )


def _hatching(rows: list[_Row]) -> str:
    if not any(np.isfinite(e).any() for row in rows for e in row.stderr.values()):
        return ""
    return (
        "Hatched: relevance estimated from sampled paths that is less than two of its standard "
        "errors from zero, or has none, for no path has met it; where channels are summed, their "
        "errors are added, which is an upper bound."
    )


def symmetric(values: Iterable[Vector]) -> Normalize:
    """The scale that has zero in its middle and reaches the largest magnitude of ``values``."""
    reach = max(map(_reach, values), default=0.0)
    return Normalize(-reach, reach) if reach > 0 else Normalize(-1.0, 1.0)


def uncertain(heat: Vector, stderr: Vector) -> NDArray[np.bool_]:
    """Where an estimate is less than two standard errors from zero, or has none.

    Nowhere where no pixel has a standard error, for then nothing was estimated.
    """
    unknown = np.isnan(stderr)
    below: NDArray[np.bool_] = np.abs(heat) < _CERTAIN * np.nan_to_num(stderr)
    return below | (unknown & ~unknown.all())


def _hatch(axes: Axes, heat: Vector, stderr: Vector) -> None:
    """Hatch the pixels that are uncertain."""
    places = np.argwhere(uncertain(heat, stderr))[:, ::-1]
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    if len(places):
        axes.add_collection(
            PolyCollection(
                places[:, None] + corners,
                facecolor="none",
                edgecolor=style.MUTED,
                linewidth=0,
                hatch="//////",
                label="|R| < 2 standard errors, or none",
            )
        )


def _reach(values: Vector) -> float:
    return float(np.nanmax(np.abs(values), initial=0.0))


def _caption(axes: Axes, lines: list[str]) -> None:
    axes.set_title("\n".join(lines), fontsize=style.SMALL, color=style.MUTED, pad=2.5)


def _name_column(axes: Axes, name: str) -> None:
    axes.annotate(
        name,
        (0.5, 1.0),
        (0, 24),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=style.LABEL,
        color=style.INK,
    )


def _colour_bar(paper: Sheet, norm: Normalize, own: bool) -> None:
    mappable = ScalarMappable(norm, style.DIVERGING)
    bar = paper.figure.colorbar(mappable, cax=paper.bar, orientation="horizontal")
    bar.outline.set(edgecolor=style.FAINT, linewidth=0.6)
    label = "relevance R, one scale for each" if own else "relevance R, one scale for all"
    bar.set_label(label, fontsize=style.LABEL, color=style.INK)
    paper.bar.tick_params(labelsize=style.SMALL, color=style.MUTED, length=2.5)
    if own:
        paper.bar.set_xticks([-1, 0, 1], ["−max |R|", "0", "max |R|"])
