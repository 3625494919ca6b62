"""The stored numbers of an experiment as the Markdown table of the README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from document import grid, number, share, spread


def notebook_roots(rows: pd.DataFrame) -> str:
    """One unit a row, a pair of columns for each search."""
    finders = list(rows["finder"].unique())
    head = ["unit", "h(x)"]
    for finder in finders:
        head += [f"`{finder}`", "position", "gradient norm"]
    lines = []
    for unit, searches in rows.groupby("neuron"):
        line = [unit, number(searches["relevance"].iloc[0], 8)]
        for finder in finders:
            search = searches.set_index("finder").loc[finder]
            line += [
                search["status"].replace("_", " "),
                number(search["position"]),
                number(search["gradient_norm"], 5),
            ]
        lines.append(line)
    return grid(head, lines)


def input_ledger(rows: pd.DataFrame) -> str:
    """One method a row."""
    parts = ["relevance_sum", "zero_order", "unresolved", "remainder"]
    methods = rows["method"].where(rows["roots"].isna(), rows["method"] + ", " + rows["roots"])
    lines = [[f"`{row.method}`", *(_settled(getattr(row, part), row.f) for part in parts)]
             for row in rows.assign(method=methods).itertuples()]  # fmt: skip
    head = ["method", "ΣR_0", "degree 0", "unresolved", "remainder"]
    return grid(head, lines) + f"\n\nf(x) = {number(rows['f'].iloc[0], 8)}"


def named_relevance(rows: pd.DataFrame) -> str:
    """One run a row."""
    head = ["digits", "largest difference of a pixel from what was named", "largest residual"]
    lines = [[row.samples, number(row.largest_difference, 2), number(row.largest_residual, 2)]
             for row in rows.itertuples()]  # fmt: skip
    return grid(head, lines)


def strategies(rows: pd.DataFrame) -> str:
    """One search a row."""
    shares = ["root_share", "admissible_share", "admissible_same_region_share"]
    head = [
        "search", "a root", "an admissible root", "an admissible root in the anchor's region",
        "median distance", "distance / nearest, median", "evaluations",
    ]  # fmt: skip
    lines = [
        [
            f"`{row.finder}`",
            *(share(getattr(row, name)) for name in shares),
            number(row.distance_median),
            number(row.distance_ratio_median),
            number(row.evaluations),
        ]
        for row in rows.itertuples()
    ]
    return grid(head, lines)


def summed_root(rows: pd.DataFrame) -> str:
    """One rule a row: the vectors are over inputs, or over the units of the hidden layer."""
    head = ["rule", "Σh(x)", "root", "Σh there", "h there", "length of ∇h there"]
    lines = [
        [
            rule,
            number(units["relevance"].sum()),
            _vector(units.filter(like="root_").iloc[0]),
            number(units["relevance_at_root"].sum(min_count=1), 2),
            _vector(units["relevance_at_root"]),
            _vector(units["gradient_norm"]),
        ]
        for rule, units in _by_rule(rows)
    ]
    return grid(head, lines)


def same_region(rows: pd.DataFrame) -> str:
    """One rule a row: median over networks, and their range; then networks that are dead."""
    head = [
        "rule", "closed-form roots in the region", "closed-form roots with the same f",
        "median distance", "certified: a root in the region exists",
        "published protocol: inputs with another gradient",
        "the same with the exact recursion's relevance",
    ]  # fmt: skip
    lines = [
        [
            rule,
            spread(nets["same_region"]),
            spread(nets["same_output"]),
            spread(nets["distance"], number),
            spread(nets["certified"]),
            spread(nets["published"]),
            spread(nets["published_exact"]),
        ]
        for rule, nets in _by_rule(rows.dropna(subset="units"))
    ]
    return grid(head, lines) + _networks(rows)


def agreement(rows: pd.DataFrame) -> str:
    """One method a row."""
    wide = rows.set_index(["method", "quantity"])
    lines = [
        [f"`{method}`", *(_range(wide.loc[(method, name)]) for name in ("conserved", "cosine"))]
        for method in rows["method"].unique()
    ]
    return grid(["method", "ΣR_0 / f", "cosine with gradient × input"], lines) + _SPREAD


def region_size(rows: pd.DataFrame) -> str:
    """One layer a row."""
    wide = rows.set_index(["layer", "quantity"])
    lines = [
        [layer, *(_range(wide.loc[(layer, name)]) for name in ("width", "activation"))]
        for layer in rows["layer"].unique()
    ]
    return grid(["layer", "width of the box", "activation"], lines) + _SPREAD


def nested_roots(rows: pd.DataFrame) -> str:
    """One layer a row."""
    lines = [[row.layer, row.units, row.roots, row.zeros, number(row.distance)]
             for row in rows.itertuples()]  # fmt: skip
    head = ["roots in layer", "units", "with a point", "that is a root", "median distance"]
    return grid(head, lines)


def output_scaling(rows: pd.DataFrame) -> str:
    """One kind of networks a row, one c a column; all inputs of all networks together."""
    rows = rows.assign(kind=_drawn_as(rows))
    alive = rows.dropna(subset="c")
    points = sorted(alive["c"].unique())
    lines = [
        [kind, *(spread(some.loc[some["c"] == c, "ratio"], number) for c in points)]
        for kind, some in alive.groupby("kind", sort=False)
    ]
    head = ["networks", *(f"f({number(c)} x) / f(x)" for c in points)]
    return grid(head, lines) + _networks(rows, "kind")


def regions(rows: pd.DataFrame) -> str:
    """One kind of networks and reach of the map a row."""
    rows = rows.assign(kind=_drawn_as(rows) + ", ±" + rows["reach"].map(number))
    head = ["networks and map", "linear regions", "different gradients", "area without gradient",
            "largest gradient"]  # fmt: skip
    lines = [
        [kind, *(spread(nets[name], number) for name in ("regions", "gradients")),
         spread(nets["flat_area"]), spread(nets["largest_gradient"], number)]
        for kind, nets in rows.dropna(subset="regions").groupby("kind", sort=False)
    ]  # fmt: skip
    return grid(head, lines) + _networks(rows, "kind")


def _drawn_as(rows: pd.DataFrame) -> pd.Series:
    """How the networks were drawn: those without the setting as RS drew theirs."""
    return rows["init"].map(_BIASES).fillna("published scaling, biases −|b|")


def maximum(rows: pd.DataFrame) -> str:
    """One method a row, one grid a column."""
    spacings = sorted(rows["spacing"].unique(), reverse=True)
    head = ["method", *(f"score, spacing {number(gap)}" for gap in spacings),
            "largest distance from the closed form"]  # fmt: skip
    lines = [
        [f"`{method}`", *(number(some.set_index("spacing")["score"][gap]) for gap in spacings),
         number(some["error"].max(), 2)]
        for method, some in rows.groupby("method", sort=False)
    ]  # fmt: skip
    return grid(head, lines)


def constant_roots(rows: pd.DataFrame) -> str:
    """One rule and dependence a row."""
    head = ["rule", "roots", "largest difference of two units' roots",
            "error of ∇f ⊙ (x − x̃), relative", "least cosine with gradient × input"]  # fmt: skip
    lines = [
        [f"`{row.rule}`", row.roots, number(row.spread, 2), number(row.error, 2),
         number(row.least_cosine)]
        for row in rows.sort_values(["rule", "roots"]).itertuples()
    ]  # fmt: skip
    return grid(head, lines)


def rank_collapse(rows: pd.DataFrame) -> str:
    """One number of layers a row, one rule a column; how far the mean cosine is from 1."""
    alive = rows.dropna(subset="layers")
    apart = alive.assign(apart=1 - alive["mean_cosine"])
    rules = list(apart["rule"].unique())
    lines = [
        [
            number(layers),
            *(spread(some.loc[some["rule"] == rule, "apart"], _short) for rule in rules),
        ]
        for layers, some in apart.groupby("layers")
    ]
    return grid(["layers", *(f"`{rule}`" for rule in rules)], lines) + _networks(rows)


def _short(value: float) -> str:
    return number(value, 2)


_SPREAD = "\n\nMedian (10 % to 90 % quantile)."
_BIASES = {"default": "biases as drawn", "nonpositive_bias": "biases −|b|"}


def _by_rule(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each rule, by its name, and of each of its settings."""
    groups = rows.groupby(["rule", rows["gamma"].fillna(-1)])
    return [(f"`{_rule(some)}`", some) for _, some in groups]


