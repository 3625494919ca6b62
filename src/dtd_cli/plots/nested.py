"""Pictures of the recursion's inside: its regions, its summed relevance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.owners import unit_name
from dtd_cli.plots.tables import Tables, has_rows

_MOST_SAMPLES, _ROOM = 4, 8


def region_size(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """How wide the boxes around the linear regions are, beside the activations in them."""
    if not has_rows(tables.region_size):
        return None
    table = tables.region_size
    layers = sorted(table["layer"].unique())
    picture = style.figure(
        style.LEAST_WIDTH,
        3.6,
        "Size of the linear regions",
        f"Boxes are quartiles with the median, lines reach from the 5th to the 95th percentile. "
        f"n = {wording.counted(len(table), 'unit')} of all samples.",
        plots,
    )
    axes = picture.subplots()
    style.plain(axes, "width of the box around points of a region, each unit of each sample")
    table = table.assign(width=table["high"] - table["low"])
    for offset, column, words, colour in (
        (-0.2, "width", "width of the box", style.BLUE),
        (0.2, "activation", "activation, where not 0", style.ORANGE),
    ):
        values = table.loc[table[column] > 0]
        shown = [values.loc[values["layer"] == layer, column] for layer in layers]
        drawn = axes.boxplot(
            shown, positions=np.arange(len(layers)) + offset, widths=0.32, showfliers=False,
            whis=(5, 95), patch_artist=True, medianprops={"color": style.INK},
        )  # fmt: skip
        for box in drawn["boxes"]:
            box.set(facecolor=colour, alpha=0.75, linewidth=0.6)
        drawn["boxes"][0].set_label(words)
    axes.set_yscale("log")
    axes.set_xticks(range(len(layers)), [f"layer {layer}" for layer in layers])
    legends.legend_below(picture, [axes])
    return picture


def summed_root(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """Relevance of the first hidden layer at the input and at the root of its sum."""
    if not has_rows(tables.summed_root):
        return None
    table = tables.summed_root
    samples, others = style.first(list(table["sample"].unique()), _MOST_SAMPLES, plots)
    picture = style.figure(
        style.total_width(2, 4.0),
        0.9 + 2.2 * len(samples) * (1 + plots.narrow),
        f"The root of the summed relevance{others}",
        "Relevance of the units of layer 1, and the input, at the input itself and at the root of "
        f"the sum of these relevances. n = {wording.counted(len(samples), 'sample')}, a row each.",
        plots,
    )
    columns = 1 if plots.narrow else 2
    grid = picture.subplots(2 * len(samples) // columns, columns, squeeze=False)
    for (left, right), sample in zip(grid.reshape(-1, 2), samples, strict=True):
        rows = table[table["sample"] == sample]
        units = rows.drop_duplicates("neuron")
        inputs = rows.drop_duplicates("index")
        doubts = tables.doubt("recursive", sample, 1), _doubt_at_root(units)
        doubt_marks.name_marks(left, doubts)
        for axes, first, second, labels, title, marks in (
            (left, units["relevance"], units["relevance_at_root"],
             [unit_name(unit) for unit in units["neuron"]], "relevance of layer 1", doubts),
            (right, inputs["x"], inputs["root"], tables.features, "input", ("", "")),
        ):  # fmt: skip
            style.plain(axes, f"sample {sample}: {title}")
            style.zero_line(axes)
            place = np.arange(len(first))
            _bars(axes, place - 0.2, first, marks[0], color=style.DARK, label="at the input")
            _bars(axes, place + 0.2, second, marks[1], color=style.SKY, label="at the root")
            names = [wording.literal(label) for label in labels]
            turned = {"rotation": 45, "ha": "right"} if len(names) > _ROOM or plots.narrow else {}
            axes.set_xticks(place, names, **turned)
    legends.legend_below(picture, grid.ravel())
    return picture


def _doubt_at_root(units: pd.DataFrame) -> str:
    """Why the relevances at the root are in doubt; empty where they are not."""
    state = str(units["limits_at_root"].iloc[0]) if "limits_at_root" in units else ""
    return state if state in doubt_marks.MARKS else ""


def _bars(
    axes: Axes, place: np.ndarray, heights: pd.Series, doubt: str, color: str, label: str
) -> None:
    """Bars with the mark of what is in doubt; where nothing is finite the marks alone."""
    if doubt == "unbounded":
        doubt_marks.instead_of_bars(axes, place)
        heights = heights * np.nan
    axes.bar(place, heights, 0.38, color=color, label=label)
    if doubt == "unsettled":
        doubt_marks.above_bars(axes, place, heights)
