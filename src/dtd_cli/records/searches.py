"""What root searches saw: their lines, their Markov chains, their solvers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtd.explainer.explained import Explained
from dtd.explainer.frames import in_order, names, numbers
from dtd.explainer.root_frames import searches, unit_keys
from dtd.roots.contract import Outcome, Status

CHAIN_COLUMNS = ("accepted", "effective_sample_size", "scale")


def search_lines_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``search_lines.csv``: a unit's relevance along the line on which its root was searched."""
    tables = []
    for part, layer, roots in searches(parts):
        if roots.scan is not None:
            keys = pd.DataFrame(unit_keys(part, layer, roots))
            steps = roots.scan.positions.shape[-1]
            table = keys.loc[keys.index.repeat(steps)].reset_index(drop=True)
            table["position"] = numbers(roots.scan.positions).ravel()
            table["relevance"] = numbers(roots.scan.relevance).ravel()
            tables.append(table)
    return in_order(tables, ["sample", "layer", "neuron"])


def search_roots_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``search_roots.csv``: where on its line the search of a unit ended."""
    tables = []
    for part, layer, roots in searches(parts):
        if roots.scan is not None:
            table = pd.DataFrame(unit_keys(part, layer, roots))
            table["status"] = names(roots.status, Status)
            positions = pd.Series(numbers(roots.scan.roots).ravel())
            table["position"] = positions.where(numbers(roots.rooted).ravel())
            tables.append(table)
    return in_order(tables, ["sample", "layer", "neuron"])


def chains_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``chains.csv``: one Markov chain a row."""
    tables = []
    for part, layer, roots in searches(parts):
        if roots.chains is not None:
            samples, count = roots.chains.accepted.shape
            table = pd.DataFrame(
                {
                    "method": part.method,
                    "sample": np.repeat(numbers(part.samples), count),
                    "layer": layer,
                    "finder": roots.finder,
                    "chain": np.tile(np.arange(count), samples),
                }
                | {name: numbers(getattr(roots.chains, name)).ravel() for name in CHAIN_COLUMNS}
            )
            table["steps"], table["warmup"] = roots.chains.steps, roots.chains.warmup
            tables.append(table)
    return in_order(tables, ["sample", "layer"])


def solutions_table(parts: Sequence[Explained]) -> pd.DataFrame:
    """``solutions.csv``: what a solver says of its root, one program a row."""
    tables = []
    for part, layer, roots in searches(parts):
        if roots.solution is not None:
            table = pd.DataFrame(unit_keys(part, layer, roots))
            table["outcome"] = names(roots.solution.outcome, Outcome)
            for name in ("objective", "bound", "gap"):
                table[name] = numbers(getattr(roots.solution, name)).ravel()
            tables.append(table)
    return in_order(tables, ["sample", "layer", "neuron"])
