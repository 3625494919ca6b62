"""Random-walk Metropolis in the anchor's linear region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dtd.ranges import Range
from dtd.regions.cell import Cell
from dtd.roots.chains import ChainSearch


@dataclass(frozen=True)
class Metropolis(ChainSearch):
    """Normal proposals; the target is uniform, so one is accepted where it lies in the cell.

    In the warm-up the scale of a chain is multiplied by
    ``exp((accepted - acceptance) / step^0.6)``, accepted being 0 or 1; then it is fixed.

    Source: Metropolis et al., J. Chem. Phys. 21, 1953; the warm-up: C. Andrieu, J. Thoms, A
    tutorial on adaptive MCMC, Statistics and Computing 18, 2008; theory, section 4.5.
    """

    name: ClassVar[str] = "metropolis"

    acceptance: float = 0.234

    def __post_init__(self) -> None:
        super().__post_init__()
        Range(0, above=True, below=1).check("acceptance", self.acceptance)

    def propose(
        self, cell: Cell, states: Tensor, scale: Tensor, moves: Tensor, positions: Tensor
    ) -> Tensor:
        return states + scale.unsqueeze(2) * moves

    def first_scale(self, spread: Tensor) -> Tensor:
        return spread

    def adapted(self, scale: Tensor, accepted: Tensor, step: int) -> Tensor:
        surplus = accepted.to(scale.dtype) - self.acceptance
        return scale * torch.exp(surplus / step**0.6)
