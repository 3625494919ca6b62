"""What the tables of the README show, measured in one run's CSV files."""

from __future__ import annotations

import numpy as np
import pandas as pd

from runs import Run

_SAME = 1e-9
"""A relative change of f below this is rounding."""
_SCALES = [0, 0.25, 0.5, 0.75]
_QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}


def notebook_roots(run: Run) -> pd.DataFrame:
    """Where each search of layer 0 ended for each unit."""
    places = run.table("search_roots").query("layer == 0")
    keys = ["method", "sample", "layer", "neuron", "finder"]
    roots = run.table("roots").set_index(keys)[["relevance", "gradient_norm"]]
    return places.join(roots, on=keys)[
        ["finder", "neuron", "relevance", "status", "position", "gradient_norm"]
    ]


def input_ledger(run: Run) -> pd.DataFrame:
    """What each method makes of f in layer 0, for the first sample."""
    columns = ["method", "roots", "relevance_sum", "zero_order", "unresolved", "remainder"]
    layers = run.table("layers").query("layer == 0 and sample == 0")
    layers = layers.reindex(columns=columns)
    return layers.assign(f=run.table("inputs")["f"].iloc[0])


def named_relevance(run: Run) -> pd.DataFrame:
    """How far the exact recursion is from the relevance that was named, and from roots."""
    error = np.abs(run.relevance("recursive") - run.relevance("target")).max()
    roots = run.table("roots").query("finder == 'prescribed'")
    residual = roots["residual"].abs().max()
    samples = run.table("inputs")["status"].eq("explained").sum()
    return pd.DataFrame(
        {"samples": [samples], "largest_difference": [error], "largest_residual": [residual]}
    )


def strategies(run: Run) -> pd.DataFrame:
    """The root searches of the input layer side by side."""
    return run.table("strategies").query("layer == 0").drop(columns="layer")


def summed_root(run: Run) -> pd.DataFrame:
    """The root of the summed relevance of layer 1, and by unit its relevance and gradient there."""
    table = run.table("summed_root")
    roots = table.pivot(index="neuron", columns="index", values="root")
    size = table["gradient"].pow(2).groupby(table["neuron"]).sum(min_count=1).pow(0.5)
    units = table.drop_duplicates("neuron").set_index("neuron")
    rows = units[["relevance", "relevance_at_root"]].assign(gradient_norm=size)
    return rows.join(roots.rename(columns=lambda i: f"root_{i + 1}")).reset_index()


def same_region(run: Run) -> pd.DataFrame:
    """Shares of the roots of active units in layer 0, and the published protocol beside them.

    Of the protocol it is the share of inputs with another gradient at a point or more, with the
    train-free relevance as published, and with that of the exact recursion.

    An active unit has a positive pre-activation, so the rule has a root for it.
    """
    roots = run.table("roots").query("layer == 0")
    pointed = roots["status"].isin(["found", "approximate"])
    closed = roots[pointed & (roots["finder"] == "closed_form")]
    f = run.table("inputs").set_index("sample")["f"]
    unchanged = closed["output_change"].abs() <= _SAME * closed["sample"].map(f)
    active = closed.set_index(["sample", "neuron"]).index
    nearest = roots[roots["finder"] == "polytope"].set_index(["sample", "neuron"]).loc[active]
    published = run.table("published_roots").groupby(["method", "sample"])["another_gradient"].any()
    shares = published.groupby("method").mean()
    return pd.DataFrame(
        {
            "units": [len(closed)],
            "same_region": [closed["same_region"].astype(bool).mean()],
            "same_output": [unchanged.mean()],
            "distance": [closed["distance"].median()],
            "certified": [nearest["status"].eq("found").mean()],
            "published": [shares["train_free"]],
            "published_exact": [shares["recursive"]],
        }
    )


def agreement(run: Run) -> pd.DataFrame:
    """Conserved share of f and cosine with gradient × input, by method."""
    table = run.table("agreement")
    parts = [
        _quantiles(rows[column].dropna(), {"method": method, "quantity": column})
        for method, rows in table.groupby("method", sort=False)
        for column in ("conserved", "cosine")
    ]
    return pd.DataFrame(parts)


def region_size(run: Run) -> pd.DataFrame:
    """Widths of the boxes around the linear regions, and the activations, by layer."""
    table = run.table("region_size").assign(width=lambda t: t["high"] - t["low"])
    parts = [
        _quantiles(rows[column], {"layer": layer, "quantity": column})
        for layer, rows in table.groupby("layer")
        for column in ("width", "activation")
    ]
    return pd.DataFrame(parts)


