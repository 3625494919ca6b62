"""What the published code for RS measured: its tables, and the figure of its roots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog

import dtd
from document import grid, number, share
from dtd.regions.region import Regions
from dtd_cli.plots import legends, style
from runs import Run
from shown import rule_name

_SAME = 1e-6
"""By less than this f does not change, in the published code."""
_EDGES = np.linspace(-1.5, 1.5, 31)
_KINDS = ["hidden", "rule", "gamma"]
_ROOTS = {
    "train_free": "published protocol",
    "recursive": "the same, with the exact recursion's relevance",
    "closed_form": "closed-form roots",
}
_COLOURS = {
    "train_free": style.METHOD_COLOURS["train_free"],
    "recursive": style.METHOD_COLOURS["recursive"],
    "closed_form": style.GREEN,
}


def changes(run: Run) -> pd.DataFrame:
    """How f and its gradient change from the input to its roots, in the networks of RS.

    One row for each kind of points and each ``low`` edge of (f(x) - f(root)) / f(x), with the
    ``share`` of the points from there to ``high``; shares of other columns are of all points, and
    ``inputs`` of inputs with another gradient at a point or more.
    """
    f = run.table("inputs").set_index("sample")["f"]
    table = run.table("published_roots")
    kinds = {str(method): rows for method, rows in table.groupby("method")}
    roots = run.table("roots").query("layer == 0 and finder == 'closed_form'")
    kinds["closed_form"] = roots[roots["status"].isin(["found", "approximate"])]
    parts = []
    for kind, rows in kinds.items():
        fall = -rows["output_change"] / rows["sample"].map(f)
        inside = fall.clip(_EDGES[0], np.nextafter(_EDGES[-1], 0))
        counts, _ = np.histogram(inside, _EDGES)
        another = rows.get("another_gradient")
        parts.append(
            pd.DataFrame(
                {
                    "points": kind,
                    "count": len(rows),
                    "inputs": np.nan
                    if another is None
                    else another.groupby(rows["sample"]).any().mean(),
                    "unchanged": (rows["output_change"].abs() < _SAME).mean(),
                    "to_zero": (fall == 1).mean(),
                    "rises": (rows["output_change"] >= _SAME).mean(),
                    "low": _EDGES[:-1],
                    "high": _EDGES[1:],
                    "share": counts / len(rows),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def protocol(rows: pd.DataFrame) -> str:
    """One network and rule a row: inputs with another gradient, and points with the same f."""
    rows = rows.drop_duplicates([*_KINDS, "points"]).fillna({"gamma": -1}).sort_values(_KINDS)
    head = [
        "network", "rule", "published protocol: inputs with another gradient",
        "in the row as committed: z+", "with the exact recursion's relevance",
        "published points with the same f", "closed-form roots with the same f",
        "closed-form roots with f = 0", "published points where f is no lower",
    ]  # fmt: skip
    lines = []
    for (hidden, *_), kinds in rows.groupby(_KINDS):
        of_kind = kinds.set_index("points")
        z_plus = rows.query("hidden == @hidden and rule == 'z+' and points == 'train_free'")
        lines.append(
            [
                f"10{str(hidden)[1:-1].replace(', ', '-').join('--')}2",
                f"`{_name(kinds)}`",
                share(of_kind.loc["train_free", "inputs"]),
                share(z_plus["inputs"].iloc[0]),
                share(of_kind.loc["recursive", "inputs"]),
                share(of_kind.loc["train_free", "unchanged"]),
                share(of_kind.loc["closed_form", "unchanged"]),
                share(of_kind.loc["closed_form", "to_zero"]),
                share(of_kind.loc["train_free", ["unchanged", "rises"]].sum()),
            ]
        )
    return grid(head, lines)


def draw(rows: pd.DataFrame, path: Path) -> None:
    """The figure: by rule, how much f falls from the input to its roots."""
    rows = rows[rows["hidden"] == "[10, 10]"].fillna({"gamma": -1})
    rules = list(rows.groupby(["rule", "gamma"]))
    picture = style.figure(
        11.0,
        5.6,
        "How much f falls from the input to its roots, by rule: the published network, 1000 "
        "inputs; the first bar has all that is further left",
    )
    panels = style.panels(picture, 2, (len(rules) + 1) // 2, len(rules), "share of the points")
    for axes, (_, kinds) in zip(panels, rules, strict=True):
        style.plain(axes, f"rule {_name(kinds)}")
        for end in (0, 1):
            axes.axvline(end, color=style.FAINT, linewidth=0.8, zorder=0)
        for (kind, name), width in zip(_ROOTS.items(), style.nested(len(_ROOTS)), strict=True):
            bins = kinds[kinds["points"] == kind]
            axes.stairs(
                bins["share"], [*bins["low"], bins["high"].iloc[-1]], color=_COLOURS[kind],
                label=name, linewidth=width,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlabel("(f(x) − f(root)) / f(x)", fontsize=style.LABEL)
    for axes in panels[1:]:
        axes.sharey(panels[0])
    legends.legend_below(picture, [panels[0]], ncols=3)
    style.save(picture, path)


def _name(rows: pd.DataFrame) -> str:
    return rule_name(rows["rule"].iloc[0], rows["gamma"].iloc[0])


def proportion(run: Run) -> pd.DataFrame:
    """How far R_1(c a_1) is from c R_1(a_1): ``Σ |difference| / Σ |c R_1(a_1)|``, the median."""
    table = run.table("upper_relevance")
    table["c"] = table["c"].round(6)
    wide = table.pivot(index=["method", "sample", "c"], columns="neuron", values="relevance")
    here = wide.xs(1, level="c")
    c = wide.index.get_level_values("c").to_numpy()
    places = [key[:2] for key in wide.index]
    wanted = here.loc[places].to_numpy() * c[:, None]
    size = np.abs(wanted).sum(1)
    apart = pd.Series(np.abs(wide.to_numpy() - wanted).sum(1), wide.index) / size
    shown = apart[np.isin(c, [0.25, 0.5, 0.75, 1.25, 1.5, 2])]
    return pd.DataFrame({"distance": shown.groupby(["method", "c"]).median()}).reset_index()


def proportions(rows: pd.DataFrame) -> str:
    """One rule and method a row, one c a column."""
    wide = rows.pivot_table(
        index=["rule", "method"], columns="c", values="distance", sort=False, dropna=False
    )
    head = ["rule", "method", *(f"c = {number(c)}" for c in wide.columns)]
    lines = [[f"`{rule}`", f"`{method}`", *map(share, line)]
             for (rule, method), line in zip(wide.index, wide.to_numpy(), strict=True)]  # fmt: skip
    return grid(head, lines)


def scan(run: Run) -> pd.DataFrame:
    """Where the root of f in the hidden layer is, and what the network says at the mean root.

    The mean is that of the roots that were found in the input for the hidden units.
    """
    net = dtd.load(run.path / "network.safetensors").to(torch.float64)
    points = run.table("root_points")
    hidden = _points(points.query("layer == 1"))
    found = _points(points.query("layer == 0 and finder == 'random'"))
    first, second = net.layers
    mean = torch.as_tensor(found.mean(0, keepdims=True))
    x = torch.as_tensor(run.features().to_numpy())
    columns = {
        "root": hidden[0],
        "activation": first(x)[0].numpy(),
        "mean": first(mean)[0].numpy(),
    }
    numbers = {
        f"{name}_{unit}": value
        for name, values in columns.items()
        for unit, value in enumerate(values)
    }
    there = second.preactivation(torch.as_tensor(hidden[:1]))
    return pd.DataFrame(
        {
            **{name: [value] for name, value in numbers.items()},
            "units": len(found),
            "f": net.forward(x).item(),
            "z_root": there.item(),
            "f_mean": net.forward(mean).item(),
        }
    )


def scanned(rows: pd.DataFrame) -> str:
    """One γ a row."""
    head = [
        "γ", "root of f in the hidden layer", "z there", "units with a root in the input",
        "hidden layer at the mean of these", "f there",
    ]  # fmt: skip
    lines = [
        [
            number(row["gamma"], 7),
            _vector(row, "root"),
            number(row["z_root"], 2),
            int(row["units"]),
            _vector(row, "mean"),
            number(row["f_mean"]),
        ]
        for _, row in rows.sort_values("gamma").iterrows()
    ]
    first = rows.iloc[0]
    told = f"f(x) = {number(first['f'])}, hidden layer {_vector(first, 'activation')}"
    return f"{grid(head, lines)}\n\n{told}"


def chains(run: Run) -> pd.DataFrame:
    """The boxes of chains in the regions of the inputs, and of the regions themselves.

    A region counts as far as chains may go: within the domain and their radius. Its box comes from
    linear programs.
    """
    net = dtd.load(run.path / "network.safetensors")
    x = torch.as_tensor(run.features().to_numpy())
    regions = Regions(net.to(x.dtype), 0, 1, torch.arange(net.widths[1]))
    box = run.table("region_size").query("layer == 0")
    low, high = (box.pivot(index="sample", columns="neuron", values=end) for end in ("low", "high"))
    cells = [_box(regions, a, run.setting("input_roots.radius")) for a in x]
    whole = np.array([high - low for low, high in cells])
    width = (high - low).to_numpy()
    return pd.DataFrame(
        {
            "sample": np.repeat(np.arange(len(x)), x.shape[1]),
            "width": width.ravel(),
            "whole": whole.ravel(),
            "covered": (width / whole).ravel(),
        }
    )


def covered(rows: pd.DataFrame) -> str:
    """One search a row: medians, and 10 % to 90 % quantiles."""
    head = ["chains", "width of their box", "width of the region's box", "share"]

    def told(values: pd.Series) -> str:
        low, middle, high = (values.quantile(q) for q in (0.1, 0.5, 0.9))
        return f"{number(middle)} ({number(low)} to {number(high)})"

    lines = [
        [f"`{search}`", *(told(some[name]) for name in ("width", "whole", "covered"))]
        for search, some in rows.groupby("search", sort=False)
    ]
    return grid(head, lines) + "\n\nMedian (10 % to 90 % quantile)."


def _box(
    regions: Regions, a: torch.Tensor, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of the region of ``a`` (d,) along each input, within the cube of its chains."""
    polytope = regions.polytope(a.unsqueeze(0))
    reach = radius * a.abs().max().item()
    bounds = [(max(0.0, one - reach), one + reach) for one in a.tolist()]
    ends = [
        [
            linprog(
                sign * unit,
                -polytope.normals[0].numpy(),
                polytope.offsets[0].numpy(),
                bounds=bounds,
            ).x
            @ unit
            for unit in np.eye(len(a))
        ]
        for sign in (1, -1)
    ]
    return np.array(ends[0]), np.array(ends[1])


def _points(table: pd.DataFrame) -> NDArray[np.float64]:
    """The roots (units, d) of a table of coordinates."""
    return table.pivot(index="neuron", columns="index", values="value").to_numpy(copy=True)


def _vector(row: pd.Series, name: str) -> str:
    return f"({', '.join(number(value, 3) for value in row.filter(like=f'{name}_'))})"
