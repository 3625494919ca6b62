"""The marks of numbers that a one-sided limit leaves in doubt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from dtd_cli.plots import style

MARKS = {"unsettled": "†", "unbounded": "∞"}
"""What stands beside a number that a one-sided limit leaves in doubt."""
SAID = {"unsettled": "a limit may be wrong", "unbounded": "no finite relevance"}
"""What legends say of the marks."""


def marked(text: str, doubt: str) -> str:
    """A text with the mark of a number that is in doubt, the text itself where it is not."""
    return f"{text} {MARKS[doubt]}" if doubt else text


def marks(doubts: Iterable[str]) -> list[Line2D]:
    """What a legend says of the marks."""
    return [
        Line2D([], [], label=SAID[doubt], **_look(doubt)) for doubt in sorted(set(doubts) - {""})
    ]


def _look(doubt: str) -> dict[str, Any]:
    """How a mark is drawn as a point."""
    return {
        "marker": f"${MARKS[doubt]}$",
        "markersize": 7,
        "markeredgewidth": 0,
        "linestyle": "",
        "color": style.INK,
    }


def name_marks(axes: Axes, doubts: Iterable[str]) -> None:
    """Give the legend of a panel an entry for each mark."""
    for mark in marks(doubts):
        axes.add_line(mark)


def mark_points(axes: Axes, doubt: str, x: ArrayLike, y: ArrayLike) -> None:
    """The mark of a doubt just right of points."""
    beside = ScaledTranslation(7 / 72, 0, axes.figure.dpi_scale_trans)
    axes.plot(x, y, zorder=4, transform=axes.transData + beside, **_look(doubt))


def instead_of_bars(axes: Axes, places: ArrayLike, upright: bool = True) -> None:
    """At zero, the mark of bars that have no finite length; it sets no scale."""
    zeros = np.zeros(np.shape(places))
    axes.plot(*(places, zeros)[:: 1 if upright else -1], zorder=3, **_look("unbounded"))


def above_bars(axes: Axes, places: ArrayLike, lengths: ArrayLike, upright: bool = True) -> None:
    """The mark of bars whose lengths may be wrong, at their ends."""
    for place, length in zip(np.asarray(places), np.asarray(lengths), strict=True):
        up = 1 if length >= 0 else -1
        axes.annotate(
            MARKS["unsettled"],
            (place, length) if upright else (length, place),
            (0, up) if upright else (up, 0),
            textcoords="offset points",
            ha="center" if upright else {1: "left", -1: "right"}[up],
            va={1: "bottom", -1: "top"}[up] if upright else "center",
            fontsize=style.SMALL,
            color=style.INK,
        )


def leave_empty(axes: Axes, doubt: str) -> None:
    """Nothing but the mark that says why, where there is no number to show."""
    axes.set_axis_off()
    if doubt:
        axes.text(
            0.5, 0.5, MARKS[doubt], transform=axes.transAxes, ha="center", va="center",
            fontsize=2 * style.HEADING, color=style.MUTED,
        )  # fmt: skip
