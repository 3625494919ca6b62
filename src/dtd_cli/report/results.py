"""What a finished run found: its figures, and whether its files are whole."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import Field

from dtd.columns import LEDGER
from dtd_cli.config.composed import leaves
from dtd_cli.records.columns import INPUTS
from dtd_cli.records.documents import read_json
from dtd_cli.records.limits import IN_DOUBT, adds_up, of_samples
from dtd_cli.records.methods import named
from dtd_cli.records.reading import UnreadableError, is_file, read_bytes
from dtd_cli.records.table_reading import read_table

_ROOTED = ("found", "approximate")

Figure = tuple[str, str, int | None, str, float]
"""method, finder, layer, quantity, value; the first three empty where they do not apply."""


CONTINUITY, FLIPPED_LOW, FLIPPED_MEAN = "continuity", "flipped_to_low", "flipped_to_mean"


class Score(NamedTuple):
    """What a method scores in a measurement that was made besides."""

    method: str
    quantity: str
    """``CONTINUITY``, ``FLIPPED_LOW`` or ``FLIPPED_MEAN``."""
    value: float


class Doubt(NamedTuple):
    """A sample whose relevance one-sided limits leave in doubt."""

    method: str
    sample: int
    limits: str
    """``unsettled`` or ``unbounded``."""
    layers: tuple[int, ...]


_Name = Annotated[str, Field(max_length=100)]


@dataclass(frozen=True)
class _Roots:
    status: dict[_Name, int]
    admissible_share: float | None = None
    same_region_share: float | None = None


_Finders = Annotated[dict[_Name, _Roots], Field(max_length=60)]


@dataclass(frozen=True)
class _Summary:
    """``summary.json``, as far as a report computes with it."""

    network: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=1000)]
    training: dict[_Name, float]
    f_mean: float
    roots_by_layer: dict[Annotated[str, Field(pattern=r"^\d{1,3}$")], _Finders]
    taylor_roots: _Finders = field(default_factory=dict)
    # Runs of earlier versions have none.
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Environment:
    durations: dict[_Name, float]


@dataclass(frozen=True)
class Results:
    """A finished run on one page.

    ``columns`` are those of its ``relevance.csv``; runs with the same ``problem`` explain the same
    samples of the same network; ``explaining`` are the seconds of its ``duration`` that explaining
    took; ``summary`` is ``summary.json`` by dotted name; ``scores`` are what was measured besides;
    ``doubts`` are the samples whose relevance may be wrong, or does not exist; ``warnings`` are the
    run's own.
    """

    columns: tuple[str, ...]
    problem: str
    duration: float
    explaining: float
    summary: Mapping[str, Any]
    figures: Sequence[Figure]
    scores: Sequence[Score]
    doubts: Sequence[Doubt]
    warnings: Sequence[str]


def read_results(path: Path) -> Results:
    """The results in the folder of a finished run.

    Raises:
        UnreadableError: a file is missing, cut off, or not what it should be.
    """
    inputs, relevance, layers = (
        read_table(path / f"{name}.csv") for name in ("inputs", "relevance", "layers")
    )
    summary = read_json(path / "summary.json", _Summary)
    _check_whole(inputs, relevance, layers, depth=len(summary.network) - 1)
    all_figures = read_json(path / "summary.json", dict[str, Any])
    f = inputs[inputs["status"] == "explained"].set_index("sample")["f"]
    durations = read_json(path / "environment.json", _Environment).durations
    return Results(
        columns=tuple(relevance.columns),
        # f(x) to the last digit tells networks apart.
        problem=hashlib.sha256(read_bytes(path / "inputs.csv")).hexdigest(),
        duration=sum(durations.values()),
        explaining=durations.get("explain", math.nan),
        summary={
            name: value for name, value in leaves(all_figures) if value != {} and name != "warnings"
        },
        figures=[*_run_figures(summary), *_ledger_figures(layers, f), *_root_figures(summary)],
        scores=list(_scores(path)),
        doubts=list(_doubts(named(layers))),
        warnings=summary.warnings,
    )


def _check_whole(
    inputs: pd.DataFrame, relevance: pd.DataFrame, layers: pd.DataFrame, depth: int
) -> None:
    """Refuse tables that are not of the same samples, or were cut off between two rows.

    Raises:
        UnreadableError: with the table.
    """
    explained = inputs.loc[inputs["status"] == "explained", "sample"]
    for name, table in (("relevance.csv", relevance), ("layers.csv", layers)):
        if table.empty or not table["sample"].isin(explained).all():
            raise UnreadableError(f"{name}: it is not of the samples in inputs.csv")
        if table["layer"].max() > depth:
            raise UnreadableError(f"{name}: the network has no such layer")
    rows = named(relevance).groupby(["method", "sample"], sort=False).size()
    if rows.groupby(level="method").nunique().max() != 1:
        raise UnreadableError("relevance.csv: some samples have fewer rows than others")
    features = inputs.shape[1] - len(INPUTS)
    of_input = relevance[relevance["layer"] == 0]
    rows = named(of_input).groupby(["method", "sample"], sort=False).size()
    if (rows % features).any() or of_input["neuron"].max() >= features:
        raise UnreadableError("relevance.csv: it is not of the features in inputs.csv")


def _run_figures(summary: _Summary) -> Iterator[Figure]:
    yield "", "", None, "f_mean", summary.f_mean
    for name, value in summary.training.items():
        yield "", "", None, name, value


def _doubts(layers: pd.DataFrame) -> Iterator[Doubt]:
    states = of_samples(layers)
    rows = states[states["limits"].isin(IN_DOUBT)]
    for _, group in rows.groupby(["method", "sample", "limits"], sort=False):
        first, places = group.iloc[0], tuple(sorted(group["layer"].tolist()))
        yield Doubt(first["method"], int(first["sample"]), first["limits"], places)


def _scores(path: Path) -> Iterator[Score]:
    """Those that are there, and finite."""
    tables = {name: path / f"{name}.csv" for name in ("continuity", "faithfulness")}
    read = {name: named(read_table(file)) for name, file in tables.items() if is_file(file)}
    listed: list[Score] = []
    if "continuity" in read:
        scores = read["continuity"].set_index("method")["score"]
        listed += [Score(str(method), CONTINUITY, value) for method, value in scores.items()]
    if "faithfulness" in read:
        areas = read["faithfulness"].groupby(["baseline", "method"], sort=False)["area"].mean()
        for baseline, quantity in (("low", FLIPPED_LOW), ("mean", FLIPPED_MEAN)):
            if baseline in areas.index.get_level_values("baseline"):
                listed += [Score(str(m), quantity, area) for m, area in areas.loc[baseline].items()]
    return (score for score in listed if math.isfinite(score.value))


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


def _root_figures(summary: _Summary) -> Iterator[Figure]:
    """Of the units that have something to decompose, the share with a root; what these are like."""
    for layer, finders in summary.roots_by_layer.items():
        yield from _search_figures("", int(layer), finders)
    yield from _search_figures("simple_taylor", 0, summary.taylor_roots)


def _search_figures(method: str, layer: int, finders: Mapping[str, _Roots]) -> Iterator[Figure]:
    for finder, roots in finders.items():
        active = sum(roots.status.values()) - roots.status.get("inactive", 0)
        if active:
            rooted = sum(roots.status.get(name, 0) for name in _ROOTED)
            yield method, finder, layer, "root_share", rooted / active
        for name in ("admissible_share", "same_region_share"):
            share = getattr(roots, name)
            if share is not None:
                yield method, finder, layer, name, share
