"""Pictures of the recursion's inside: its regions, its tree of roots, its summed relevance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables, has_rows, unit_name

_MOST_SAMPLES = 4


def region_size(tables: Tables) -> Figure | None:
    """How wide the boxes around the linear regions are, beside the activations in them."""
    if not has_rows(tables.region_size):
        return None
    table = tables.region_size
    layers = sorted(table["layer"].unique())
    picture = style.figure(style.LEAST_WIDTH, 3.6, "Size of the linear regions")
    axes = picture.subplots()
    style.plain(axes, "width of the box around a region's edge points, each unit of each sample")
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
    style.legend_below(picture, [axes])
    return picture


def nested_roots(tables: Tables) -> Figure | None:
    """The roots that the input's relevance is made of, each below the root it is nested in.

    Inactive units have none and are left out.
    """
    if not has_rows(tables.nested_roots):
        return None
    table = tables.nested_roots
    tree = table[table["status"] != "inactive"].set_index("node")
    if tree.empty:
        return None
    place = _places(tree)
    picture = style.figure(
        8.6,
        1.6 + 0.055 * min(max(place.nunique(), 30), 110),
        f"{len(tree)} nested roots of {len(table)} units, sample {table['sample'].iloc[0]}; "
        "the larger, the more relevance",
    )
    axes = picture.subplots()
    style.plain(axes)
    middle = (place.min() + place.max()) / 2
    # The root above lies one layer to the left; above the first ones is the input.
    above = tree["parent"].map(place).fillna(middle)
    ends = np.stack([tree["layer"] - 1, tree["layer"]]), np.stack([above, place[tree.index]])
    axes.plot(*ends, color=style.GRAY, linewidth=0.5, zorder=1)
    axes.plot([-1], [middle], "*", color=style.INK, markersize=10, label="x")
    doubts = tree["limits"] if "limits" in tree else pd.Series("none", tree.index)
    # What has no finite relevance has no size, and sets none.
    endless = doubts == "unbounded"
    largest = tree.loc[~endless, "relevance"].abs().max()
    style.name_marks(axes, [doubt for doubt in style.MARKS if (doubts == doubt).any()])
    for doubt in style.MARKS:
        nodes = tree[doubts == doubt]
        style.mark_points(axes, doubt, nodes["layer"], place[nodes.index])
    for status, rows in tree[~endless].groupby("status"):
        axes.scatter(
            rows["layer"], place[rows.index], s=5 + 25 * rows["relevance"].abs() / largest,
            color=style.STATUS_COLOURS[str(status)], label=style.words(str(status)), zorder=2,
            linewidth=0,
        )  # fmt: skip
    layers = sorted(tree["layer"].unique())
    names = [f"roots in layer {n},\nof units of layer {n + 1}" for n in layers]
    axes.set_xticks([-1, *layers], ["input", *names])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-1.15, layers[-1] + 0.3)
    style.legend_below(picture, [axes])
    return picture


def _places(tree: pd.DataFrame) -> pd.Series:
    """A height for every node: leaves one below the other, the others amid their children."""
    children = tree.groupby("parent").groups
    heights: dict[int, float] = {}
    leaves = 0

    def place(node: int) -> float:
        nonlocal leaves
        below = [place(child) for child in children.get(node, ())]
        if not below:
            leaves += 1
        heights[node] = float(np.mean(below)) if below else -float(leaves)
        return heights[node]

    for root in tree.index[tree["parent"].isna()]:
        place(root)
    return pd.Series(heights)


def summed_root(tables: Tables) -> Figure | None:
    """Relevance of the first hidden layer at the input and at the root of its sum."""
    if not has_rows(tables.summed_root):
        return None
    table = tables.summed_root
    samples, others = style.first(list(table["sample"].unique()), _MOST_SAMPLES)
    picture = style.figure(
        style.total_width(2, 4.0),
        0.9 + 2.2 * len(samples),
        f"The root of the summed relevance{others}",
    )
    grid = picture.subplots(len(samples), 2, squeeze=False)
    for (left, right), sample in zip(grid, samples, strict=True):
        rows = table[table["sample"] == sample]
        units = rows.drop_duplicates("neuron")
        inputs = rows.drop_duplicates("index")
        doubts = tables.doubt("recursive", sample, 1), _doubt_at_root(units)
        style.name_marks(left, doubts)
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
            axes.set_xticks(place, [style.literal(label) for label in labels])
    style.legend_below(picture, grid.ravel())
    return picture


def _doubt_at_root(units: pd.DataFrame) -> str:
    """Why the relevances at the root are in doubt; empty where they are not."""
    state = str(units["limits_at_root"].iloc[0]) if "limits_at_root" in units else ""
    return state if state in style.MARKS else ""


def _bars(
    axes: Axes, place: np.ndarray, heights: pd.Series, doubt: str, color: str, label: str
) -> None:
    """Bars with the mark of what is in doubt; where nothing is finite the marks alone."""
    if doubt == "unbounded":
        style.instead_of_bars(axes, place)
        heights = heights * np.nan
    axes.bar(place, heights, 0.38, color=color, label=label)
    if doubt == "unsettled":
        style.above_bars(axes, place, heights)
