"""Figures over seeds: a line for each configuration, in a band between the quartiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.plots import style, wording
from dtd_cli.report.settings import LONGEST_LABEL

MOST_CONFIGURATIONS = 8
_LETTER = 0.075  # inches
_PALETTE = (
    style.BLUE, style.ORANGE, style.GREEN, style.VERMILLION, style.PURPLE, style.SKY, style.DARK,
    "#999933",
)  # fmt: skip
_MARKERS = "osD^vP*X"


def shown(figures: pd.DataFrame) -> list[str]:
    """The configurations that fit into a picture: the first ones."""
    return list(figures["configuration"].unique()[:MOST_CONFIGURATIONS])


def over_seeds(figures: pd.DataFrame, configurations: Sequence[str]) -> Iterator[pd.DataFrame]:
    """For each configuration its median and quartiles (low, middle, high) by layer."""
    for name in configurations:
        layers = figures[figures["configuration"] == name].groupby("layer")["value"]
        yield pd.DataFrame(
            {"low": layers.quantile(0.25), "middle": layers.median(), "high": layers.quantile(0.75)}
        )


def looks(configurations: Sequence[str]) -> list[dict[str, Any]]:
    """Colour and marker of each configuration, and its name for the legend."""
    return [
        {"color": colour, "marker": marker, "label": wording.literal(name, LONGEST_LABEL)}
        for name, colour, marker in zip(configurations, _PALETTE, _MARKERS, strict=False)
    ]


def seeds_in_words(figures: pd.DataFrame) -> str:
    """What a line and its band show, for a heading."""
    seeds = figures.groupby("configuration")["run"].nunique()
    low, high = seeds.min(), seeds.max()
    if high == 1:
        return "one seed"
    return f"median and quartiles of {high if low == high else f'{low} to {high}'} seeds"


def layer_axis(axes: Axes, depth: int, *, named: bool = True) -> None:
    """Layers from the last that receives relevance, at the left, to the input."""
    axes.set_xlim(depth + 0.4, -0.4)
    axes.set_xticks(range(depth, -1, -1))
    if named:
        axes.set_xlabel("layer (0 is the input)", fontsize=style.LABEL)


def legend_below(picture: Figure, panel: Axes, figures: pd.DataFrame) -> None:
    """The configurations, and a word on those that are left out."""
    handles, labels = panel.get_legend_handles_labels()
    longest = _LETTER * max(map(len, labels)) + 0.6
    left_out = figures["configuration"].nunique() - len(labels)
    picture.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=max(1, min(4, int(picture.get_figwidth() / longest))),
        fontsize=style.LABEL,
        frameon=False,
        title=f"the first {len(labels)}; {left_out} more in summary.csv" if left_out else None,
        title_fontsize=style.SMALL,
    )
