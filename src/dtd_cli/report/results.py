"""What a finished run found: its figures, and whether its files are whole."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dtd.columns import LEDGER
from dtd_cli.config.composed import leaves
from dtd_cli.plots.tables import read_table
from dtd_cli.records.limits import IN_DOUBT, adds_up, of_samples
from dtd_cli.records.methods import named
from dtd_cli.report.run import one_line

RELEVANCE_KEYS = ("method", "sample", "layer", "neuron")
_ROOTED = ("found", "approximate")

Figure = tuple[str, str, int | None, str, float]
"""method, finder, layer, quantity, value; the first three empty where they do not apply."""


class Doubt(NamedTuple):
    """A sample whose relevance one-sided limits leave in doubt."""

    method: str
    sample: int
    limits: str
    """``unsettled`` or ``unbounded``."""
    layers: tuple[int, ...]


class BrokenRunError(Exception):
    """A run says that it is done, and a file of it cannot be used; the message is one line."""


@dataclass(frozen=True)
class Results:
    """A finished run on one page.

    ``columns`` are those of its ``relevance.csv``; runs with the same ``problem`` explain the same
    samples of the same network; ``explaining`` are the seconds of its ``duration`` that explaining
    took; ``summary`` is ``summary.json`` by dotted name; ``doubts`` are the samples whose relevance
    may be wrong, or does not exist; ``warnings`` are the run's own.
    """

    columns: tuple[str, ...]
    problem: str
    duration: float
    explaining: float
    summary: Mapping[str, Any]
    figures: Sequence[Figure]
    doubts: Sequence[Doubt]
    warnings: Sequence[str]


def read_results(path: Path) -> Results:
    """The results in the folder of a finished run.

    Raises:
        BrokenRunError: a file is missing, cut off, or not what it should be.
    """
    inputs = read_checked(path, "inputs.csv", ("sample", "status", "f"))
    f = inputs[inputs["status"] == "explained"].set_index("sample")["f"]
    relevance = read_checked(path, "relevance.csv", (*RELEVANCE_KEYS, "relevance"))
    _check_whole(relevance)
    layers = read_checked(path, "layers.csv", ("method", "sample", "layer", *LEDGER))
    summary, environment = (_json(path, f"{name}.json") for name in ("summary", "environment"))
    try:
        return Results(
            columns=tuple(relevance.columns),
            # f(x) to the last digit tells networks apart.
            problem=hashlib.sha256((path / "inputs.csv").read_bytes()).hexdigest(),
            duration=sum(environment["durations"].values()),
            explaining=environment["durations"].get("explain", math.nan),
            summary={
                name: value for name, value in leaves(summary) if value != {} and name != "warnings"
            },
            figures=[*_run_figures(summary), *_ledger_figures(layers, f), *_root_figures(summary)],
            doubts=list(_doubts(named(layers))),
            # Runs of earlier versions have none.
            warnings=[str(text) for text in summary.get("warnings", [])],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BrokenRunError(f"its figures: {type(error).__name__}: {one_line(error)}") from error


def read_checked(path: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """A table of a run, checked to be whole and to have ``columns``; all but words are numbers.

    Raises:
        BrokenRunError: it is not.
    """
    try:
        table = read_table(path / name)
    except (OSError, ValueError) as error:
        raise BrokenRunError(f"{name}: {one_line(error)}") from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise BrokenRunError(f"{name}: no column {', '.join(absent)}")
    for column in columns:
        if column not in ("method", "status") and not pd.api.types.is_numeric_dtype(table[column]):
            raise BrokenRunError(f"{name}: {column} holds what is no number")
    return table


def _check_whole(relevance: pd.DataFrame) -> None:
    """Of each method all samples have as many rows: a file may be cut off between two rows."""
    rows = named(relevance).groupby(["method", "sample"], sort=False).size()
    if rows.groupby(level="method").nunique().max() != 1:
        raise BrokenRunError("relevance.csv: some samples have fewer rows than others")


def _json(path: Path, name: str) -> Any:
    try:
        return json.loads((path / name).read_text())
    except (OSError, ValueError) as error:
        raise BrokenRunError(f"{name}: {one_line(error)}") from error


def _run_figures(summary: Mapping[str, Any]) -> Iterator[Figure]:
    yield "", "", None, "f_mean", summary["f_mean"]
    for name, value in summary["training"].items():
        yield "", "", None, name, value


def _doubts(layers: pd.DataFrame) -> Iterator[Doubt]:
    states = of_samples(layers)
    rows = states[states["limits"].isin(IN_DOUBT)]
    for _, group in rows.groupby(["method", "sample", "limits"], sort=False):
        first, places = group.iloc[0], tuple(sorted(group["layer"].tolist()))
        yield Doubt(first["method"], int(first["sample"]), first["limits"], places)


def _ledger_figures(layers: pd.DataFrame, f: pd.Series) -> Iterator[Figure]:
    """The mean over the samples of each entry's share of f, and the median of ΣR / f.

    Samples whose entries are not finite are left out, and their share is a figure of its own.
    """
    layers = named(layers)
    finite = adds_up(layers)
    if "degree" in layers:
        degree = ", degree " + layers["degree"].astype(str)
        layers = layers.assign(method=layers["method"] + degree)
    shares = layers[list(LEDGER)].div(layers["sample"].map(f), axis=0).where(finite)
    by_layer = shares.groupby([layers["method"], layers["layer"]], sort=False)
    figures = by_layer.mean().add_suffix("_share")
    figures["relevance_sum_share_median"] = by_layer["relevance_sum"].median()
    figures["left_out_share"] = (~finite).groupby([layers["method"], layers["layer"]]).mean()
    for (method, layer), row in zip(figures.index, figures.to_numpy(), strict=True):
        for name, value in zip(figures, row.tolist(), strict=True):
            yield method, "", int(layer), str(name), value


def _root_figures(summary: Mapping[str, Any]) -> Iterator[Figure]:
    """Of the units that have something to decompose, the share with a root; what these are like."""
    for layer, finders in summary["roots_by_layer"].items():
        yield from _search_figures("", int(layer), finders)
    yield from _search_figures("simple_taylor", 0, summary.get("taylor_roots", {}))


def _search_figures(method: str, layer: int, finders: Mapping[str, Any]) -> Iterator[Figure]:
    for finder, figures in finders.items():
        status = figures["status"]
        active = sum(status.values()) - status.get("inactive", 0)
        if active:
            rooted = sum(status.get(name, 0) for name in _ROOTED)
            yield method, finder, layer, "root_share", rooted / active
        for name, value in figures.items():
            if name not in ("status", "limit"):
                yield method, finder, layer, name, value
