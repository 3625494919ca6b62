"""``training=none``: the network as it was drawn or read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic.dataclasses import dataclass

from dtd.networks.network import Network
from dtd_cli.inputs.labels import distinct, why_no_classes
from dtd_cli.inputs.source import Source
from dtd_cli.training.training import Split, Trained, Training


@dataclass(frozen=True)
class NoTraining(Training):
    """No training: the network stays as it is, and every row of the data may be explained."""

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
        return Trained(network)
