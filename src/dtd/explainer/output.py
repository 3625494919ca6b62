"""What is explained of a network's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.networks.network import Layer, Network


@dataclass(frozen=True)
class Output:
    """The explained output f, and the sign with which it is decomposed.

    f is the output of the unit ``unit``, or of a linear output also how far this is above that of
    the unit ``other``. Only what is above zero has a root to decompose to. So where f is below,
    -f is decomposed, ``sign`` is -1, and the relevances get the sign back.
    """

    unit: int
    other: int | None = None
    sign: int = 1

    def __str__(self) -> str:
        return f"{self.unit}" if self.other is None else f"{self.unit}-{self.other}"

    def named(self, names: Sequence[str]) -> str:
        """The output by the names of the network's outputs, empty where these have none."""
        units = [unit for unit, _ in self.row]
        return "-".join(names[unit] for unit in units) if max(units) < len(names) else ""

    @property
    def row(self) -> list[tuple[int, int]]:
        """f as a sum of units, each with its sign."""
        return [(self.unit, 1)] if self.other is None else [(self.unit, 1), (self.other, -1)]

    def relevance(self, y: Tensor) -> Tensor:
        """R_L, (N, K): how f lies on the outputs ``y`` (N, K), which it is the sum of."""
        relevance = torch.zeros_like(y)
        for unit, sign in self.row:
            relevance[:, unit] = sign * y[:, unit]
        return relevance

    def decomposed(self, network: Network) -> Network:
        """The network whose output ``unit`` is what is decomposed, f or -f.

        The other outputs stay: their gates bound the linear regions.
        """
        if self.other is None and self.sign == 1:
            return network
        *hidden, last = network.layers
        weight, bias = last.matrix.dense().clone(), last.parameters["bias"].clone()
        for part in (weight, bias):
            part[self.unit] = self.sign * sum(sign * part[unit] for unit, sign in self.row)
        return Network((*hidden, Layer(weight, bias, last.relu)))
