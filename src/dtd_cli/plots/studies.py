"""The pictures of the studies, one each."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dtd_cli.config.plots import Plots
from dtd_cli.plots import doubt_marks, legends, style, wording
from dtd_cli.plots.tables import Tables, has_rows


def agreement(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """How much of f each method conserves, and its cosine with gradient × input: all samples."""
    if not has_rows(tables.agreement):
        return None
    table = tables.agreement
    methods = [str(name) for name in table["method"].unique()]
    picture = style.figure(
        8.6,
        (1.5 + 0.42 * len(methods)) * (1 + plots.narrow),
        f"Agreement with f, and with the gradient{_without(_left_out(table))}",
        "Boxes are quartiles with the median, lines reach to 1.5 times their distance, points lie "
        f"beyond. n = {wording.counted(table['sample'].nunique(), 'sample')}.",
        plots,
    )
    grid = picture.subplots(*((2, 1) if plots.narrow else (1, 2)), sharey=True)
    for axes, column, title in zip(
        grid,
        ("conserved", "cosine"),
        ("sum of the relevances of the inputs / f", "cosine with gradient × input"),
        strict=True,
    ):
        style.plain(axes, title)
        for place, method in enumerate(methods):
            values = table.loc[table["method"] == method, column].dropna()
            if len(values):
                box = axes.boxplot(
                    values, positions=[place], widths=0.55, orientation="horizontal",
                    patch_artist=True, flierprops={"markersize": 2.5},
                    medianprops={"color": style.INK},
                )  # fmt: skip
                box["boxes"][0].set(facecolor=tables.colours[method], alpha=0.75, linewidth=0.6)
        axes.axvline(1, color=style.MUTED, linewidth=0.8, zorder=1)
    grid[0].set_yticks(range(len(methods)), [wording.words(name) for name in methods])
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    return picture


def _left_out(agreement: pd.DataFrame) -> int:
    """How many samples have no numbers."""
    return int(agreement.loc[agreement["conserved"].isna(), "sample"].nunique())


def _without(count: int) -> str:
    """What a heading says of so many samples that are left out."""
    have = "sample that has" if count == 1 else "samples that have"
    return f", without {count} {have} no finite relevance" if count else ""


def continuity(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The largest change of relevance between two samples, relative to their distance."""
    if not has_rows(tables.continuity):
        return None
    table = tables.continuity
    methods = [str(name) for name in table["method"]]
    left_out = len(tables.endless_samples(0))
    doubts = ["unsettled" * tables.may_be_wrong([name], 0) for name in methods]
    picture = style.figure(
        7.0,
        1.2 + 0.36 * len(methods) + 0.3 * any(doubts),
        f"Largest change of relevance between two inputs{_without(left_out)}",
        "The largest ratio over all pairs of samples.",
        plots,
    )
    axes = picture.subplots()
    doubt_marks.name_marks(axes, doubts)
    style.plain(axes, "max ‖R(x) − R(x′)‖₁ / ‖x − x′‖₂")
    bars = axes.barh(
        [
            doubt_marks.marked(wording.words(name), doubt)
            for name, doubt in zip(methods, doubts, strict=True)
        ],
        table["score"],
        0.6,
        color=[tables.colours[name] for name in methods],
    )
    axes.bar_label(
        bars, [wording.number(score) for score in table["score"]], padding=3, fontsize=style.SMALL
    )
    axes.margins(x=0.12)
    axes.invert_yaxis()
    if any(doubts):
        legends.legend_below(picture, [axes])
    return picture


