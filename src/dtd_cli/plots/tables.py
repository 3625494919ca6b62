"""The tables of a run, as the pictures read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dtd_cli.plots import style
from dtd_cli.plots.sample import Sample
from dtd_cli.plots.style import Vector
from dtd_cli.records.columns import INPUTS
from dtd_cli.records.limits import IN_DOUBT, UNBOUNDED, UNSETTLED, is_finite, of_samples
from dtd_cli.records.methods import named
from dtd_cli.records.table_reading import read_table

_TEXTS = ("class", "label", "row", "predicted")
_NUMBERED = {f"{name}.1": name for name in INPUTS}


@dataclass(frozen=True)
class Tables:
    """The CSV files of one run; ``None`` where the run has no such file."""

    relevance: pd.DataFrame | None = None
    layers: pd.DataFrame | None = None
    roots: pd.DataFrame | None = None
    root_points: pd.DataFrame | None = None
    inputs: pd.DataFrame | None = None
    search_lines: pd.DataFrame | None = None
    search_roots: pd.DataFrame | None = None
    regions: pd.DataFrame | None = None
    strategies: pd.DataFrame | None = None
    interactions: pd.DataFrame | None = None
    flows: pd.DataFrame | None = None
    root_tree: pd.DataFrame | None = None
    agreement: pd.DataFrame | None = None
    continuity: pd.DataFrame | None = None
    output_scaling: pd.DataFrame | None = None
    published_roots: pd.DataFrame | None = None
    rank_collapse: pd.DataFrame | None = None
    region_size: pd.DataFrame | None = None
    nested_roots: pd.DataFrame | None = None
    summed_root: pd.DataFrame | None = None
    upper_relevance: pd.DataFrame | None = None
    images: pd.DataFrame | None = None

    @classmethod
    def read(cls, folder: Path, *names: str) -> Tables:
        """The tables of these names that ``folder`` holds; without names all of them."""
        wanted = names or [field.name for field in fields(cls)]
        paths = {name: folder / f"{name}.csv" for name in wanted}
        read = {name: read_table(path) for name, path in paths.items() if path.exists()}
        return cls(**{name: named(table) for name, table in read.items()})

    @cached_property
    def colours(self) -> dict[str, str]:
        """The colour of each method and root search, the same in all pictures of the run.

        A method with a further root search has the colour of that search.
        """
        names: dict[str, str] = {}
        for field in fields(self):
            table = getattr(self, field.name)
            if table is None or field.name == "inputs":  # a feature may be called method
                continue
            if "finder" in table:
                names |= {str(finder): str(finder) for finder in table["finder"].unique()}
            if "method" in table:
                label = table["roots"].fillna("") if "roots" in table else ""
                pairs = table[["method"]].assign(label=label).drop_duplicates()
                names |= {str(method): str(of or method) for method, of in pairs.to_numpy()}
        return style.colours(names)

    def of(self, samples: Sequence[int] | None, methods: Sequence[str] | None) -> Tables:
        """The rows of these samples and methods alone; ``None`` is all.

        A method includes its further root searches.
        """
        return Tables(
            **{f.name: _of(getattr(self, f.name), samples, methods) for f in fields(self)}
        )

    @property
    def features(self) -> list[str]:
        """The names of the input's features, in the order of the input's units."""
        if self.inputs is None:
            return []
        names = map(str, self.inputs.columns[len(INPUTS) :])
        # Pandas has numbered a feature that is called as one of the other columns.
        return [_NUMBERED.get(name, name) for name in names]

    @property
    def explained(self) -> list[Sample]:
        """The samples that were explained, in the order of their rows."""
        if not has_rows(self.inputs):
            return []
        rows = self.inputs[self.inputs["status"] == "explained"]
        columns = (rows[name] for name in ("sample", "output", "f", *_TEXTS))
        return [
            Sample(int(number), str(output), float(f), *map(str, texts))
            for number, output, f, *texts in zip(*columns, strict=True)
        ]

    def title(self, sample: int) -> str:
        """What headings call a sample: its number, and its row and class if there are such."""
        named = (one for one in self.explained if one.number == sample)
        return next(
            (", ".join([*s.names, *(s.outcome if s.name else [])]) for s in named),
            f"sample {sample}",
        )

    @property
    def methods(self) -> list[str]:
        """The methods that distributed relevance, in the order of the run."""
        if not has_rows(self.relevance):
            return []
        return [str(method) for method in self.relevance["method"].unique()]

    @cached_property
    def _doubts(self) -> dict[tuple[str, int, int], str]:
        """``unsettled`` or ``unbounded``, by method, sample and layer."""
        if not has_rows(self.layers):
            return {}
        states = of_samples(self.layers)
        states = states[states["limits"].isin(IN_DOUBT)]
        columns = (states[name] for name in ("method", "sample", "layer", "limits"))
        return {
            (str(method), int(sample), int(layer)): str(state)
            for method, sample, layer, state in zip(*columns, strict=True)
        }

    def doubt(self, method: str, sample: int, layer: int) -> str:
        """Why the relevance of a layer is in doubt: ``unsettled``, ``unbounded``, or empty.

        An unsettled limit may be wrong. Where one is unbounded, no finite relevance exists.
        """
        return self._doubts.get((method, sample, layer), "")

    def may_be_wrong(self, methods: Sequence[str], layer: int) -> bool:
        """Whether a limit of a sample is unsettled there."""
        return any(
            method in methods and at == layer and state == UNSETTLED
            for (method, _, at), state in self._doubts.items()
        )

    def endless_samples(self, layer: int) -> set[int]:
        """The samples that have no finite relevance there, by one method or another."""
        return {
            sample
            for (_, sample, at), state in self._doubts.items()
            if at == layer and state == UNBOUNDED
        }

    @property
    def finite_relevance(self) -> pd.DataFrame | None:
        """``relevance.csv`` without the rows of samples and layers that have no finite one."""
        if not has_rows(self.relevance) or not has_rows(self.layers):
            return self.relevance
        return self.relevance[is_finite(self.relevance, self.layers)]

    @property
    def left_out(self) -> str:
        """What headings say of statistics from which some samples are left out."""
        infinite = {key[1] for key, state in self._doubts.items() if state == UNBOUNDED}
        return f", without {len(infinite)} where unbounded" if infinite else ""

    def values(self, sample: int) -> Vector:
        """The features of one sample."""
        if self.inputs is None:
            return np.empty(0)
        row = self.inputs[self.inputs["sample"] == sample].iloc[0, len(INPUTS) :]
        return np.asarray(row, dtype=np.float64)

    def input_relevance(self) -> dict[tuple[str, int], Vector]:
        """The finite relevance of the input's units, by method and sample."""
        return self.of_layer(0, len(self.features))

    def input_stderr(self) -> dict[tuple[str, int], Vector]:
        """The standard errors of these relevances; NaN where no sampled paths estimate them."""
        return self.of_layer(0, len(self.features), "stderr")

    def of_layer(
        self, layer: int, units: int, column: str = "relevance"
    ) -> dict[tuple[str, int], Vector]:
        """The finite relevance of a layer's units, by method and sample, or what a column says."""
        relevance = self.finite_relevance
        if not has_rows(relevance) or column not in relevance:
            return {}
        rows = relevance[relevance["layer"] == layer]
        # With a series every degree has a row.
        sums = rows.groupby(["method", "sample", "neuron"], sort=False)[column].sum(min_count=1)
        wide = sums.unstack("neuron")
        wide = wide.reindex(columns=range(units))
        methods, samples = (wide.index.get_level_values(name) for name in ("method", "sample"))
        values = wide.to_numpy(dtype=np.float64)
        return {
            (str(method), int(sample)): row
            for method, sample, row in zip(methods, samples, values, strict=True)
        }


