"""Which numbers of a run one-sided limits leave in doubt, as ``layers.csv`` says it."""

from __future__ import annotations

import pandas as pd

NONE, UNSETTLED, UNBOUNDED = "none", "unsettled", "unbounded"
IN_DOUBT = (UNSETTLED, UNBOUNDED)
"""Relevance that may be wrong, and relevance that does not exist."""

_WHOSE = ("method", "roots", "sample", "layer")


def of_samples(layers: pd.DataFrame) -> pd.DataFrame:
    """What became of the limits of each sample and layer, also where every degree has a row.

    Tables of earlier versions do not say; their rows count as if no limit had been needed.
    """
    keys = [name for name in _WHOSE if name in layers]
    told = layers if "limits" in layers else layers.assign(limits=NONE)
    return told[[*keys, "limits"]].drop_duplicates()


def is_finite(table: pd.DataFrame, layers: pd.DataFrame, above: int = 0) -> pd.Series:
    """Which rows of a table are of samples and layers that have a finite relevance.

    Of the layer that is so many layers ``above`` the row's, that is.
    """
    if "limits" not in layers or not (layers["limits"] == UNBOUNDED).any():
        return pd.Series(True, table.index)
    states = of_samples(layers)
    keys = [name for name in _WHOSE if name in states and name in table]
    infinite = states.loc[states["limits"] == UNBOUNDED, keys]
    infinite = infinite.assign(layer=infinite["layer"] - above).drop_duplicates()
    marked = table[keys].merge(infinite, how="left", on=keys, indicator=True)["_merge"]
    return pd.Series((marked == "left_only").to_numpy(), table.index)


def adds_up(layers: pd.DataFrame) -> pd.Series:
    """Which rows of ``layers.csv`` are finite: the layer's relevance, and that of the one above."""
    return is_finite(layers, layers) & is_finite(layers, layers, above=1)
