"""How many roots lie in the linear region of their anchor."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dtd_cli.plots import style, wording
from dtd_cli.report.pictures import bands


def regions(figures: pd.DataFrame) -> Figure | None:
    """The share of roots in their anchor's region: a panel a finder, a colour a configuration.

    Marks are medians over seeds, bars reach from quartile to quartile; all panels have one scale.
    """
    figures = figures[figures["quantity"] == "same_region_share"]
    if figures.empty:
        return None
    of_f = figures["method"] != ""
    figures = figures.assign(finder=figures["finder"].mask(of_f, figures["finder"] + " for f"))
    finders = list(figures["finder"].unique())
    configurations = bands.shown(figures)
    depth = int(figures["layer"].max())
    rows, columns = style.shape(len(finders), 3.2)
    picture = style.figure(
        style.total_width(columns, 3.2),
        1.3 + 2.4 * rows,
        f"Roots in their anchor's region; {bands.seeds_in_words(figures)}",
    )
    used = style.panels(picture, rows, columns, len(finders), "share of the roots", sharey=True)
    offsets = np.linspace(0.25, -0.25, len(configurations)) if len(configurations) > 1 else [0.0]
    for axes, finder in zip(used, finders, strict=True):
        axes.set_title(wording.words(finder), fontsize=style.TITLE, color=style.INK, loc="left")
        lines = bands.over_seeds(figures[figures["finder"] == finder], configurations)
        for line, look, offset in zip(lines, bands.looks(configurations), offsets, strict=True):
            middle = line["middle"].to_numpy()
            axes.errorbar(
                line.index.to_numpy(dtype=float) + offset,
                middle,
                [middle - line["low"], line["high"] - middle],
                linestyle="none",
                markersize=5,
                elinewidth=1.4,
                **look,
            )
        bands.layer_axis(axes, depth)
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    bands.legend_below(picture, used[0], figures)
    return picture


def finding(figures: pd.DataFrame) -> str:
    """How many roots of each search lie in the region, in words."""
    rows = figures[figures["quantity"] == "same_region_share"]
    texts = []
    for finder, shares in rows.groupby("finder", sort=False)["value"]:
        low, high = (f"{100 * share:.3g}" for share in (shares.min(), shares.max()))
        texts.append(f"{wording.words(str(finder))} {low if low == high else f'{low} to {high}'} %")
    return f"In the region of their anchor, by run and layer, lie: {'; '.join(texts)} of the roots."
