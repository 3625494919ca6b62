"""Legends: what their entries say, marks last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dtd_cli.plots.doubt_marks import SAID
from dtd_cli.plots.style import LABEL, NEGATIVE, POSITIVE

Place = Literal["outside lower center", "outside lower left", "outside lower right", "lower left"]


def entries(panels: Iterable[Axes]) -> tuple[list[str], list[Artist]]:
    """What a legend of these panels says, each entry once and marks last."""
    known = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    labels = sorted(known, key=lambda label: label in SAID.values())
    return labels, [known[label] for label in labels]


def signs(values: Iterable[float]) -> list[Line2D]:
    """Entries for the colours of positive and negative relevance, each where there is some."""
    signed = np.sign(list(values))
    return [
        Line2D([], [], color=colour, linewidth=4, alpha=0.6, label=label)
        for label, colour, sign in (
            ("positive relevance", POSITIVE, 1),
            ("negative relevance", NEGATIVE, -1),
        )
        if (signed == sign).any()
    ]


def legend_below(
    picture: Figure,
    panels: Iterable[Axes],
    loc: Place = "outside lower center",
    ncols: int = 5,
    title: str = "",
) -> None:
    """One legend for these panels, each entry once and marks last; none where nothing is named."""
    labels, handles = entries(panels)
    if labels:
        picture.legend(
            handles,
            labels,
            loc=loc,
            ncols=ncols,
            fontsize=LABEL,
            frameon=False,
            title=title or None,
            title_fontsize=LABEL,
            alignment="left",
        )
