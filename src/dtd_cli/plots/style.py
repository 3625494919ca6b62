"""One look for all pictures: sizes, colours, words, and how a picture reaches its file."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dtd_cli.config.plots import Plots
from dtd_cli.plots.wording import literal, number
from dtd_cli.records.files import write_whole

T = TypeVar("T")

Vector = NDArray[np.float64]

DPI = 120
FEW = 4
"""So many samples have a band; fewer are points."""
SCREEN = Plots()
HEADING, TITLE, LABEL, SMALL = 10.5, 9.0, 8.0, 7.0
INK, MUTED, GRAY, FAINT = "#222222", "#767676", "#b3b3b3", "#d9d9d9"
DIVERGING = "RdBu_r"
POSITIVE, NEGATIVE = "#b2182b", "#2166ac"
"""Near the ends of the diverging colours, for what has a sign and no more."""
LEAST_WIDTH, MOST_WIDTH = 5.8, 12.0
"""Inches: room for the heading, and what a screen shows without scrolling."""
_HEADING_LETTER = 0.075
"""Inches: a letter of a heading, on average."""
_SOLID = "\u00a0"
"""A space at which no line ends."""

# Okabe and Ito's palette, which stays distinct under the common colour blindnesses; its black
# is softened.
DARK, ORANGE, SKY, GREEN = "#444444", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

METHOD_COLOURS = {
    "recursive": BLUE,
    "train_free": ORANGE,
    "gradient_x_input": GREEN,
    "simple_taylor": PURPLE,
}
FINDER_COLOURS = {
    "closed_form": DARK,
    "random": VERMILLION,
    "polytope": SKY,
    "line": "#882255",
    "interpolation": "#999933",
    "metropolis": "#332288",
    "hit_and_run": "#AA4499",
    "milp": "#117733",
}
"""No colour is that of a method: a picture may have both."""
STATUS_COLOURS = {
    "found": BLUE,
    "approximate": SKY,
    "inactive": FAINT,
    "degenerate": ORANGE,
    "not_found": VERMILLION,
}
_SPARE = ("#661100", "#44AA99", "#CC6677", "#AA7744", "#6699CC")


def colours(names: Mapping[str, str]) -> dict[str, str]:
    """A colour for each name: that of the method or root search it stands for, else a spare one."""
    known = {**METHOD_COLOURS, **FINDER_COLOURS}
    strangers = sorted(set(names.values()) - set(known))
    known |= {name: _SPARE[i % len(_SPARE)] for i, name in enumerate(strangers)}
    return {name: known[of] for name, of in names.items()}


class Picture(Figure):
    """A figure with a caption: what it shows, of how many, and what bands and scales are."""

    caption = ""


def figure(
    width: float, height: float, heading: str, caption: str = "", plots: Plots = SCREEN
) -> Picture:
    """An empty figure with its heading on as many lines as it needs.

    It is so many inches wide, or as wide as ``plots`` says.
    """
    width = plots.inches or width
    picture = Picture(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    picture.caption = " ".join(f"{heading}. {caption}".split())
    if plots.heading:
        # Short parts stay whole: a row stays with its number.
        whole = [p.replace(" ", _SOLID) if len(p) < 25 else p for p in heading.split(", ")]
        lines = textwrap.fill(", ".join(whole), int((width - 0.2) / _HEADING_LETTER))
        lines = lines.replace(_SOLID, " ")
        picture.suptitle(lines, x=0.1 / width, ha="left", fontsize=HEADING, color=INK)
    return picture


def place(picture: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """An empty framed field of a picture, in inches from its lower left corner."""
    whole_width, whole_height = picture.get_size_inches()
    axes = picture.add_axes(
        (x / whole_width, y / whole_height, width / whole_width, height / whole_height)
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=FAINT, linewidth=0.6)
    return axes


def beside(axes: Axes, text: str) -> None:
    """Write a text of several lines at the left of a field."""
    axes.set_ylabel(
        text,
        rotation=0,
        ha="right",
        va="center",
        multialignment="right",
        labelpad=6,
        fontsize=LABEL,
        color=INK,
    )


def first(samples: list[T], most: int, plots: Plots = SCREEN) -> tuple[list[T], str]:
    """The samples that a picture has room for, and what its heading says of the others.

    Those that were chosen are all drawn.
    """
    most = len(samples) if plots.samples else most
    note = f", first {most} of {len(samples)} samples" if len(samples) > most else ""
    return samples[:most], note


def shape(count: int, width: float, plots: Plots = SCREEN) -> tuple[int, int]:
    """Rows and columns for so many small panels, each so many inches wide."""
    square = count if count <= 3 else min(4, math.ceil(math.sqrt(count)))
    columns = max(1, min(square, int((plots.inches or MOST_WIDTH) / width)))
    return math.ceil(count / columns), columns


def total_width(columns: int, width: float) -> float:
    """Inches for so many panels side by side, and for the heading above them."""
    return min(MOST_WIDTH, max(LEAST_WIDTH, columns * width))


def nested(count: int) -> list[float]:
    """Widths of lines drawn one after the other, so that those that coincide all show."""
    return [1.5] if count == 1 else [3.0 - 1.8 * i / (count - 1) for i in range(count)]


def ribbon(column: float, start: float, end: float) -> NDArray[np.float64]:
    """A smooth line (40, 2) from a height in one column to a height in the next."""
    t = np.linspace(0, 1, 40)
    return np.stack([column + t, start + (end - start) * t**2 * (3 - 2 * t)], axis=1)


def panels(
    picture: Figure, rows: int, columns: int, count: int, ylabel: str, *, sharey: bool = False
) -> list[Axes]:
    """The first ``count`` panels of a grid, each row with its label at the left."""
    grid = picture.subplots(rows, columns, squeeze=False, sharey=sharey)
    for axes in grid.ravel()[count:]:
        axes.remove()
    used = list(grid.ravel()[:count])
    for axes in used:
        plain(axes)
        zero_line(axes)
    for axes in used[::columns]:
        axes.set_ylabel(ylabel, fontsize=LABEL)
    return used


def scatter_or_band(axes: Axes, x: ArrayLike, samples: Vector, band: Vector, colour: str) -> None:
    """How samples (samples, places) spread about a line: a band, or points where they are few."""
    if len(samples) >= FEW:
        axes.fill_between(x, band[0], band[1], color=colour, alpha=0.15, linewidth=0)
    elif len(samples) > 1:
        for values in samples:
            axes.plot(x, values, "o", color=colour, markersize=3, alpha=0.6, zorder=2)


def name_features(axes: Axes, names: Sequence[str], values: Sequence[float] | None = None) -> None:
    """Name the features below their bars, and say their values where there is room."""
    short = [literal(name) for name in names]
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.55, len(names) - 0.45)
    longest = max(map(len, short))
    if longest > (8 if len(names) <= 6 else 4):
        axes.set_xticks(range(len(names)), short, rotation=45, ha="right", rotation_mode="anchor")
        return
    if values is not None and len(names) <= 6:
        short = [f"{name}\n{number(value)}" for name, value in zip(short, values, strict=True)]
    axes.set_xticks(range(len(names)), short)


def plain(axes: Axes, title: str = "") -> None:
    """Give a panel its title and only the lines that carry meaning."""
    axes.set_title(title, fontsize=TITLE, color=INK, loc="left", wrap=True)
    axes.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def colour_bar(axes: Axes, scale: ScalarMappable) -> None:
    """A colour bar beside a panel and as high as it, whatever the panel's shape."""
    bar = axes.figure.colorbar(scale, cax=axes.inset_axes((1.03, 0, 0.04, 1)))
    bar.outline.set(edgecolor=FAINT, linewidth=0.6)
    bar.ax.tick_params(labelsize=SMALL, color=MUTED, length=2.5)


