"""Finished runs as the measures read them: their configuration and their tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from dtd_cli.records.columns import INPUTS

_NOTHING_TO_EXPLAIN = ("inputs.threshold=", "explain.output=")
"""How the refusal of a network begins whose output is (almost) never positive."""


class NoResult(Exception):
    """A run, an experiment or a table did not come to its end; what is said names it."""


@dataclass(frozen=True)
class Run:
    """The folder of one run of dtd-run."""

    path: Path

    @cached_property
    def config(self) -> DictConfig:
        """The composed configuration."""
        config = OmegaConf.load(self.path / ".hydra" / "config.yaml")
        assert isinstance(config, DictConfig)
        return config

    def setting(self, key: str) -> Any:
        """A value of the configuration, such as ``rule.name``; missing where it has none.

        A list is its text.
        """
        value = OmegaConf.select(self.config, key)
        if OmegaConf.is_list(value):
            return str(list(value))
        return np.nan if value is None else value

    def table(self, name: str) -> pd.DataFrame:
        """One of the run's CSV files, by its name without the ending."""
        return pd.read_csv(self.path / f"{name}.csv")

    @cached_property
    def figures(self) -> dict[str, Any]:
        """What is in ``summary.json``."""
        figures: dict[str, Any] = json.loads((self.path / "summary.json").read_text())
        return figures

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return (self.path / "DONE").exists()

    @property
    def dead(self) -> bool:
        """Whether the run was refused because the network has nothing to explain."""
        return self.failure.startswith(_NOTHING_TO_EXPLAIN)

    @property
    def failure(self) -> str:
        """Why the run has no result; empty if nobody wrote it down."""
        failed = self.path / "FAILED"
        return failed.read_text() if failed.exists() else ""

    def features(self) -> pd.DataFrame:
        """The explained inputs: a row a sample, a column a feature."""
        inputs = self.table("inputs")
        inputs = inputs[inputs["status"] == "explained"].set_index("sample")
        return inputs.iloc[:, len(INPUTS) - 1 :]

    def relevance(self, method: str) -> NDArray[np.float64]:
        """R_0 by a method, (samples, features)."""
        rows = self.table("relevance").query("layer == 0 and method == @method")
        # With a series each degree has a row.
        wide = rows.pivot_table(index="sample", columns="neuron", values="relevance", aggfunc="sum")
        return wide.to_numpy()


def runs(folder: Path) -> Iterator[Run]:
    """The runs in a folder and below it, dead ones too.

    Raises:
        NoResult: one of them has no result for another reason.
    """
    paths = sorted(path.parent.parent for path in folder.rglob(".hydra/config.yaml"))
    for run in map(Run, paths):
        if not run.done and not run.dead:
            raise NoResult(f"{run.path} has no result. {run.failure}".rstrip())
        yield run
