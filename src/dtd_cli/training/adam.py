"""``training=adam``: minibatch training with Adam."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Count, OneOf, Positive
from dtd_cli.inputs.source import Source
from dtd_cli.run.progress import bars
from dtd_cli.training.losses import LOSSES, Loss
from dtd_cli.training.training import Trained, Training


@dataclass(frozen=True)
class Adam(Training):
    """Adam on the last layer's pre-activations, in float32 whatever the dtype of the run.

    With ``nonpositive_biases`` every bias is clamped to <= 0 after each update, as the theory
    needs: the origin is then a root of every unit (DTD, on networks of one layer). The share
    ``test_fraction`` of the rows is held out, measured and explained. If it is 0, all rows are
    trained on and explained.
    """

    loss: Annotated[str, OneOf(LOSSES)]
    epochs: Count
    learning_rate: Positive
    batch_size: Count
    test_fraction: Annotated[float, Field(ge=0, lt=1)]
    nonpositive_biases: bool

    def output_size(self, labels: np.ndarray | None) -> int:
        return LOSSES[self.loss].output_size(self._wanted(labels))

    def __call__(self, network: Network, source: Source, seed: int, progress: bool) -> Trained:
        labels = self._wanted(source.labels)
        assert source.rows is not None, "labels belong to rows"
        loss = LOSSES[self.loss]
        targets = loss.targets(labels, network.widths[-1])
        train, test = self._split(len(targets), seed)
        free = network.to(torch.float32).with_output_relu(False)
        rows = source.rows.float()
        free = self._fit(free, loss, rows[train], targets[train], seed, progress)
        if not all(layer.is_finite for layer in free.layers):
            raise SettingError(
                "training.learning_rate", self.learning_rate, "training diverged; try a smaller one"
            )
        figures = {
            f"{part}_{name}": value
            for part, index in (("train", train), ("test", test))
            if len(index)
            for name, value in loss.figures(free.forward(rows[index]), targets[index]).items()
        }
        network = free.with_output_relu(network.layers[-1].relu)
        explained = test if len(test) else train
        return Trained(network, source.rows[explained], figures, labels[explained])

    def _wanted(self, labels: np.ndarray | None) -> np.ndarray:
        if labels is None:
            raise SettingError(
                "training",
                "adam",
                "these inputs have no labels; allowed are inputs=digits, inputs=csv with "
                "inputs.label, or training=none",
            )
        missing = np.flatnonzero(pd.isna(labels))
        if len(missing):
            raise SettingError(
                "training",
                "adam",
                f"data row {missing[0] + 1} has no label; allowed is a label for every row, or "
                "training=none",
            )
        return labels

    def _split(self, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        held_out = math.ceil(self.test_fraction * size)
        if held_out >= size:
            raise SettingError(
                "training.test_fraction",
                self.test_fraction,
                f"of {size} rows it leaves none to train on; allowed is a smaller fraction",
            )
        order = np.random.default_rng(seed).permutation(size)
        return order[held_out:], order[:held_out]

    def _fit(
        self, network: Network, loss: Loss, rows: Tensor, targets: Tensor, seed: int, progress: bool
    ) -> Network:
        network = network.to(network.dtype)
        learning = [layer.parameters for layer in network.layers if layer.learns]
        biases, weights = ([named[kind] for named in learning] for kind in ("bias", "weight"))
        if self.nonpositive_biases:
            for bias in biases:
                bias.clamp_(max=0)
        for parameter in (*biases, *weights):
            parameter.requires_grad_()
        for bias, weight in zip(biases, weights, strict=True):
            bias.register_hook(partial(_by_channel, len(weight)))
        optimizer = torch.optim.Adam([*biases, *weights], lr=self.learning_rate)
        generator = torch.Generator().manual_seed(seed)
        for _ in bars(progress)(range(self.epochs), "training"):
            for batch in torch.randperm(len(rows), generator=generator).split(self.batch_size):
                optimizer.zero_grad()
                with torch.enable_grad():
                    loss.value(network.forward(rows[batch]), targets[batch]).backward()
                optimizer.step()
                if self.nonpositive_biases:
                    with torch.no_grad():
                        for bias in biases:
                            bias.clamp_(max=0)
        return network.detached()


def _by_channel(channels: int, gradient: Tensor) -> Tensor:
    """The gradient (J,) of biases of which all in one channel are the same parameter."""
    places = gradient.view(channels, -1)
    return places.sum(1, keepdim=True).expand_as(places).flatten()
