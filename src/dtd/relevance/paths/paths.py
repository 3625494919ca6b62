"""What is asked of the paths of a few samples, however they are held."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.relevance.root_tree import RootTree


class Strongest(NamedTuple):
    """The K strongest paths of one sample by absolute value, the strongest first."""

    relevance: Tensor
    """(K,); there may be zeros at its end."""
    units: Tensor
    """(K, D), the units of each path in the layers below the output."""
    rest: Tensor
    """The sum of all other paths."""


class Paths(ABC):
    """The relevance of every path of B samples, in D layers below the output.

    The last unit of every path is the explained output.
    """

    @property
    def tree(self) -> RootTree | None:
        """The roots on the paths, where they have some of their own."""
        return None

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples."""

    @property
    @abstractmethod
    def relevance(self) -> Tensor:
        """All paths, with a dimension for each layer, (B, d_l, d_{l+1}, …, d_{L-1})."""

    @abstractmethod
    def strongest(self, top: int) -> list[Strongest]:
        """The ``top`` strongest paths of each sample."""

    @abstractmethod
    def flows(self, sample: int) -> list[Tensor]:
        """The sums of the paths through each pair of neighbours, (d_l, d_{l+1}) for each layer."""

    @abstractmethod
    def opposite(self) -> Paths:
        """The paths of the relevance of f, where these are those of -f."""


@dataclass(frozen=True, eq=False)
class EnumeratedPaths(Paths):
    """Paths of which every one is computed, with the roots on them."""

    every: Tensor
    roots: RootTree

    @property
    def tree(self) -> RootTree:
        return self.roots

    @property
    def relevance(self) -> Tensor:
        return self.every

    def __len__(self) -> int:
        return len(self.relevance)

    def strongest(self, top: int) -> list[Strongest]:
        strongest = []
        for paths in self.relevance:
            flat = paths.flatten()
            order = flat.abs().sort(descending=True, stable=True).indices
            units = torch.stack(torch.unravel_index(order[:top], paths.shape), 1)
            strongest.append(Strongest(flat[order[:top]], units, flat[order[top:]].sum()))
        return strongest

    def flows(self, sample: int) -> list[Tensor]:
        # One sample, because the order in which torch adds up depends on their number.
        paths = self.relevance[sample].unsqueeze(-1).contiguous()
        flows = []
        for layer in range(paths.dim() - 1):
            others = [axis for axis in range(paths.dim()) if axis not in (layer, layer + 1)]
            flows.append(paths.sum(others) if others else paths)
        return flows

    def opposite(self) -> EnumeratedPaths:
        roots = tuple(replace(level, relevance=0 - level.relevance) for level in self.roots)
        return EnumeratedPaths(0 - self.every, roots)