def _of(
    table: pd.DataFrame | None, samples: Sequence[int] | None, methods: Sequence[str] | None
) -> pd.DataFrame | None:
    if table is None:
        return None
    # A feature may be called sample, but never in the first column.
    if samples is not None and "sample" in table:
        table = table[table["sample"].isin(list(samples))]
    if methods is not None and "method" in table:
        own = table["method"].astype(str).str.partition(", ")[0]
        table = table[own.isin(list(methods))]
    return table


def has_rows(table: pd.DataFrame | None) -> TypeGuard[pd.DataFrame]:
    """Whether the run wrote this table and put something in it."""
    return table is not None and len(table) > 0


def is_recursive(table: pd.DataFrame) -> pd.Series:
    """Which rows are of the recursion, also of one with a further root search."""
    further = table["roots"].notna() if "roots" in table else False
    return (table["method"] == "recursive") | further


_LAYER = ["method", "sample", "layer"]


def whole_ledger(layers: pd.DataFrame) -> pd.DataFrame:
    """One row for each method, sample and layer, also where every degree of a series has one."""
    if "degree" not in layers:
        return layers
    keys = ["method", "roots", "sample", "layer"] if "roots" in layers else _LAYER
    rows = layers.groupby(keys, sort=False, dropna=False)
    summed = rows[["relevance_sum", "zero_order", "unresolved"]].sum()
    return summed.assign(
        upper_sum=rows["upper_sum"].first(), remainder=rows["remainder"].last()
    ).reset_index()


def by_index(indices: ArrayLike, values: ArrayLike, size: int) -> Vector:
    """A vector of ``size`` with ``values`` at ``indices`` and NaN where the table has no row."""
    vector = np.full(size, np.nan)
    vector[np.asarray(indices, dtype=np.intp)] = np.asarray(values, dtype=np.float64)
    return vector
