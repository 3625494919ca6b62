"""The figures of a run on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from dtd.explainer.explained import Explained
from dtd.explainer.reach import largest_relevance, without_relevance
from dtd_cli.records.columns import INPUTS
from dtd_cli.records.limits import NONE, adds_up, is_finite, of_samples
from dtd_cli.records.warnings import warnings
from dtd_cli.run.preparation import Prepared


def summary(
    prepared: Prepared, parts: Sequence[Explained], tables: dict[str, pd.DataFrame]
) -> dict[str, Any]:
    """``summary.json``: the network, the samples, what each method kept of f, the roots, and
    warnings. The ``tables`` are of what ``parts`` explain."""
    # Features may be called as the columns before them.
    inputs = tables["inputs.csv"].iloc[:, : len(INPUTS)]
    tables = {**tables, "inputs.csv": inputs}
    explained = inputs[inputs["status"] == "explained"]
    f = explained.set_index("sample")["f"]
    layers = tables["layers.csv"]
    roots = tables["roots.csv"]
    of_f = roots["method"] == "simple_taylor"
    further = layers["roots"] if "roots" in layers else pd.Series("", layers.index)
    own = layers[further == ""]
    methods = _by_method(parts)
    largest = {method: largest_relevance(of_method) for method, of_method in methods.items()}
    figures = {
        "network": list(prepared.network.widths),
        "training": prepared.figures,
        "samples": {
            "explained": len(explained),
            "below_zero": int((f < 0).sum()),
            "skipped": len(inputs) - len(explained),
        },
        "f_mean": float(f.mean()),
        "conserved_by_layer": _conserved(own, f, "method"),
        **_present("conserved_by_input_roots", _conserved(layers[further != ""], f, "roots")),
        **_remainders(own, f),
        "limits_by_layer": _limits(own, "method"),
        **_present("limits_by_input_roots", _limits(layers[further != ""], "roots")),
        "roots_by_layer": {
            str(layer): _root_figures(rows) for layer, rows in roots[~of_f].groupby("layer")
        },
        **_present("taylor_roots", _root_figures(roots[of_f])),
        "largest_relevance": {method: one._asdict() for method, one in largest.items() if one},
        "without_relevance": {
            method: without_relevance(of_method) for method, of_method in methods.items()
        },
    }
    return figures | {"warnings": warnings(prepared, tables, figures)}


def _by_method(parts: Sequence[Explained]) -> dict[str, list[Explained]]:
    """The parts of each method; a further root search has one of its own, ``recursive, LABEL``."""
    methods: dict[str, list[Explained]] = {}
    for part in parts:
        name = f"{part.method}, {part.roots}" if part.roots else part.method
        methods.setdefault(name, []).append(part)
    return methods


def _present(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    """An entry of the summary, which it has only where there are figures."""
    return {name: figures} if figures else {}


def _conserved(layers: pd.DataFrame, f: pd.Series, by: str) -> dict[str, dict[str, float]]:
    """The median of ΣR / f over the samples that have a finite one, by a column and the layer."""
    layers = layers[is_finite(layers, layers)]
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
    recursive = layers[(layers["method"] == "recursive") & adds_up(layers)]
    share = recursive["remainder"] / recursive["sample"].map(f)
    median = share.groupby([recursive["layer"], recursive["degree"]]).median()
    return {"remainder_by_degree": _nested(median)}


def _limits(layers: pd.DataFrame, by: str) -> dict[str, dict[str, dict[str, int]]]:
    """By a column and the layer: how many samples have limits in each state, where any has one."""
    if layers.empty:
        return {}
    figures: dict[str, dict[str, dict[str, int]]] = {}
    for name, rows in of_samples(layers).groupby(by, sort=False):
        if (rows["limits"] != NONE).any():
            states = rows.groupby("layer")["limits"]
            figures[str(name)] = {str(layer): _counts(limits) for layer, limits in states}
    return figures


def _root_figures(roots: pd.DataFrame) -> dict[str, Any]:
    """By strategy: how many units of each status; of those with a root, limits and shares."""
    figures: dict[str, Any] = {}
    for finder, group in roots.groupby("finder"):
        rooted = group["status"].isin(("found", "approximate"))
        said = {name: group[name].dropna() for name in ("admissible", "same_region")}
        figures[str(finder)] = {
            "status": _counts(group["status"]),
            "limit": _counts(group.loc[rooted, "limit"]),
            **{f"{name}_share": float(own.mean()) for name, own in said.items() if len(own)},
        }
    return figures


def _counts(words: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(words.tolist()).items()))


def _nested(series: pd.Series) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for row in series.reset_index().itertuples(index=False):
        nested.setdefault(row[0], {})[str(row[1])] = float(row[2])
    return nested
