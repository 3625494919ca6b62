"""How much of f is left in every layer: the tables, and the figure at the top of the README."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from document import grid, share
from dtd_cli.plots import style

RULES = ("z+", "gamma", "x", "w2", "zero", "pinv")
METHODS = {"recursive": "exact recursion", "train_free": "train-free (LRP)"}
_COLOURS = {
    "z+": style.BLUE,
    "gamma": style.VERMILLION,
    "x": style.GREEN,
    "w2": style.ORANGE,
    "zero": style.PURPLE,
    "pinv": style.SKY,
}


def by_layer(rows: pd.DataFrame) -> str:
    """One rule and depth a row: what the exact recursion keeps in each layer, and the likeness."""
    rows = _with_depth(rows)
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
    """One rule and depth a row: ΣR_0 / f of the exact recursion for each degree."""
    rows = _with_depth(rows)
    exact = rows[(rows["method"] == "recursive") & (rows["layer"] == 0)]
    exact = exact.assign(degree=exact["degree"].map(float))
    degrees = sorted(exact["degree"].unique())
    head = ["rule", "layers", *(_degree(degree) for degree in degrees)]
    lines = []
    for rule in RULES:
        for depth, part in exact[exact["rule"] == rule].groupby("depth"):
            kept = part.groupby("degree")["conserved"].median()
            lines.append([f"`{rule}`", depth, *(share(kept.get(degree)) for degree in degrees)])
    return grid(head, lines)


def draw(rows: pd.DataFrame, path: Path) -> None:
    """The figure: a panel for each depth, from the output down to the input."""
    rows = _with_depth(rows)
    depths = sorted(rows["depth"].unique())
    picture = style.figure(
        11.0, 3.9, "How much of f(x) is left: the exact recursion, and train-free DTD (LRP)"
    )
    grid = picture.subplots(1, len(depths), sharey=True)
    for axes, depth in zip(grid, depths, strict=True):
        _panel(axes, rows[rows["depth"] == depth], int(depth))
    grid[0].set_ylabel("ΣR / f(x), median", fontsize=style.LABEL)
    style.legend_below(picture, grid)
    style.save(picture, path)


def _panel(axes: Axes, rows: pd.DataFrame, depth: int) -> None:
    style.plain(axes, f"{depth} layers, trained on digits")
    free = rows[rows["method"] == "train_free"].groupby("below_output")["conserved"].median()
    axes.plot(
        [0, *free.index], [1, *free], color=style.GRAY, linewidth=3, zorder=1,
        label="train-free, median of all rules",
    )  # fmt: skip
    exact = rows[rows["method"] == "recursive"]
    for rule in RULES:
        kept = exact[exact["rule"] == rule].groupby("below_output")["conserved"]
        low, middle, high = kept.min(), kept.median(), kept.max()
        axes.fill_between(
            [0, *low.index], [1, *low], [1, *high], color=_COLOURS[rule], alpha=0.12, linewidth=0
        )
        axes.plot(
            [0, *middle.index], [1, *middle], color=_COLOURS[rule], marker="o", markersize=3.5,
            label=f"exact, {rule}",
        )  # fmt: skip
    axes.set_xticks(range(depth + 1), ["f", *(f"R_{layer}" for layer in range(depth - 1, -1, -1))])
    axes.axhline(0, color=style.MUTED, linewidth=0.8)


def _with_depth(rows: pd.DataFrame) -> pd.DataFrame:
    done = rows[rows["status"] == "done"]
    return done.assign(depth=done["hidden"].str.count(",") + 2)


def _degree(degree: float) -> str:
    return "integrated limit" if degree == float("inf") else f"degree {degree:.0f}"


def _plain(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"