def nested_roots(run: Run) -> pd.DataFrame:
    """How many units of the tree of nested roots have a point, and a root, by layer."""
    table = run.table("nested_roots")
    is_root = table["status"] == "found"
    pointed = is_root | (table["status"] == "approximate")
    layers = table["layer"]
    counts = {
        "units": layers.groupby(layers).size(),
        "roots": pointed.groupby(layers).sum(),
        "zeros": is_root.groupby(layers).sum(),
        "distance": table["distance"].groupby(layers).median(),
    }
    return pd.DataFrame(counts).reset_index()


def output_scaling(run: Run) -> pd.DataFrame:
    """f(c x) / f(x) of every sample for some c."""
    table = run.table("output_scaling")
    # c is a multiple of a hundredth, up to rounding.
    return table[table["c"].round(6).isin(_SCALES)]


def regions(run: Run) -> pd.DataFrame:
    """How many linear regions the map has, and how much of it has no gradient."""
    cells = run.table("regions").groupby("region")
    area = pd.Series({region: _area(cell) for region, cell in cells})
    slope = cells[["gradient_i", "gradient_k"]].first()
    flat = (slope == 0).all(axis=1)
    return pd.DataFrame(
        {
            "regions": [len(area)],
            "gradients": [len(slope.round(9).drop_duplicates())],
            "flat_area": [area[flat].sum() / area.sum()],
            "largest_gradient": [np.hypot(slope["gradient_i"], slope["gradient_k"]).max()],
        }
    )


def maximum(run: Run) -> pd.DataFrame:
    """For every method its continuity score, and its distance from DTD's closed form.

    For x1 >= x2 that is (x1 - x2/2, x2/2).
    """
    x = run.features().to_numpy()
    wanted = x - x.min(1, keepdims=True) / 2
    table = run.table("continuity")[["method", "score"]]
    error = [np.abs(run.relevance(method) - wanted).max() for method in table["method"]]
    return table.assign(spacing=1 / (run.setting("inputs.points") - 1), error=error)


def constant_roots(run: Run) -> pd.DataFrame:
    """R_0 against ∇f ⊙ (x - x̃) with the root of unit 0, which is every unit's where it is shared.

    Gradient × input is divided by x, which is positive here.
    """
    x = run.features()
    slope = run.relevance("gradient_x_input") / x.to_numpy()
    points = run.table("root_points").query("layer == 0 and finder == 'closed_form'")
    wide = points.pivot(index=["sample", "neuron"], columns="index", values="value")
    spread = wide.groupby("sample").agg(np.ptp).to_numpy().max()
    root = wide.groupby("sample").first().reindex(x.index).to_numpy()
    relevance = run.relevance("recursive")
    error = np.abs(relevance - slope * (x.to_numpy() - root)).max() / np.abs(relevance).max()
    cosine = run.table("agreement").query("method == 'recursive'")["cosine"].min()
    return pd.DataFrame({"spread": [spread], "error": [error], "least_cosine": [cosine]})


def rank_collapse(run: Run) -> pd.DataFrame:
    """The mean cosine of the columns after so many layers, over samples."""
    return run.table("rank_collapse").groupby("layers")["mean_cosine"].mean().reset_index()


def conservation(run: Run) -> pd.DataFrame:
    """The share of f that each layer holds, by method: the median over samples.

    Beside it, of the exact recursion, how alike its R_0 is to that of the train-free pass: the
    median cosine, and the median of ``Σ |difference| / Σ |train-free|``.
    """
    f = run.table("inputs").set_index("sample")["f"]
    layers = run.table("layers").groupby(["method", "layer", "sample"])["relevance_sum"].sum()
    rows = layers.reset_index()
    rows["conserved"] = rows["relevance_sum"] / rows["sample"].map(f)
    rows = rows.groupby(["method", "layer"])[["conserved"]].median().reset_index()
    rows["below_output"] = rows["layer"].max() + 1 - rows["layer"]
    exact, free = run.relevance("recursive"), run.relevance("train_free")
    size = np.linalg.norm(exact, axis=1) * np.linalg.norm(free, axis=1)
    alike = (exact * free).sum(1)[size > 0] / size[size > 0]
    difference = np.abs(exact - free).sum(1) / np.abs(free).sum(1)
    return rows.assign(
        cosine=np.median(alike) if len(alike) else np.nan, difference=np.median(difference)
    )


def _quantiles(values: pd.Series, keys: dict[str, object]) -> dict[str, object]:
    return {**keys, **{name: values.quantile(q) for name, q in _QUANTILES.items()}}


def _area(cell: pd.DataFrame) -> float:
    x, y = cell["x_i"].to_numpy(), cell["x_k"].to_numpy()
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)
