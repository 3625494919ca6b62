"""The input's relevance in runs that explain the same samples of the same network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtd_cli.plots.sample import Sample
from dtd_cli.plots.tables import Tables
from dtd_cli.report import settings
from dtd_cli.report.study import Study

Entry = tuple[str, str]
"""Method and configuration."""


@dataclass(frozen=True)
class Explanations:
    """Explanations of the same samples, which ``inputs`` lists with their features.

    ``relevance`` (samples, features) by method and configuration; NaN where there is none that is
    finite. ``doubts`` say for each sample why it is in doubt, see :meth:`Tables.doubt`.
    """

    run: int
    inputs: Tables
    relevance: dict[Entry, NDArray[np.float64]]
    doubts: dict[Entry, list[str]]

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
    inputs = Tables.read(study.runs[runs[0]].path, "inputs")
    samples = [sample.number for sample in inputs.explained]
    relevance, doubts = {}, {}
    for number in runs:
        tables = Tables.read(study.runs[number].path, "inputs", "relevance", "layers")
        for method, values in _of_samples(tables, samples).items():
            entry = method, study.labels[number]
            relevance[entry] = values
            doubts[entry] = [tables.doubt(method, sample, 0) for sample in samples]
    return Explanations(runs[0], inputs, relevance, doubts)


def _of_samples(tables: Tables, samples: list[int]) -> dict[str, NDArray[np.float64]]:
    """The relevance of the input of some samples, by method; NaN where there is no finite one."""
    relevance, nothing = tables.input_relevance(), np.full(len(tables.features), np.nan)
    return {
        method: np.stack([relevance.get((method, sample), nothing) for sample in samples])
        for method in tables.methods
    }
