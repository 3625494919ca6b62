"""``strategies.csv``: root searches side by side, from the table of their roots."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dtd_cli.records.limits import is_finite

NEAREST = "polytope"
"""The strategy whose roots are certified to be the nearest."""
_ROUNDING = 1e-12
"""A relevance is zero if it is less, relative to the largest in its layer."""


def strategies_table(roots: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """One row for each method, layer and strategy, over all units that have relevance to decompose.

    A relevance is zero where it is rounding beside the largest of the same sample and layer. Shares
    are of the other units. A distance is compared with that of the certified nearest root of
    the same unit, where there is one. Where ``layers`` say that no finite relevance exists there
    is none to decompose; such units are counted and left out.
    """
    size = roots["relevance"].abs()
    layer = [roots[name] for name in ("method", "sample", "layer")]
    scale = size.where(np.isfinite(size)).groupby(layer).transform("max")
    rows = roots[~(size <= _ROUNDING * scale)]
    own = layers[layers["roots"] == ""] if "roots" in layers else layers
    finite = is_finite(rows, own, above=1)
    group = ["method", "layer", "finder"]
    left_out = (~finite).groupby([rows[name] for name in group]).sum().rename("left_out")
    rows = rows[finite]
    unit = ["method", "sample", "layer", "neuron"]
    nearest = rows[(rows["finder"] == NEAREST) & rows["certified"]].set_index(unit)["distance"]
    rows = rows.join(nearest.rename("nearest"), on=unit)
    is_root = rows["status"] == "found"
    is_point = is_root | (rows["status"] == "approximate")
    admissible = is_point & rows["admissible"].astype("boolean").fillna(False).astype(bool)
    inside = is_point & rows["same_region"].astype("boolean").fillna(False).astype(bool)
    rows = rows.assign(
        root=is_root,
        approximate=is_point & ~is_root,
        admissible=is_root & admissible,
        same_region=is_root & inside,
        admissible_same_region=is_root & admissible & inside,
        distance=rows["distance"].where(is_root),
        distance_ratio=(rows["distance"] / rows["nearest"]).where(is_root & admissible & inside),
    )
    groups = rows.groupby(group, sort=False)
    return (
        groups.agg(
            units=("root", "size"),
            root_share=("root", "mean"),
            approximate_share=("approximate", "mean"),
            admissible_share=("admissible", "mean"),
            same_region_share=("same_region", "mean"),
            admissible_same_region_share=("admissible_same_region", "mean"),
            certified_share=("certified", "mean"),
            distance_median=("distance", "median"),
            distance_ratio_median=("distance_ratio", "median"),
            distance_ratio_largest=("distance_ratio", "max"),
            evaluations=("evaluations", "mean"),
        )
        .join(left_out)
        .reset_index()
        .sort_values("layer", kind="stable")
    )
