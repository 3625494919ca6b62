"""With which units paths begin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.relevance.paths.draws import draw, drawing_shares
from dtd.relevance.slopes.factor_layer import Units


@dataclass(frozen=True, eq=False)
class Beginnings:
    """P paths that begin at B anchors with N roots.

    They are drawn in strata: the mean of each stratum is estimated, and these add up. A unit from
    which many paths begin is a stratum, and all other units of an anchor together are another.
    """

    row: Tensor
    """(N,), the anchor of each root."""
    unit: Tensor
    """(N,)."""
    root: Tensor
    """(P,)."""
    draws: Tensor
    """(P, L), the uniform numbers of each path."""
    weight: Tensor
    """(P,), one over the probability of the root within the stratum."""
    alone: Tensor
    """(P,), whether the stratum is a unit."""
    size: Tensor
    """(P,), how many paths the stratum has."""

    def rows(self, index: Tensor) -> Beginnings:
        """Some of the paths."""
        of_paths = self.root, self.draws, self.weight, self.alone, self.size
        return Beginnings(self.row, self.unit, *(column[index] for column in of_paths))

    def means(self, values: Tensor) -> Tensor:
        """For each path the mean of the values (P, ...) of its stratum."""
        anchor = self.row[self.root]
        _, stratum = torch.where(self.alone, self.root, -1 - anchor).unique(return_inverse=True)
        sums = values.new_zeros(len(stratum), *values.shape[1:])
        size = self.size.view(-1, *[1] * (values.dim() - 1))
        return sums.index_add(0, stratum, values)[stratum] / size

    @property
    def parts(self) -> Tensor:
        """How much each path counts in the sum of the means, (P,)."""
        return 1 / self.size

    @property
    def variances(self) -> Tensor:
        """How much the squared distance from the mean counts in the variance of the sum, (P,)."""
        return 1 / (self.size * (self.size - 1)).clamp(min=1)


def one_each(units: Units, draws: Tensor) -> Beginnings:
    """One path from every unit that has a root; each is a stratum."""
    row, unit = (units.step != 0).nonzero(as_tuple=True)
    ones = torch.ones_like(units.z[row, unit])
    root = torch.arange(len(row), device=row.device)
    return Beginnings(row, unit, root, draws[:1].expand(len(row), -1), ones, ones > 0, ones)


def drawn(units: Units, spread: Tensor, draws: Tensor) -> Beginnings:
    """As many paths from each anchor as there are ``draws`` (n, L), two or more.

    Each unit has paths in proportion to its pre-activation times its ``spread`` (B, J), but for an
    even part. Units with less than two of them are drawn.
    """
    active = (units.step != 0).to(units.z)
    shares = drawing_shares(active, units.z * active, spread)
    count = (len(draws) - 2) * shares / shares.sum(1, keepdim=True).clamp(min=1e-300)
    count = torch.where(count >= 2, count.floor(), 0).long()
    rest = torch.where(count > 0, 0, shares)
    left = torch.where(shares.sum(1) > 0, len(draws) - count.sum(1), 0)
    # Where no unit is left to be drawn, the largest has the paths that rounding leaves over.
    complete = rest.sum(1) == 0
    largest = shares.argmax(1, keepdim=True)
    count = count.scatter_add(1, largest, (left * complete).unsqueeze(1))
    left = torch.where(complete, 0, left)

    own = torch.arange(count.numel(), device=count.device).repeat_interleave(count.flatten())
    others = torch.arange(len(left), device=count.device).repeat_interleave(left)
    own_row, width = own // count.shape[1], count.shape[1]
    numbers = torch.cat([_numbered(own_row, len(left)), _numbered(others, len(left))])
    numbers[len(own) :] += count.sum(1)[others]
    unit, weight = draw(rest[others], draws[numbers[len(own) :], 0])
    entries, root = torch.cat([own, others * width + unit]).unique(return_inverse=True)
    return Beginnings(
        entries // width,
        entries % width,
        root,
        draws[numbers],
        torch.cat([torch.ones_like(own).to(weight), weight]),
        torch.arange(len(root), device=root.device) < len(own),
        torch.cat([count.flatten()[own], left[others]]).to(weight),
    )


def _numbered(groups: Tensor, number: int) -> Tensor:
    """The place of each element among those of its group; ``groups`` (P,) ascend."""
    sizes = torch.bincount(groups, minlength=number)
    before = sizes.cumsum(0) - sizes
    return torch.arange(len(groups), device=groups.device) - before[groups]