def error_bars(
    axes: Axes, x: ArrayLike, y: ArrayLike, stderr: ArrayLike, along: Literal["x", "y"] = "y"
) -> None:
    """One standard error to both sides of the end of each bar; none where it is NaN."""
    if np.isfinite(stderr).any():
        axes.errorbar(
            x,
            y,
            xerr=stderr if along == "x" else None,
            yerr=stderr if along == "y" else None,
            fmt="none",
            ecolor=INK,
            elinewidth=0.8,
            capsize=1.5,
            capthick=0.8,
            label="standard error",
            zorder=3,
        )


def zero_line(axes: Axes) -> None:
    """Mark zero on the vertical axis."""
    axes.axhline(0.0, color=MUTED, linewidth=0.8, zorder=1)


def save(picture: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a file that appears whole or not at all, the same bytes for the same picture.

    Its format is that of its name.
    """
    kind = path.suffix.removeprefix(".")
    if kind == "png":
        picture.dpi = dpi
        write_whole(path, partial(print_png, picture))
        return
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    write_whole(
        path,
        lambda place: picture.savefig(place, format=kind, dpi=dpi, metadata=metadata[kind]),
    )


def print_png(picture: Figure, target: Path | BytesIO) -> None:
    """Write a picture in its own resolution, the same bytes for the same picture.

    savefig draws a picture with a layout twice, the first time for the layout alone. Drawing makes
    the layout too.
    """
    canvas = FigureCanvasAgg(picture)
    canvas.print_png(target, metadata={"Software": None})  # type: ignore[no-untyped-call]