def output_scaling(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """f(c x) / f(x) for every sample, beside the line of a network without biases."""
    if not has_rows(tables.output_scaling):
        return None
    count = tables.output_scaling["sample"].nunique()
    picture = style.figure(
        style.LEAST_WIDTH,
        3.8,
        "The output when the input is scaled",
        f"A line a sample, n = {count}; dashed: a network without biases.",
        plots,
    )
    axes = picture.subplots()
    style.plain(axes)
    for _, rows in tables.output_scaling.groupby("sample"):
        axes.plot(rows["c"], rows["ratio"], color=style.BLUE, linewidth=0.9, alpha=0.6)
    axes.plot([0, 1], [0, 1], color=style.INK, linewidth=0.9, linestyle="--", label="no biases")
    axes.set_xlabel("c", fontsize=style.LABEL)
    axes.set_ylabel("f(c x) / f(x)", fontsize=style.LABEL)
    axes.legend(fontsize=style.SMALL, frameon=False)
    return picture


def published_roots(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """How many of an input's published points have another gradient, and how f changes there."""
    if not has_rows(tables.published_roots):
        return None
    table = tables.published_roots
    inputs = table["sample"].nunique()
    picture = style.figure(
        8.6,
        3.6 * (1 + plots.narrow),
        "Published protocol: f and its gradient at the points",
        "The step is the relevance of the unit in layer 1 by the method, over w·v. "
        f"n = {inputs} inputs, {len(table) // table['method'].nunique()} points.",
        plots,
    )
    left, right = picture.subplots(*((2, 1) if plots.narrow else (1, 2)))
    most = int(table.groupby(["method", "sample"]).size().max())
    methods = [str(name) for name in table["method"].unique()]
    width = 0.8 / len(methods)
    edges = np.histogram_bin_edges(table["output_change"], 40)
    style.plain(left, "points of one input with another gradient")
    style.plain(right, "f(point) − f(x)")
    for place, method in enumerate(methods):
        rows = table[table["method"] == method]
        away = rows.groupby("sample")["another_gradient"].sum()
        name = (
            f"{wording.words(method)}: one or more for {wording.number(100 * (away > 0).mean())} %"
        )
        counts = away.value_counts(normalize=True).reindex(range(most + 1), fill_value=0)
        offset = (place - (len(methods) - 1) / 2) * width
        left.bar(counts.index + offset, counts, width, color=tables.colours[method], label=name)
        right.hist(
            rows["output_change"], edges.tolist(), color=tables.colours[method], histtype="step",
            weights=np.full(len(rows), 1 / len(rows)),
        )  # fmt: skip
    left.set_xticks(range(most + 1))
    left.set_ylabel("share of inputs", fontsize=style.LABEL)
    right.set_yscale("log")
    right.set_ylabel("share of points", fontsize=style.LABEL)
    legends.legend_below(picture, [left])
    return picture


def upper_relevance(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """The relevance of each unit of layer 1 when its activation is scaled: the first sample."""
    if not has_rows(tables.upper_relevance):
        return None
    table = tables.upper_relevance
    sample = int(table["sample"].iloc[0])
    table = table[table["sample"] == sample]
    methods = [str(name) for name in table["method"].unique()]
    picture = style.figure(
        4.3 * len(methods) / (1 + plots.narrow),
        3.6 * (1 + plots.narrow * (len(methods) - 1)),
        f"Is relevance proportional to activation? {tables.title(sample)}",
        "R_1 at c times the activation of layer 1, a line a unit. Dashed: c R_1 of the activation "
        "itself, for the strongest unit; it would be so if their ratio were constant.",
        plots,
    )
    shape = (len(methods), 1) if plots.narrow else (1, len(methods))
    grid = picture.subplots(*shape, squeeze=False).ravel()
    for axes, method in zip(grid, methods, strict=True):
        style.plain(axes, wording.words(method))
        wide = table[table["method"] == method].pivot(
            index="c", columns="neuron", values="relevance"
        )
        here = wide.iloc[np.abs(wide.index.to_numpy() - 1).argmin()]
        axes.plot(wide.index, wide, color=tables.colours[method], linewidth=1.2, alpha=0.7)
        axes.plot(
            wide.index, wide.index * here[here.abs().idxmax()], color=style.INK, linewidth=0.9,
            linestyle="--", label="constant ratio, strongest unit",
        )  # fmt: skip
        axes.axvline(1, color=style.FAINT, linewidth=0.8, zorder=1)
        axes.set_xlabel("c", fontsize=style.LABEL)
    grid[0].set_ylabel("R_1(c a)", fontsize=style.LABEL)
    legends.legend_below(picture, [grid[0]])
    return picture


def rank_collapse(tables: Tables, plots: Plots = style.SCREEN) -> Figure | None:
    """Cosine similarity of the columns of products of train-free layers, against their length."""
    if not has_rows(tables.rank_collapse):
        return None
    table = tables.rank_collapse
    picture = style.figure(
        style.LEAST_WIDTH,
        3.6,
        "Do all units of a layer explain alike?",
        "Lines are medians, bands reach from the 10th to the 90th percentile of the samples; "
        f"n = {table['sample'].nunique()}.",
        plots,
    )
    axes = picture.subplots()
    style.plain(axes, "columns of the product of the first layers, all pairs, all samples")
    for column, words, colour in (
        ("mean_cosine", "mean", style.BLUE),
        ("least_cosine", "least alike", style.ORANGE),
    ):
        spread = table.groupby("layers")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
        lengths = np.asarray(spread.index)
        low, middle, high = (cast("np.ndarray", spread[q].to_numpy()) for q in (0.1, 0.5, 0.9))
        axes.fill_between(lengths, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(lengths, middle, color=colour, marker="o", markersize=3, label=words)
    axes.set_xticks(sorted(table["layers"].unique()))
    axes.set_xlabel("layers in the product", fontsize=style.LABEL)
    axes.set_ylabel("cosine similarity", fontsize=style.LABEL)
    axes.axhline(1, color=style.MUTED, linewidth=0.8, zorder=1)
    axes.legend(fontsize=style.SMALL, frameon=False)
    return picture
