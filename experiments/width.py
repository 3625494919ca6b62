"""LRP and its theory by the width of the network: what each run has, the tables, the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

import dtd
from document import grid, number, share
from dtd.explainer.output import Output
from dtd.regions.gates import closed_passage, passage
from dtd.relevance.recursion import Recursion
from dtd.rules import RULES
from dtd_cli.plots import legends, style, wording
from runs import Run

_MOST = 64
"""Roots that are looked at in each layer of a sample, drawn among those of active units."""


def by_layer(run: Run) -> pd.DataFrame:
    """One layer below the output a row: what the exact recursion keeps, and where its roots are.

    ``kept`` is the median of ΣR_l / f over samples, ``stderr`` that of its standard errors.
    ``cosine`` and ``difference`` compare the R_l with the train-free one, medians again: the
    difference is ``Σ |difference| / Σ |train-free|``, and ``noise`` is what the standard errors
    alone would make of it. For the roots in the layer, of units of the layer above: ``step`` is the
    median t, ``same_region`` the share in the region of their anchors, and ``gates`` the mean share
    of the units above whose gates differ from the anchor's.
    """
    accuracy = run.figures["training"].get("test_accuracy", np.nan)
    return relevances(run).merge(steps(run), on="layer").assign(accuracy=accuracy)


def relevances(run: Run) -> pd.DataFrame:
    """What is kept in each layer, and how like it is to the train-free relevance."""
    f = run.table("inputs").set_index("sample")["f"]
    table = run.table("relevance").query("layer < layer.max()").fillna({"stderr": 0})
    wide = table.pivot(
        index=["layer", "sample", "neuron"], columns="method", values=["relevance", "stderr"]
    )
    exact, free = wide["relevance", "recursive"], wide["relevance", "train_free"]
    sums = pd.DataFrame(
        {
            "dot": exact * free,
            "exact": exact**2,
            "free": free**2,
            "gap": (exact - free).abs(),
            "size": free.abs(),
            # The mean of the absolute value of a normal error.
            "noise": wide["stderr", "recursive"] * np.sqrt(2 / np.pi),
        }
    )
    sums = sums.groupby(["layer", "sample"]).sum().reset_index()
    layers = run.table("layers").query("method == 'recursive'")
    sums = sums.merge(layers[["layer", "sample", "relevance_sum", "relevance_sum_stderr"]])
    sums["f"] = sums["sample"].map(f)
    # Nothing has no direction.
    sums["exact"] = sums["exact"].where(sums["exact"] > 0)
    return (
        pd.DataFrame(
            {
                "layer": sums["layer"],
                "kept": sums["relevance_sum"] / sums["f"],
                "stderr": sums["relevance_sum_stderr"] / sums["f"],
                "cosine": sums["dot"] / np.sqrt(sums["exact"] * sums["free"]),
                "difference": sums["gap"] / sums["size"],
                "noise": sums["noise"] / sums["size"],
            }
        )
        .groupby("layer")
        .median()
        .reset_index()
    )


class _Roots(NamedTuple):
    """Of some roots in one layer for one sample, all (n,)."""

    step: Tensor
    same_region: Tensor
    gates: Tensor


def steps(run: Run) -> pd.DataFrame:
    """How far the roots of each layer are, and what of the region changes on the way."""
    found: dict[int, list[_Roots]] = {}
    for layer, roots in _roots(run):
        found.setdefault(layer, []).append(roots)
    rows = []
    for layer, parts in found.items():
        step, same, changed = (torch.cat(column) for column in zip(*parts, strict=True))
        rows.append((layer, float(step.median()), float(same.mean()), float(changed.mean())))
    return pd.DataFrame(rows, columns=["layer", "step", "same_region", "gates"])


def _roots(run: Run) -> Iterator[tuple[int, _Roots]]:
    """Roots of each layer and sample."""
    settings = {"gamma": run.setting("rule.gamma")} if run.setting("rule.name") == "gamma" else {}
    rule = RULES[run.setting("rule.name")](**settings)
    explainer = dtd.DTD(dtd.load(run.path / "network.safetensors"), rule=rule)
    explained = run.table("inputs")
    explained = explained[explained["status"] == "explained"]
    generator = np.random.default_rng(0)
    for output, x in zip(explained["output"], run.features().to_numpy(), strict=True):
        point = torch.from_numpy(x).unsqueeze(0)
        recursion = explainer.recursion(Output(int(output)), point)
        for l, a in enumerate(recursion.explained.activations(point)[:-1]):
            yield l, _looked_at(recursion, l, a, generator)


def _looked_at(recursion: Recursion, l: int, a: Tensor, generator: np.random.Generator) -> _Roots:
    """Some roots in layer ``l`` of the sample with the activations ``a`` (1, d) there."""
    forward = recursion.slopes.forward
    assert forward is not None
    layer = forward.layers[l]
    step = layer.units(a, torch.zeros_like(a[:, 0])).step.squeeze(0)
    active = np.flatnonzero(step)
    unit = torch.from_numpy(generator.permutation(active)[:_MOST])
    anchors = a.expand(len(unit), -1)
    points = layer.roots(anchors, step[unit], unit)
    # All outputs count, as in roots.csv; the unit's own gate does not.
    network = recursion.network
    own = torch.tensor([recursion.output]).expand(len(unit)) if l + 1 == network.depth else unit
    at_anchor = passage(network, l, anchors)
    there = closed_passage(network, l, points, at_anchor)
    other = [one != two for one, two in zip(at_anchor.gates, there.gates, strict=True)]
    other[0][torch.arange(len(unit)), own] = False
    changed = torch.cat([gate.flatten(1) for gate in other], 1).double()
    return _Roots(step[unit], (changed.sum(1) == 0).double(), changed.mean(1))


_FITTED_FROM = 32
"""Exponents are fitted to networks with hidden layers of so many units and more."""
_RESAMPLED = 1000
_DEEP = {"mlp": 1, "cnn": 2}
"""The lowest layer whose roots are those of units with a fan-in that grows, by ``network.name``."""


def by_width(rows: pd.DataFrame) -> str:
    """One width a row, the means of networks; in the last row the exponents of the width."""
    rows = _named(rows)
    by_layer = dict(list(rows.groupby("layer")))
    columns = {
        "R_1": (1, "kept", share),
        "R_0": (0, "kept", share),
        "± in R_0": (0, "stderr", share),
        "1 − cosine, R_0": (0, "apart", _short),
        "difference, R_1": (1, "difference", share),
        "difference, R_0": (0, "difference", share),
        "of it noise": (0, "noise", share),
        "step, layer 0": (0, "step", _short),
        "step, layer 1": (1, "step", _short),
        "step, layer 2": (2, "step", _short),
        "in the region": (1, "same_region", share),
        "other gates": (1, "gates", share),
    }
    means = {
        head: by_layer[layer].groupby("width")[column].mean()
        for head, (layer, column, _) in columns.items()
    }
    accuracy = by_layer[0].groupby("width")["accuracy"].mean()
    lines = [
        [width, share(accuracy[width])]
        + [show(means[head].get(width)) for head, (_, _, show) in columns.items()]
        for width in accuracy.index
    ]
    # Of shares that tend to one there is none, and the errors are set by the number of paths.
    none = ("kept", "stderr", "noise")
    fits = [
        "" if column in none else _power(exponent(by_layer[layer], column))
        for layer, column, _ in columns.values()
    ]
    return grid(["units a layer", "accuracy", *columns], [*lines, ["exponent", "", *fits]])


def by_setting(rows: pd.DataFrame) -> str:
    """One kind of networks and rule a row: from the narrowest to the widest, and exponents."""
    lines = []
    for (label, rule, hidden), some in _named(rows).groupby(["label", "rule", "depth"], sort=False):
        first, deep = some[some["layer"] == 0], some[some["layer"] == some["deep"]]
        widths = some["width"]
        widest = first[first["width"] == widths.max()]
        lines.append(
            [label, f"`{rule}`", hidden, f"{widths.min()} to {widths.max()}",
             _ends(first, "kept", share), share(widest["stderr"].mean()),
             _fitted(first, "apart", _short),
             _fitted(first, "difference", share), _fitted(deep, "difference", share),
             _fitted(deep, "step", _short), _ends(deep, "same_region", share),
             _fitted(deep, "gates", share)]
        )  # fmt: skip
    head = ["networks", "rule", "hidden layers", "width", "R_0", "± in the widest",
            "1 − cosine, R_0", "difference, R_0", "difference, layer of the step", "step",
            "in the region", "other gates"]  # fmt: skip
    return grid(head, lines)


def exponent(rows: pd.DataFrame, column: str) -> tuple[float, float]:
    """The exponent of the width in a column, and its standard error; NaN without two widths.

    Least squares on logarithms, over all networks whose layers are wide enough. The error is that
    of a bootstrap: networks are drawn again among those of their width.
    """
    used = rows[(rows["width"] >= rows["fitted_from"]) & (rows[column] > 0)]
    if used["width"].nunique() < 2:
        return np.nan, np.nan
    x, y = np.log(used["width"].to_numpy()), np.log(used[column].to_numpy())
    by_width = np.argsort(x, kind="stable")
    _, first, sizes = np.unique(x[by_width], return_index=True, return_counts=True)
    among = np.repeat(sizes, sizes)
    drawn = np.random.default_rng(0).integers(among, size=(_RESAMPLED, len(x)))
    again = by_width[np.repeat(first, sizes) + drawn]
    # Networks of one width take each other's places, so that all fits have the same widths.
    slopes = np.polyfit(x[again[0]], y[again].T, 1)[0]
    return float(np.polyfit(x, y, 1)[0]), float(np.std(slopes, ddof=1))


def draw(digits: pd.DataFrame, others: pd.DataFrame, path: Path) -> None:
    """The figure: what is kept, how like it is, and where the roots are, by width."""
    rows = pd.concat([_named(digits), _named(others)])
    networks = rows.groupby(["label", "rule", "depth", "width"])["seed"].nunique()
    heading = (
        f"LRP and its theory by the width of the network: means of {networks.min()} to "
        f"{networks.max()} networks, and their range as a bar, lines a little aside; z+ and 2 "
        "hidden layers where nothing else is said"
    )
    picture = style.figure(9.6, 9.4, heading)
    panels = picture.subplots(3, 2)
    for axes, (title, layer, column) in zip(panels.flat, _PANELS, strict=True):
        style.plain(axes, title)
        axes.set_xscale("log", base=2)
        axes.set_xticks([2, 8, 32, 128, 512, 2048], ["2", "8", "32", "128", "512", "2048"])
        if column != "kept":
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(_short_number if column in _NUMBERS else _percent)
        asides = 2 ** np.linspace(-_ASIDE, _ASIDE, len(_LINES))
        for ((label, rule, depth), look), aside in zip(_LINES.items(), asides, strict=True):
            some = rows[
                (rows["label"] == label) & (rows["rule"] == rule) & (rows["depth"] == depth)
            ]
            at = some["deep"] if layer == "deep" else layer
            if some.empty:
                continue
            _line(axes, some[some["layer"] == at], column, look, (label, rule, depth), aside)
    for axes in panels.flat[1:]:
        points = np.concatenate([line.get_ydata() for line in axes.lines])
        points = points[points > 0]
        axes.set_ylim(points.min() / 1.6, points.max() * 1.6)
    kept, _, _, steps, *_ = panels.flat
    hidden = rows[(rows["label"] == "digits") & (rows["rule"] == "z+") & (rows["depth"] == 2)]
    means = hidden[hidden["layer"] == 1].groupby("width")["kept"].mean()
    kept.plot(
        means.index, means, color=style.BLUE, linewidth=1, linestyle="--", label="digits, ΣR_1 / f"
    )
    kept.axhline(1, color=style.GRAY, linewidth=4, zorder=1, label="train-free (LRP)")
    kept.set_ylim(-0.05, 1.1)
    widths = np.array([8, 1024])
    steps.plot(
        widths, _PREDICTED * widths**-0.5, color=style.INK, linewidth=1, linestyle=":",
        label="derived: 2.76 / √width",
    )  # fmt: skip
    for axes in panels[-1]:
        axes.set_xlabel("units of a hidden layer, or channels", fontsize=style.LABEL)
    legends.legend_below(picture, panels.flat, ncols=4)
    style.save(picture, path)


_PREDICTED = 4 / np.sqrt(3) * 0.6745 * np.sqrt(np.pi)
"""The median step in a layer of a random network, times the root of its fan-in (theory, 10.1)."""
_PANELS = (
    ("ΣR_0 / f", 0, "kept"),
    ("1 − cosine of R_0, exact and train-free", 0, "apart"),
    ("Σ |difference| / Σ |train-free|, R_0", 0, "difference"),
    ("step t to roots in layer 1, median", "deep", "step"),
    ("roots in layer 1 in their anchor's region", "deep", "same_region"),
    ("gates above that differ at these roots", "deep", "gates"),
)
_ASIDE = 0.2
"""How far lines stand from the widths, in powers of two: their ranges stand side by side."""
_NUMBERS = ("apart", "step")
"""What is no share."""
_DRAWN, _NEGATIVE = "untrained, b as drawn", "untrained, −|b|"
_LINES = {
    ("digits", "z+", 2): (style.BLUE, "o-"),
    ("digits, slowly", "z+", 2): (style.SKY, "s-"),
    ("digits", "z+", 3): (style.PURPLE, "v--"),
    ("digits", "z+", 4): (style.PURPLE, "^-"),
    ("MNIST", "z+", 2): (style.GREEN, "D-"),
    ("MNIST, convolutions", "z+", 3): (style.DARK, "P-"),
    ("digits", "gamma 0.25", 2): (style.VERMILLION, "X-"),
    (_NEGATIVE, "z+", 2): (style.ORANGE, "p-"),
    (_NEGATIVE, "x", 2): (style.GRAY, "*-"),
}
"""The colour of each kind of networks, and its marker and stroke."""


def _line(
    axes: Axes,
    rows: pd.DataFrame,
    column: str,
    look: tuple[str, str],
    key: tuple[str, str, int],
    aside: float,
) -> None:
    (label, rule, depth), (colour, stroke) = key, look
    networks = rows.groupby("width")[column]
    low, middle, high = networks.min(), networks.mean(), networks.max()
    if axes.get_yscale() == "log":
        # Zero has no place there: the band ends where the panel does.
        low = low.clip(lower=middle[middle > 0].min() / 100)
    # Bands of as many networks would hide each other.
    axes.vlines(middle.index * aside, low, high, color=colour, alpha=0.5, linewidth=1.6)
    name = ", ".join([label, *[rule] * (rule != "z+"), *[f"{depth} hidden layers"] * (depth > 2)])
    axes.plot(
        middle.index * aside,
        middle,
        stroke,
        color=colour,
        linewidth=1.3,
        markersize=3.6,
        label=name,
    )


def _percent(value: float, _: int) -> str:
    return f"{wording.number(100 * value)} %"


def _short_number(value: float, _: int) -> str:
    return wording.number(value)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that are done, with what they are called, their width and their hidden layers."""
    done = rows[rows["status"] == "done"]
    hidden = done["hidden"].str.extract(r"(\d+)")[0]
    channels = done["channels"].map(str).str.extract(r"(\d+)\D*$")[0]
    # These have two convolutions, whose channels are the width.
    convolutional = done["network"] == "cnn"
    label = done["data"].map({"digits": "digits", "mnist": "MNIST"})
    label = label.mask(convolutional, "MNIST, convolutions")
    label = label.mask(done["learning_rate"] < 1e-3, "digits, slowly")
    label = label.mask(done["clamped"].map(str) == "False", "digits, b as trained")
    drawn = done["init"].map({"default": _DRAWN, "nonpositive_bias": _NEGATIVE})
    gamma = done["gamma"].map(number)
    return done.assign(
        label=label.mask(done["training"] == "none", drawn),
        rule=done["rule"] + (" " + gamma).where(gamma != "", ""),
        width=channels.where(convolutional, hidden).astype(int),
        depth=done["hidden"].str.count(",") + 1 + np.where(convolutional, 2, 0),
        deep=done["network"].map(_DEEP),
        fitted_from=np.where(convolutional, 0, _FITTED_FROM),
        apart=1 - done["cosine"],
    )


def _ends(rows: pd.DataFrame, column: str, show: Callable[[Any], str]) -> str:
    """The means of the narrowest and the widest networks."""
    means = rows.groupby("width")[column].mean()
    return f"{show(means.iloc[0])} → {show(means.iloc[-1])}"


def _fitted(rows: pd.DataFrame, column: str, show: Callable[[Any], str]) -> str:
    """The same, and the exponent of the width."""
    power = _power(exponent(rows, column))
    return _ends(rows, column, show) + (f"; {power}" if power else "")


def _power(fit: tuple[float, float]) -> str:
    value, error = fit
    return "" if np.isnan(value) else f"{value:.2f} ± {error:.2f}".replace("-", "−")


def _short(value: Any) -> str:
    return number(value, 2)
