"""Relevance of an image, pixel by pixel."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.pixels import pixels_of
from dtd_cli.plots.sheet import sheet
from dtd_cli.plots.tables import Tables, Vector

_MOST_SAMPLES = 8


def heatmaps(tables: Tables) -> Figure | None:
    """Each explained image beside its relevance, red for the output and blue against it.

    A row is a sample. The first block shows every method on one scale, so that methods and
    samples compare; the second gives each image a scale of its own, so that faint ones show.
    Every scale is symmetric about zero, which is white. A coloured pixel has the sum of its
    channels.
    """
    pixels, relevance = pixels_of(tables.features), tables.input_relevance()
    methods = tables.methods
    samples, others = style.first(tables.explained, _MOST_SAMPLES)
    if pixels is None or not samples or not methods:
        return None

    heats = {
        (row, column): pixels.total(relevance[method, sample.number])
        for row, sample in enumerate(samples)
        for column, method in enumerate(methods)
        if (method, sample.number) in relevance
    }
    paper = sheet(
        len(methods),
        pixels.shape,
        ["\n".join([*s.names, *s.outcome, f"f = {style.number(s.f)}"]) for s in samples],
        f"Relevance of each pixel: red speaks for the output, blue against it{others}",
    )
    inputs = [tables.values(sample.number) for sample in samples]
    gray = Normalize(min(v.min() for v in inputs), max(v.max() for v in inputs))
    for axes, values in zip(paper.inputs, inputs, strict=True):
        pixels.show(axes, values, gray)

    shared = symmetric(heats.values())
    for row in range(len(samples)):
        for column in range(len(methods)):
            together, alone = (block[row][column] for block in paper.blocks)
            heat = heats.get((row, column))
            doubt = tables.doubt(methods[column], samples[row].number, 0)
            style.name_marks(together, [doubt])
            if heat is None:
                for axes in (together, alone):
                    style.leave_empty(axes, doubt)
                continue
            together.imshow(heat, cmap=style.DIVERGING, norm=shared)
            alone.imshow(heat, cmap=style.DIVERGING, norm=symmetric([heat]))
            share = f"ΣR / f = {style.number(np.nansum(heat) / samples[row].f)}"
            _caption(together, style.marked(share, doubt))
            _caption(alone, style.marked(f"max |R| = {style.number(_reach(heat))}", doubt))

    _name_column(paper.inputs[0], "input")
    for block in paper.blocks:
        for axes, method in zip(block[0], methods, strict=True):
            _name_column(axes, textwrap.fill(style.words(method), 12))
    _colour_bar(paper.figure, paper.bars[0], shared, "one scale for all")
    _colour_bar(paper.figure, paper.bars[1], Normalize(-1, 1), "one scale for each")
    _name_ends(paper.bars[1])
    style.legend_below(paper.figure, chain.from_iterable(paper.blocks[0]), "lower left", ncols=1)
    return paper.figure


def symmetric(values: Iterable[Vector]) -> Normalize:
    """The scale that has zero in its middle and reaches the largest magnitude of ``values``."""
    reach = max(map(_reach, values), default=0.0)
    return Normalize(-reach, reach) if reach > 0 else Normalize(-1.0, 1.0)


def _reach(values: Vector) -> float:
    return float(np.nanmax(np.abs(values), initial=0.0))


def _caption(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=style.SMALL, color=style.MUTED, pad=2.5)


def _name_column(axes: Axes, name: str) -> None:
    axes.annotate(
        name,
        (0.5, 1.0),
        (0, 15),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=style.LABEL,
        color=style.INK,
    )


def _colour_bar(figure: Figure, place: Axes, norm: Normalize, label: str) -> None:
    mappable = ScalarMappable(norm, style.DIVERGING)
    bar = figure.colorbar(mappable, cax=place, orientation="horizontal")
    bar.outline.set(edgecolor=style.FAINT, linewidth=0.6)
    bar.set_label(label, fontsize=style.LABEL, color=style.INK)
    place.tick_params(labelsize=style.SMALL, color=style.MUTED, length=2.5)


def _name_ends(place: Axes) -> None:
    place.set_xticks([-1, 0, 1], ["−max |R|", "0", "max |R|"])
    first, _, last = place.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
