"""The input's relevance in runs that explain the same samples of the same network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dtd_cli.plots.tables import Sample, Tables, named
from dtd_cli.report import settings
from dtd_cli.report.study import Study

Entry = tuple[str, str]
"""Method and configuration."""


@dataclass(frozen=True)
class Explanations:
    """Explanations of the same samples, which ``inputs`` lists with their features.

    ``relevance`` (samples, features) by method and configuration; NaN where there is none.
    """

    run: int
    inputs: Tables
    relevance: dict[Entry, NDArray[np.float64]]

    @property
    def samples(self) -> list[Sample]:
        """The samples, in the order of the rows."""
        return self.inputs.explained


def problems(study: Study) -> list[list[int]]:
    """The counted runs, those together that explain the same samples of the same network.

    Runs with different seeds are never together, even where the seed is that of a search alone.
    """
    seeds = [name for name in study.differing if settings.is_seed(name)]
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, results in study.counted.items():
        drawn = [settings.value(study.runs[number].settings, name) for name in seeds]
        groups.setdefault((results.problem, *drawn), []).append(number)
    return list(groups.values())


def read_explanations(study: Study, runs: list[int]) -> Explanations:
    """The relevance of the input in runs of one problem."""
    paths = [study.runs[number].path for number in runs]
    inputs = Tables(inputs=pd.read_csv(paths[0] / "inputs.csv"))
    samples = [sample.number for sample in inputs.explained]
    relevance = {}
    for number, path in zip(runs, paths, strict=True):
        for method, values in _input_relevance(path, samples, len(inputs.features)).items():
            relevance[method, study.label(number)] = values
    return Explanations(runs[0], inputs, relevance)


def _input_relevance(
    path: Path, samples: list[int], features: int
) -> dict[str, NDArray[np.float64]]:
    """By method; where a run tells degrees apart, their sum."""
    table = named(pd.read_csv(path / "relevance.csv"))
    table = table[table["layer"] == 0]
    wide = table.groupby(["method", "sample", "neuron"], sort=False)["relevance"].sum().unstack()
    wide = wide.reindex(columns=range(features))
    return {
        method: wide.xs(method, level="method").reindex(samples).to_numpy()
        for method in table["method"].unique()
    }
