"""Losses: what labels mean to a network, and how far its outputs are from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from dtd_cli.config.errors import SettingError
from dtd_cli.inputs.labels import distinct, why_no_classes


@dataclass(frozen=True)
class Units:
    """The units in which targets are learned: less their mean, divided by their deviation."""

    mean: float = 0.0
    deviation: float = 1.0

    def of(self, targets: Tensor) -> Tensor:
        """Targets in these units; classes stay as they are."""
        return targets if self == Units() else (targets - self.mean) / self.deviation


class Loss(ABC):
    """From labels (N,) to targets, and from outputs (N, K) and targets to a loss."""

    @abstractmethod
    def output_size(self, labels: np.ndarray) -> int:
        """How many outputs a network needs for these labels."""

    @abstractmethod
    def classes(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        """The label of each output, in their order; empty where labels are numbers.

        Raises:
            SettingError: the outputs cannot stand for the labels.
        """

    @abstractmethod
    def targets(self, labels: np.ndarray, outputs: int) -> Tensor:
        """The labels as a tensor (N,) or (N, K), for a network with so many outputs.

        Raises:
            SettingError: the outputs cannot stand for the labels.
        """

    def units(self, targets: Tensor) -> Units:
        """The units in which such targets are learned."""
        return Units()

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
        return len(_classes(labels))

    def classes(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        classes = _classes(labels)
        if len(classes) > outputs:
            raise SettingError(
                "training.loss",
                "cross_entropy",
                f"the labels have {len(classes)} classes and the network {outputs} outputs; "
                "allowed is an output for every class, or training.loss=mse",
            )
        return classes

    def targets(self, labels: np.ndarray, outputs: int) -> Tensor:
        return torch.from_numpy(np.searchsorted(self.classes(labels, outputs), labels))

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets)

    def figures(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        return {
            "accuracy": (outputs.argmax(1) == targets).double().mean().item(),
            "commonest_class": targets.bincount().amax().item() / len(targets),
        }


class MeanSquaredError(Loss):
    """One output: labels are numbers, and R² is reported. More: labels are classes, one-hot."""

    def output_size(self, labels: np.ndarray) -> int:
        return 1

    def classes(self, labels: np.ndarray, outputs: int) -> np.ndarray:
        return CrossEntropy().classes(labels, outputs) if outputs > 1 else labels[:0]

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

    def units(self, targets: Tensor) -> Units:
        if targets.shape[1] > 1:
            return Units()
        return Units(targets.mean().item(), targets.std(correction=0).item() or 1.0)

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return mse_loss(outputs, targets)

    def figures(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        error = mse_loss(outputs, targets).item()
        variance = targets.var(0, correction=0).mean().item()
        r2 = {"r2": 1 - error / variance} if targets.shape[1] == 1 and variance > 0 else {}
        return {"mse": error} | r2


def _classes(labels: np.ndarray) -> np.ndarray:
    """The distinct labels, sorted.

    Raises:
        SettingError: they are no classes.
    """
    reason = why_no_classes(labels)
    if reason:
        raise SettingError(
            "training.loss",
            "cross_entropy",
            f"{reason}; allowed are classes, or training.loss=mse for numbers",
        )
    return distinct(labels)


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "mse": MeanSquaredError()}
"""The name of a loss in the configuration, and the loss."""
