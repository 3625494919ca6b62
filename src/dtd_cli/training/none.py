"""``training=none``: the network as it was drawn or read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.networks.network import Network
from dtd_cli.inputs.labels import distinct, why_no_classes
from dtd_cli.inputs.source import Source
from dtd_cli.training.losses import CrossEntropy, MeanSquaredError
from dtd_cli.training.training import Split, Trained, Training

_TOGETHER = 1000
"""Rows that go through the network together."""


@dataclass(frozen=True)
class NoTraining(Training):
    """No training: the network stays as it is, and every row of the data may be explained.

    How well it names the labels, or meets the numbers that they are, is measured on all rows.
    """

    def output_size(self, labels: np.ndarray | None) -> int:
        # Nothing is trained on them, so some may be missing.
        return 1 if labels is None or why_no_classes(labels) else len(distinct(labels))

    def classes(self, labels: np.ndarray | None, outputs: int) -> Sequence[object]:
        """Whole numbers count outputs. Other labels have as many values as there are classes, and
        their order is the alphabet's."""
        if labels is None or why_no_classes(labels):
            return ()
        values, count = distinct(labels), max(outputs, 2)
        if np.issubdtype(values.dtype, np.number) and values.min() >= 0 and values.max() < count:
            return range(count)
        return values.tolist() if len(values) == count else ()

    def split(self, rows: int, seed: int) -> Split:
        return Split.whole(rows)

    def __call__(
        self, network: Network, source: Source, split: Split, seed: int, progress: bool
    ) -> Trained:
        if source.labels is None or source.rows is None:
            return Trained(network)
        known = ~pd.isna(source.labels)
        rows, labels = source.rows[torch.from_numpy(known)], source.labels[known]
        free = network.with_output_relu(False)
        parts = [free.forward(part.to(network.dtype)) for part in rows.split(_TOGETHER)]
        figures = self._figures(network, torch.cat(parts), labels) if len(labels) else {}
        return Trained(network, {f"data_{name}": value for name, value in figures.items()})

    def _figures(self, network: Network, z: Tensor, labels: np.ndarray) -> dict[str, float]:
        """How far the outputs ``z`` (N, K), without a ReLU, are from the labels (N,)."""
        outputs = z.shape[1]
        classes = np.array(self.classes(labels, outputs))
        if len(classes):
            # A single output tells two classes by its sign.
            each = z if outputs > 1 else torch.cat([torch.zeros_like(z), z], 1)
            targets = torch.from_numpy(np.searchsorted(classes, labels.astype(classes.dtype)))
            return CrossEntropy().figures(each, targets)
        if outputs > 1 or not np.issubdtype(labels.dtype, np.number):
            return {}
        f = z.relu() if network.layers[-1].relu else z
        figures = MeanSquaredError().figures(f, torch.from_numpy(labels).to(f).unsqueeze(1))
        return {name: value for name, value in figures.items() if math.isfinite(value)}
