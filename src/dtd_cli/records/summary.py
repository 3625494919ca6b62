"""The figures of a run on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dtd_cli.records.rows import Explained
from dtd_cli.run.preparation import Prepared


def summary(
    prepared: Prepared, tables: dict[str, pd.DataFrame], parts: Sequence[Explained]
) -> dict[str, Any]:
    """``summary.json``: the network, the samples, what each method kept of f, and the roots."""
    inputs = tables["inputs.csv"]
    explained = inputs[inputs["status"] == "explained"]
    f = explained.set_index("sample")["f"]
    layers = tables["layers.csv"]
    # With a series the degrees have rows of their own.
    kept = layers.groupby(["method", "layer", "sample"])["relevance_sum"].sum().reset_index()
    kept["conserved"] = kept["relevance_sum"] / kept["sample"].map(f)
    return {
        "network": list(prepared.network.widths),
        "training": prepared.figures,
        "samples": {"explained": len(explained), "skipped": len(inputs) - len(explained)},
        "f_mean": float(f.mean()),
        "conserved_by_layer": _nested(kept.groupby(["method", "layer"])["conserved"].median()),
        **_remainders(layers, f),
        "roots_by_layer": _root_figures(tables["roots.csv"]),
        "limits_by_layer": limits(parts),
    }


def _remainders(layers: pd.DataFrame, f: pd.Series) -> dict[str, Any]:
    """With a series: the median over samples of what degrees up to each one left, beside f."""
    if "degree" not in layers:
        return {}
    recursive = layers[layers["method"] == "recursive"]
    share = recursive["remainder"] / recursive["sample"].map(f)
    median = share.groupby([recursive["layer"], recursive["degree"]]).median()
    return {"remainder_by_degree": _nested(median)}


def limits(parts: Sequence[Explained]) -> dict[str, dict[str, int]]:
    """Per layer: how many roots on the samples' paths were expanded, and at how many of them (or
    above them) the derivative exists as a one-sided limit only."""
    figures: dict[str, dict[str, int]] = {}
    for part in parts:
        for layer, searches in part.explanation.evidence.items():
            figure = figures.setdefault(str(layer), {"roots": 0, "limits": 0})
            for roots in searches:
                figure["roots"] += int(roots.rooted.sum())
                figure["limits"] += int(roots.limit.sum())
    return figures


def _root_figures(roots: pd.DataFrame) -> dict[str, Any]:
    """Per layer and strategy: how many units of each status; of those with a root, shares."""
    figures: dict[str, Any] = {}
    if roots.empty:
        return figures
    for (layer, finder), group in roots.groupby(["layer", "finder"]):
        shares = group[["admissible", "same_region"]].astype("Float64").mean().dropna()
        figures.setdefault(str(layer), {})[finder] = {
            "status": group["status"].value_counts().sort_index().to_dict(),
            **{f"{name}_share": float(share) for name, share in shares.items()},
        }
    return figures


def _nested(series: pd.Series) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for row in series.reset_index().itertuples(index=False):
        nested.setdefault(row[0], {})[str(row[1])] = float(row[2])
    return nested
