"""Paths whose relevance is a product, one factor a layer: those of the train-free approximation.

They need not be enumerated: the strongest of them are found layer by layer, as the flows are
(theory, section 5.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from dtd.relevance.paths.paths import Paths, Strongest


@dataclass(frozen=True, eq=False)
class FactoredPaths(Paths):
    """The path (i, j, …, ξ) has ``shares[0][i, j] · … · f``.

    ``shares`` are matrices (B, d_l, d_{l+1}) from the lowest layer up, the last one of a single
    column; ``f`` is (B,).
    """

    shares: list[Tensor]
    f: Tensor

    def __len__(self) -> int:
        return len(self.f)

    @property
    def relevance(self) -> Tensor:
        relevance = self.f.view(-1, 1)
        for shares in reversed(self.shares):
            inner = shares.view(*shares.shape, *[1] * (relevance.dim() - 2))
            relevance = inner * relevance.unsqueeze(1)
        return relevance.squeeze(-1)

    def strongest(self, top: int) -> list[Strongest]:
        return [self._strongest(sample, top) for sample in range(len(self))]

    def flows(self, sample: int) -> list[Tensor]:
        shares = [matrix[sample] for matrix in self.shares]
        above = [self.f[sample].view(1)]
        for matrix in reversed(shares):
            above.insert(0, (matrix * above[0]).sum(1))
        flows, below = [], torch.ones_like(above[0])
        for matrix, upper in zip(shares, above[1:], strict=True):
            passed = below.unsqueeze(1) * matrix
            flows.append(passed * upper)
            below = passed.sum(0)
        return flows

    def opposite(self) -> FactoredPaths:
        return replace(self, f=0 - self.f)

    def _strongest(self, sample: int, top: int) -> Strongest:
        """The strongest paths from each unit are extensions of the strongest from those above it.

        Source: P. Xiong et al., Relevant walk search for explaining graph neural networks, ICML
        2023.
        """
        values = self.f[sample].view(1, 1)
        chosen: list[tuple[Tensor, int]] = []
        total = self.f[sample].view(1)
        for matrix in reversed(self.shares):
            longer = (matrix[sample].unsqueeze(2) * values).flatten(1)
            order = _largest(longer, top)
            chosen.insert(0, (order, values.shape[1]))
            values, total = longer.gather(1, order), (matrix[sample] * total).sum(1)
        flat = values.flatten()
        order = _largest(flat, top)
        unit, place = order // values.shape[1], order % values.shape[1]
        units = [unit]
        for choices, count in chosen[:-1]:
            choice = choices[units[-1], place]
            units.append(choice // count)
            place = choice % count
        listed = flat[order]
        # Where all paths are listed, or all that have relevance, rounding leaves no rest.
        every = prod(matrix.shape[1] for matrix in self.shares)
        complete = every <= top or bool((listed == 0).any())
        rest = torch.zeros_like(total[0]) if complete else total.sum() - listed.sum()
        return Strongest(listed, torch.stack(units, 1), rest)


def _largest(values: Tensor, top: int) -> Tensor:
    """The places of the largest absolute values of each row, the first of equals first."""
    return values.abs().sort(dim=-1, descending=True, stable=True).indices[..., :top]
