"""``training=none``: the network as it was drawn or read."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic.dataclasses import dataclass

from dtd.networks.network import Network
from dtd_cli.inputs.source import Source
from dtd_cli.training.training import Trained, Training


@dataclass(frozen=True)
class NoTraining(Training):
    """No training: the network stays as it is, and every row of the data may be explained."""

    def output_size(self, labels: np.ndarray | None) -> int:
        # Nothing is trained on them, so some may be missing.
        return 1 if labels is None else pd.Series(labels).nunique()

    def __call__(self, network: Network, source: Source, seed: int, progress: bool) -> Trained:
        return Trained(network, source.rows, labels=source.labels)
