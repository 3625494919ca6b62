"""The figures of a run on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dtd.explainer.explained import Explained
from dtd_cli.run.preparation import Prepared


def summary(
    prepared: Prepared, tables: dict[str, pd.DataFrame], parts: Sequence[Explained]
) -> dict[str, Any]:
    """``summary.json``: the network, the samples, what each method kept of f, and the roots."""
    inputs = tables["inputs.csv"]
    explained = inputs[inputs["status"] == "explained"]
    f = explained.set_index("sample")["f"]
    layers = tables["layers.csv"]
    roots = tables["roots.csv"]
    of_f = roots["method"] == "simple_taylor"
    further = layers["roots"] if "roots" in layers else pd.Series("", layers.index)
    own = layers[further == ""]
    return {
        "network": list(prepared.network.widths),
        "training": prepared.figures,
        "samples": {"explained": len(explained), "skipped": len(inputs) - len(explained)},
        "f_mean": float(f.mean()),
        "conserved_by_layer": _conserved(own, f, "method"),
        **_present("conserved_by_input_roots", _conserved(layers[further != ""], f, "roots")),
        **_remainders(own, f),
        "roots_by_layer": {
            str(layer): _root_figures(rows) for layer, rows in roots[~of_f].groupby("layer")
        },
        **_present("taylor_roots", _root_figures(roots[of_f])),
        "limits_by_layer": limits(parts),
    }


def _present(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    """An entry of the summary, which it has only where there are figures."""
    return {name: figures} if figures else {}


def _conserved(layers: pd.DataFrame, f: pd.Series, by: str) -> dict[str, dict[str, float]]:
    """The median over samples of ΣR / f, by a column and the layer."""
    if layers.empty:
        return {}
    # With a series the degrees have rows of their own.
    kept = layers.groupby([by, "layer", "sample"])["relevance_sum"].sum().reset_index()
    kept["conserved"] = kept["relevance_sum"] / kept["sample"].map(f)
    return _nested(kept.groupby([by, "layer"])["conserved"].median())


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
                figure["limits"] += int((~roots.limit_error.isnan()).sum())
    return figures


def _root_figures(roots: pd.DataFrame) -> dict[str, Any]:
    """By strategy: how many units of each status; of those with a root, shares."""
    figures: dict[str, Any] = {}
    for finder, group in roots.groupby("finder"):
        shares = group[["admissible", "same_region"]].astype("Float64").mean().dropna()
        figures[str(finder)] = {
            "status": group["status"].value_counts().sort_index().to_dict(),
            **{f"{name}_share": float(share) for name, share in shares.items()},
        }
    return figures


def _nested(series: pd.Series) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for row in series.reset_index().itertuples(index=False):
        nested.setdefault(row[0], {})[str(row[1])] = float(row[2])
    return nested
