"""Losses: what labels mean to a network, and how far its outputs are from them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from dtd_cli.config.errors import SettingError


class Loss(ABC):
    """From labels (N,) to targets, and from outputs (N, K) and targets to a loss."""

    @abstractmethod
    def output_size(self, labels: np.ndarray) -> int:
        """How many outputs a network needs for these labels."""

    @abstractmethod
    def targets(self, labels: np.ndarray, outputs: int) -> Tensor:
        """The labels as a tensor (N,) or (N, K), for a network with so many outputs.

        Raises:
            SettingError: the outputs cannot stand for the labels.
        """

    @abstractmethod
    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss that is minimised, a scalar, of outputs (N, K)."""

    @abstractmethod
    def figures(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Figures of outputs (N, K) for the run's summary, by name."""


class CrossEntropy(Loss):
    """Labels are classes, in sorted order; the accuracy is reported, and the share of the commonest
    class, which is the accuracy of who always names it."""

    def output_size(self, labels: np.ndarray) -> int:
        return len(np.unique(labels))

    def targets(self, labels: np.ndarray, outputs: int) -> Tensor:
        classes, index = np.unique(labels, return_inverse=True)
        if len(classes) > outputs:
            raise SettingError(
                "training.loss",
                "cross_entropy",
                f"the labels have {len(classes)} classes and the network {outputs} outputs; "
                "allowed is an output for every class, or training.loss=mse",
            )
        return torch.from_numpy(index)

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets)

    def figures(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        return {
            "accuracy": (outputs.argmax(1) == targets).double().mean().item(),
            "commonest_class": targets.bincount().amax().item() / len(targets),
        }


class MeanSquaredError(Loss):
    """One output: labels are numbers. More outputs: labels are classes, one-hot."""

    def output_size(self, labels: np.ndarray) -> int:
        return 1

    def targets(self, labels: np.ndarray, outputs: int) -> Tensor:
        if outputs > 1:
            classes = CrossEntropy().targets(labels, outputs)
            return one_hot(classes, outputs).float()
        if not np.issubdtype(labels.dtype, np.number) or not np.isfinite(labels).all():
            raise SettingError(
                "training.loss",
                "mse",
                "the labels are no finite numbers; allowed are numbers, or "
                "training.loss=cross_entropy",
            )
        return torch.from_numpy(labels).float().unsqueeze(1)

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return mse_loss(outputs, targets)

    def figures(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        return {"mse": mse_loss(outputs, targets).item()}


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "mse": MeanSquaredError()}
"""The name of a loss in the configuration, and the loss."""
