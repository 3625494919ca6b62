"""How much of f is left in every layer: the tables, and the figure at the top of the README."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from document import grid, share
from dtd_cli.plots import legends, style

RULES = ("z+", "gamma", "x", "w2", "zero", "pinv", "zB")
"""``zB`` stands for zB in the input layer and z+ above it."""
METHODS = {"recursive": "exact recursion", "train_free": "train-free (LRP)"}
_COLOURS = {
    "z+": style.BLUE,
    "gamma": style.VERMILLION,
    "x": style.GREEN,
    "w2": style.ORANGE,
    "zero": style.PURPLE,
    "pinv": style.SKY,
    "zB": style.DARK,
}


def by_layer(rows: pd.DataFrame) -> str:
    """One rule and depth a row: what the exact recursion keeps in each layer, and the likeness."""
    rows = _finished(rows)
    head = [
        "rule", "layers", "R_{L−1}", "R_{L−2}", "R_{L−3}", "R_{L−4}", "train-free R_0",
        "cosine, exact and train-free", "difference",
    ]  # fmt: skip
    lines = []
    for rule in RULES:
        for depth, part in rows[rows["rule"] == rule].groupby("depth"):
            exact, free = (part[part["method"] == method] for method in METHODS)
            kept = exact.groupby("below_output")["conserved"].median()
            lines.append(
                [
                    f"`{rule}`",
                    depth,
                    *(share(kept.get(order)) for order in range(1, 5)),
                    share(free.loc[free["layer"] == 0, "conserved"].median()),
                    _plain(exact["cosine"].median()),
                    share(exact["difference"].median()),
                ]
            )
    return grid(head, lines)


def by_degree(rows: pd.DataFrame) -> str:
    """One rule and depth a row: ΣR_0 / f of the exact recursion for each degree.

    Depths of which the first degree alone was run are left out.
    """
    shares = _input_shares(rows).dropna(thresh=2)
    lines = [
        [f"`{rule}`", depth, *map(share, kept)]
        for rule, depth, *kept in shares.reset_index().itertuples(index=False)
    ]
    return grid(["rule", "layers", *map(_degree, shares.columns.astype(float))], lines)


def draw(layers: pd.DataFrame, degrees: pd.DataFrame, path: Path) -> None:
    """The figure: a panel for each rule, with a line for each depth, and one by degree."""
    layers = _finished(layers)
    depths = sorted(layers["depth"].unique())
    heading = (
        f"How much of f(x) is left in networks trained on digits, 16 units a hidden layer: medians "
        f"of {layers['seed'].nunique()} networks, each of 20 images, and their range"
    )
    picture = style.figure(11.0, 5.6, heading)
    *rules, last = style.panels(picture, 2, 4, 1 + len(RULES), "ΣR / f(x)")
    for axes, rule in zip(rules, RULES, strict=True):
        _by_layer(axes, layers[layers["rule"] == rule], rule, depths)
    for axes in rules[1:]:
        axes.sharey(rules[0])
    shares = _input_shares(degrees).reset_index("depth")
    least = shares[shares["depth"] == depths[0]].drop(columns="depth")
    _by_degree(last, least, int(depths[0]))
    of_lines = "by layer, in the colour of the rule"
    legends.legend_below(picture, rules, "outside lower left", ncols=4, title=of_lines)
    of_colours = "by Taylor degree"
    legends.legend_below(picture, [last], "outside lower right", ncols=4, title=of_colours)
    style.save(picture, path)


_DEPTHS = (("-", "o"), ("--", "s"), (":", "D"))
"""How the lines of networks of so many layers look, the shallowest first."""


def _by_layer(axes: Axes, rows: pd.DataFrame, rule: str, depths: list[int]) -> None:
    style.plain(axes, f"rule {rule}" + ", z+ above the input layer" * (rule == "zB"))
    of_method = {method: rows[rows["method"] == method] for method in METHODS}
    free = of_method["train_free"].groupby("below_output")["conserved"].median()
    axes.plot(
        [0, *free.index], [1, *free], color=style.FAINT, linewidth=6, zorder=1,
        label="train-free (LRP)",
    )  # fmt: skip
    for depth, (line, marker) in zip(depths, _DEPTHS, strict=True):
        exact = of_method["recursive"][of_method["recursive"]["depth"] == depth]
        kept = exact.groupby("below_output")["conserved"]
        low, middle, high = kept.min(), kept.median(), kept.max()
        below = [0, *middle.index]
        axes.fill_between(below, [1, *low], [1, *high], color=_COLOURS[rule], alpha=0.1, lw=0)
        axes.plot(
            below, [1, *middle], color=_COLOURS[rule], linestyle=line, marker=marker, markersize=4
        )
        # What it means stands in the legend without the colour of a rule.
        axes.plot(
            [], [], color=style.INK, linestyle=line, marker=marker, markersize=4,
            label=f"exact, {depth} layers",
        )  # fmt: skip
    axes.set_xticks(range(max(depths) + 1), ["f", *(f"L−{n}" for n in range(1, max(depths) + 1))])
    axes.set_xlabel("layer", fontsize=style.LABEL)


def _by_degree(axes: Axes, shares: pd.DataFrame, depth: int) -> None:
    """Rules side by side. The integral stands apart: it is no next term of the series."""
    style.plain(axes, f"{depth} layers, R_0 by Taylor degree")
    series, integral = shares.drop(columns=math.inf).T, shares[math.inf]
    end = len(series)
    for rule, aside in zip(RULES, np.linspace(-0.24, 0.24, len(RULES)), strict=True):
        for x, y in ((np.arange(end), series[rule]), ([end], [integral[rule]])):
            axes.plot(
                np.add(x, aside), y, color=_COLOURS[rule], marker="o", markersize=4,
                label=f"rule {rule}",
            )  # fmt: skip
    axes.set_xticks(range(end + 1), [*(f"{degree:.0f}" for degree in series.index), "integral"])
    axes.set_xlabel("degree", fontsize=style.LABEL)


def _input_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """ΣR_0 / f of the exact recursion, the median of networks: rule and depth by degree."""
    rows = _finished(rows)
    exact = rows[(rows["method"] == "recursive") & (rows["layer"] == 0)]
    shares = exact.pivot_table(
        index=["rule", "depth"], columns="degree", values="conserved", aggfunc="median"
    )
    return shares.reindex(RULES, level="rule")


def _finished(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that are done, by the rule of their input layer and their number of layers."""
    done = rows[rows["status"] == "done"]
    return done.assign(
        rule=done["input_rule"].combine_first(done["rule"]),
        depth=done["hidden"].str.count(",") + 2,
    )


def _degree(degree: float) -> str:
    return "integrated limit" if math.isinf(degree) else f"degree {degree:.0f}"


def _plain(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"
