"""How alike the explanations are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dtd_cli.plots import style, wording
from dtd_cli.report.settings import LONGEST_LABEL

_CELL, _ROOM_FOR_NUMBERS, _LETTER = 0.42, 14, 0.075
_TOP, _GAP, _BAR_AND_ITS_NUMBERS = 0.7, 0.2, 1.0


def similarity(table: pd.DataFrame) -> Figure | None:
    """Two matrices, cosine and Spearman, of all pairs of explanations, on one scale from −1 to 1.

    Empty cells are pairs that no sample compares.
    """
    entries = list(dict.fromkeys(zip(table["method"], table["configuration"], strict=True)))
    if len(entries) < 2:
        return None
    names = [
        f"{wording.words(method)} {wording.literal(name, LONGEST_LABEL)}".strip()
        for method, name in entries
    ]
    cell = _CELL if len(names) <= _ROOM_FOR_NUMBERS else 0.24
    side = max(2.4, cell * len(names))
    # Placed rather than fitted, because the matrices are squares.
    around = 0.15 + _LETTER * max(map(len, names))
    width, height = around + 2 * side + _GAP + _BAR_AND_ITS_NUMBERS, _TOP + side + around
    picture = style.figure(
        width, height, "How alike the explanations are: mean over samples and seeds"
    )
    picture.set_layout_engine("none")
    left, right, bar = (
        picture.add_axes((x / width, around / height, w / width, side / height))
        for x, w in (
            (around, side),
            (around + side + _GAP, side),
            (around + 2 * (side + _GAP), 0.15),
        )
    )
    right.set_yticks([])
    for axes, kind, title in ((left, "cosine", "cosine"), (right, "spearman", "Spearman's rank")):
        values = table[kind].to_numpy(dtype=float).reshape(len(names), len(names))
        image = axes.imshow(values, cmap=style.DIVERGING, vmin=-1, vmax=1)
        axes.set_title(title, fontsize=style.TITLE, color=style.INK, loc="left")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=style.LABEL)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if len(names) <= _ROOM_FOR_NUMBERS:
            _numbers(axes, values)
    left.set_yticks(range(len(names)), names, fontsize=style.LABEL)
    picture.colorbar(image, cax=bar).outline.set_visible(False)
    bar.tick_params(labelsize=style.SMALL, color=style.MUTED, length=2.5)
    return picture


def finding(table: pd.DataFrame) -> str:
    """Which explanations are most and which least alike, in words."""
    first = table["method"] + table["configuration"]
    other = table["other_method"] + table["other_configuration"]
    pairs = table[(first < other) & table["cosine"].notna()].sort_values("cosine", kind="stable")
    if pairs.empty:
        return "No two explanations can be compared."
    least, most = pairs.iloc[0], pairs.iloc[-1]
    text = f"Least alike are {_pair(least)}"
    return f"{text}." if len(pairs) == 1 else f"{text}; most alike are {_pair(most)}."


def _pair(row: pd.Series) -> str:
    names = [
        f"{wording.words(row[method])} {row[name]}".strip()
        for method, name in (("method", "configuration"), ("other_method", "other_configuration"))
    ]
    return f"{names[0]} and {names[1]} (cosine {_number(row['cosine'], 'g')})"


def _number(value: float, form: str) -> str:
    """To two digits, with a minus that is one, and never with -0."""
    return f"{round(value, 2) + 0.0:{form}}".replace("-", "−")


def _numbers(axes: Axes, values: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                column,
                row,
                _number(value, ".2f"),
                ha="center",
                va="center",
                fontsize=style.SMALL,
                color="white" if abs(value) > 0.6 else style.INK,
            )
