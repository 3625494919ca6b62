"""What a training is: how it splits the rows, and from a network to a trained one."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field

import numpy as np
from pydantic.dataclasses import dataclass

from dtd.networks.network import Network
from dtd_cli.inputs.source import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Which rows of a data set are trained on, decide when training stops, and are held out."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def whole(cls, rows: int) -> Split:
        """No row is held out."""
        nothing = np.arange(0)
        return cls(np.arange(rows), nothing, nothing)

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The parts by their names."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def candidates(self) -> np.ndarray:
        """The rows that are explained: those held out, or all where there are none."""
        return self.test if len(self.test) else np.concatenate([self.validation, self.train])


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A network after training: ``figures`` go into the run's summary, ``notes`` into its log."""

    network: Network
    figures: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training(ABC):
    """The settings of a training, and the training itself."""

    @abstractmethod
    def output_size(self, labels: np.ndarray | None) -> int:
        """How many outputs a network for these labels has, unless its settings say it."""

    @abstractmethod
    def classes(self, labels: np.ndarray | None, outputs: int) -> Sequence[object]:
        """The label that each output stands for, of a single output its two sides, below zero and
        above; empty where the labels are no classes of these outputs."""

    @abstractmethod
    def split(self, rows: int, seed: int) -> Split:
        """What is done with each row of a data set.

        Raises:
            SettingError: there are too few rows.
        """

    @abstractmethod
    def __call__(
        self, network: Network, source: Source, split: Split, seed: int, progress: bool
    ) -> Trained:
        """The trained network; the one that is given is not changed.

        Raises:
            SettingError: one cannot train on these inputs.
        """
