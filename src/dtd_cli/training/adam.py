"""``training=adam``: minibatch training with Adam, which a validation part ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.optim.adam import adam

from dtd.networks.matrices.dense import DENSE
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Count, OneOf, Positive
from dtd_cli.inputs.source import Source
from dtd_cli.networks.digest import digest, digest_of
from dtd_cli.run.progress import bars
from dtd_cli.training.last import Last
from dtd_cli.training.losses import LOSSES, Loss
from dtd_cli.training.training import Split, Trained, Training

Fraction = Annotated[float, Field(ge=0, lt=1)]

_BELOW_ZERO = -1e-3
"""The largest bias in networks with convolutions."""
DECAYS: dict[str, Callable[[float], float]] = {
    "none": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
"""What is left of the learning rate after a share of all epochs."""


@dataclass(frozen=True)
class Adam(Training):
    """Adam on the last layer's pre-activations, in float32 whatever the dtype of the run.

    The share ``test_fraction`` of the rows is held out, measured and explained. If it is 0, all
    rows are explained. Of the others the share ``validation_fraction`` decides when training ends:
    once its loss has not fallen for ``patience`` epochs, and after ``epochs`` at the latest. The
    network with its least loss is kept. If the share is 0, all epochs are made. With
    ``decay=cosine`` the learning rate falls to zero in ``epochs``.

    With ``nonpositive_biases`` every bias is clamped to <= 0 after each update, as the theory
    needs: the origin is then a root of every unit (DTD, on networks of one layer). Such a network
    cannot hold the mean of numbers that it learns (``loss=mse``, one output). It learns by how much
    they are above their mean in the rows that it is trained on. In networks with convolutions
    biases are clamped to <= -0.001: where they are zero, relevances at the roots of whole layers
    are one-sided limits, and sampled paths that meet these take hours.
    """

    loss: Annotated[str, OneOf(LOSSES)]
    epochs: Count
    patience: Count
    learning_rate: Positive
    decay: Annotated[str, OneOf(DECAYS)]
    batch_size: Count
    test_fraction: Fraction
    validation_fraction: Fraction
    nonpositive_biases: bool

    def output_size(self, labels: np.ndarray | None) -> int:
        return LOSSES[self.loss].output_size(self._wanted(labels))

    def classes(self, labels: np.ndarray | None, outputs: int) -> Sequence[object]:
        return list(LOSSES[self.loss].classes(self._wanted(labels), outputs))

    def split(self, rows: int, seed: int) -> Split:
        held_out = math.ceil(self.test_fraction * rows)
        validation = math.ceil(self.validation_fraction * (rows - held_out))
        if held_out + validation >= rows:
            name = "test_fraction" if held_out >= rows else "validation_fraction"
            raise SettingError(
                f"training.{name}",
                getattr(self, name),
                f"of {rows} rows it leaves none to train on; allowed is a smaller fraction",
            )
        order = np.random.default_rng(seed).permutation(rows)
        return Split(
            order[held_out + validation :],
            order[held_out : held_out + validation],
            order[:held_out],
        )

    def __call__(
        self, network: Network, source: Source, split: Split, seed: int, progress: bool
    ) -> Trained:
        labels = self._wanted(source.labels)
        assert source.rows is not None, "labels belong to rows"
        source.check_range(
            torch.float32,
            "training computes in it; allowed are smaller numbers, such as those of "
            "inputs.standardize=true, or training=none",
        )
        loss = LOSSES[self.loss]
        rows, targets = source.rows.float(), loss.targets(labels, network.widths[-1])
        units = loss.units(targets[split.train])
        # What the biases cannot hold is no part of the targets.
        left_out = units.mean if self.nonpositive_biases else 0.0
        shift = units.mean - left_out
        free = network.to(torch.float32).with_output_relu(False)
        free = _outputs(free, 1 / units.deviation, -shift / units.deviation)
        wanted = units.of(targets)
        asked = self._asked(free, rows, wanted, split, seed)
        free, epochs = _LAST.of(
            asked, lambda: self._fit(free, loss, rows, wanted, split, seed, progress)
        )
        if not all(layer.is_finite for layer in free.layers):
            raise SettingError(
                "training.learning_rate", self.learning_rate, "training diverged; try a smaller one"
            )
        free = _outputs(free, units.deviation, shift)
        figures = {
            f"{part}_{name}": value
            for part, index in split.parts.items()
            if len(index)
            for name, value in loss.figures(
                free.forward(rows[index]) + left_out, targets[index]
            ).items()
        }
        figures["epochs_kept"] = epochs
        sizes = [len(part) for part in split.parts.values()]
        notes = [
            "seed {} splits the rows: {} to train on, {} for validation, {} held out".format(
                seed, *sizes
            )
        ]
        if left_out:
            figures["target_mean"] = left_out
            notes.append(f"f is by how much a prediction is above {left_out:g}, the targets' mean")
        free = free.with_output_relu(network.layers[-1].relu)
        return Trained(free, figures, tuple(notes))

    def _wanted(self, labels: np.ndarray | None) -> np.ndarray:
        if labels is None:
            raise SettingError(
                "training",
                "adam",
                "these inputs have no labels; allowed are inputs=digits, inputs=mnist, inputs=csv "
                "with inputs.label, or training=none",
            )
        missing = np.flatnonzero(pd.isna(labels))
        if len(missing):
            raise SettingError(
                "training",
                "adam",
                f"row {missing[0]} (the first is 0) has no label; allowed is a label for every "
                "row, or training=none",
            )
        return labels

    def _asked(
        self, network: Network, rows: Tensor, targets: Tensor, split: Split, seed: int
    ) -> str:
        """All that the trained network depends on, as one digest."""
        parts = {name: torch.from_numpy(index) for name, index in split.parts.items()}
        # Sums are rounded as threads divide them.
        settings = f"{self} {seed} {torch.get_num_threads()} {digest(network)}"
        return digest_of(settings, {"rows": rows, "targets": targets, **parts})

    def _fit(
        self,
        network: Network,
        loss: Loss,
        rows: Tensor,
        targets: Tensor,
        split: Split,
        seed: int,
        progress: bool,
    ) -> tuple[Network, int]:
        """The trained network, and the number of its epochs."""
        network = network.to(network.dtype)
        learning = [layer.parameters for layer in network.layers if layer.learns]
        biases, weights = ([named[kind] for named in learning] for kind in ("bias", "weight"))
        largest = 0.0 if all(layer.form == DENSE for layer in network.layers) else _BELOW_ZERO
        if self.nonpositive_biases:
            for bias in biases:
                bias.clamp_(max=largest)
        for parameter in (*biases, *weights):
            parameter.requires_grad_()
        for bias, weight in zip(biases, weights, strict=True):
            bias.register_hook(partial(_by_channel, len(weight)))
        steps, left = _Steps([*biases, *weights]), DECAYS[self.decay]
        generator = torch.Generator().manual_seed(seed)
        train = torch.from_numpy(split.train)
        best, kept, since = math.inf, network, self.epochs
        for epoch in bars(progress)(range(1, self.epochs + 1), "training"):
            order = torch.randperm(len(train), generator=generator)
            batches = train[order].split(self.batch_size)
            for number, batch in enumerate(batches):
                done = (epoch - 1 + number / len(batches)) / self.epochs
                with torch.enable_grad():
                    missed = loss.value(network.forward(rows[batch]), targets[batch])
                steps.down(missed, self.learning_rate * left(done))
                if self.nonpositive_biases:
                    with torch.no_grad():
                        for bias in biases:
                            bias.clamp_(max=largest)
            if not len(split.validation):
                continue
            with torch.no_grad():
                outputs = network.forward(rows[split.validation])
                value = loss.value(outputs, targets[split.validation]).item()
            if value < best:
                best, kept, since = value, network.detached().to(network.dtype), epoch
            if epoch - since >= self.patience:
                break
        return kept.detached(), since


_LAST = Last[tuple[Network, int]]()
"""Runs of a sweep that differ in the rule alone have the same network, which is trained once."""


class _Steps:
    """Adam's steps, with PyTorch's defaults.

    They are what ``torch.optim.Adam`` makes. That class imports PyTorch's compiler, which takes
    longer than to train on the digits.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters = parameters
        self.means, self.squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.counts = [torch.zeros(()) for _ in parameters]

    def down(self, loss: Tensor, learning_rate: float) -> None:
        """Take one step that lowers the loss, which is freed with its graph."""
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            adam(
                self.parameters,
                [*map(_laid_out, gradients, self.parameters)],
                self.means,
                self.squares,
                [],
                self.counts,
                # In one go: several operations on all parameters take up to five times as long.
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=learning_rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )


def _laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """A gradient in the order in memory of its parameter. Fused steps go through both in that
    order, and do not look whether it is the same."""
    same = gradient.stride() == parameter.stride()
    return gradient if same else torch.empty_like(parameter).copy_(gradient)


def _outputs(network: Network, factor: float, shift: float) -> Network:
    """The network with ``factor`` times its outputs, plus ``shift``."""
    *hidden, last = network.layers
    scaled = {name: factor * numbers for name, numbers in last.parameters.items()}
    if shift:
        scaled["bias"] = scaled["bias"] + shift
    return Network((*hidden, last.with_parameters(scaled)))


def _by_channel(channels: int, gradient: Tensor) -> Tensor:
    """The gradient (J,) of biases of which all in one channel are the same parameter."""
    places = gradient.view(channels, -1)
    return places.sum(1, keepdim=True).expand_as(places).flatten()