def rule_name(rule: str, gamma: float) -> str:
    """What tables call a rule; gamma is missing or below zero where it has none."""
    return f"{rule} {number(gamma)}" if gamma >= 0 else rule


def _rule(rows: pd.DataFrame) -> str:
    return rule_name(rows["rule"].iloc[0], rows["gamma"].iloc[0])


def _networks(rows: pd.DataFrame, kind: str | None = None) -> str:
    """How many networks were measured, and which have nothing to explain."""
    parts = [("", rows)]
    if kind is not None:
        parts = [(str(name), some) for name, some in rows.groupby(kind, sort=False)]
    said = []
    for name, some in parts:
        alive = some.loc[some["status"] == "done", "seed"].nunique()
        dead = sorted(some.loc[some["status"] == "dead", "seed"].unique())
        words = f"{name}: " if name else ""
        told = f"; dead: seed {', '.join(map(str, dead))}" if dead else "; none is dead"
        said.append(f"{words}{alive} network{'s' * (alive != 1)}{told}")
    return f"\n\nMedian (smallest to largest). {'. '.join(said)}."


def _range(row: pd.Series) -> str:
    return f"{number(row['median'])} ({number(row['low'])} to {number(row['high'])})"


def _vector(values: Sequence[float] | pd.Series) -> str:
    return f"({', '.join(number(value, 3) for value in values)})"


def _settled(value: Any, f: Any) -> str:
    """A part of f; rounding counts as zero."""
    return number(0.0 if abs(value) < 1e-6 * f else value, 5)
