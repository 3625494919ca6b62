"""Roots from which the exact recursion gives whatever relevance the user names.

With roots that depend on their anchors the recursion proves little: here every root is a genuine
zero of its relevance function, and R_0 is any vector (RS, on roots that depend on the input).

Layer L-1, ..., 1: one unit c of the layer is to hold the function ``ψ(a)``, another one r the
rest. Of the upper relevance ``h(a) = α (z(a) - β)`` of one unit with weights w the root is
``ã(a) = a - D(a)`` with ``D_c = ψ / (α w_c)`` and ``D_r = (h - ψ) / (α w_r)``, so ``h(ã) = 0``,
and ``α w ⊙ D`` is ψ at c and h - ψ at r. At the sample's own activations ψ = f(x), so the rest
is zero there. Above layer 1 ψ is affine in a_c again, as h is. In layer 1 it is a cubic that
vanishes at ``b = f_1(x̃)``, the image of a chosen point x̃ near the sample, with the slope m in
a_c: ``ψ(a) = m (a - b)_c + (f - m Δ_c) (Δ·(a - b) / Δ·Δ)³``, Δ = a_1(x) - b. The input's root is
x̃ itself, and R_0 = m w_c ⊙ (x - x̃), which is the target for ``x - x̃ = target / (m w_c)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.regions.region import Regions
from dtd.roots.contract import RootChoice, RootFinder, RootProblem, Roots, Status
from dtd.roots.location import Anywhere, Location, OnKink


@dataclass(frozen=True)
class Prescribed(RootChoice):
    """Roots such that ``R_0`` is the ``target``, one number for each input.

    They are not searched but made, for every sample its own.

    For all layers together: the freedom is in how the hidden roots move with their anchors. The
    input's root lies where f has the gradient it has at the sample, not always in the domain.

    Source: RS, on explanations by input-dependent roots; the construction is this program's.
    """

    name: ClassVar[str] = "prescribed"

    target: list[float]

    def __post_init__(self) -> None:
        numbers = isinstance(self.target, list) and all(
            isinstance(value, int | float) and math.isfinite(value) for value in self.target
        )
        if not numbers:
            raise InvalidSetting(
                "target", shown(self.target), "allowed is a list of finite numbers"
            )

    def batches(self, samples: Tensor) -> Sequence[Tensor]:
        return list(samples.split(1))

    def finders(self, network: Network, x: Tensor) -> Sequence[RootFinder]:
        if len(x) != 1:
            raise _refused("these roots are made for one sample, not for a function")
        return _chain(network, x, x.new_tensor(self.target))

    def evaluations(self, units: int) -> int:
        return 1

    @property
    def prescription(self) -> list[float]:
        return self.target

    def objection_beside(self, other: RootChoice) -> str | None:
        if other == self:
            return None
        return "prescribed roots are for all layers together; allowed is roots=prescribed alone"


@dataclass(frozen=True)
class _OneUnit(RootFinder):
    """The root of one unit; others without relevance have none to look for."""

    name: ClassVar[str] = Prescribed.name

    unit: int
    location: Location
    root: Callable[[Tensor], Tensor]
    """Anchors (B, d) to roots (B, d)."""

    def __call__(self, problem: RootProblem) -> Roots:
        relevance = problem.relevance(problem.anchors)
        scale = relevance[:, self.unit].abs().unsqueeze(1)
        nothing = relevance.abs() <= policy(relevance.dtype).residual * scale
        status = torch.where(nothing, Status.INACTIVE, Status.NOT_FOUND).to(torch.int8)
        status[:, self.unit] = Status.FOUND
        points = self.root(problem.anchors).unsqueeze(1).expand(*relevance.shape, -1)
        certified = status == Status.FOUND
        return Roots(points, status, self.location, certified, self.evaluations(1), formula=True)

    def evaluations(self, units: int) -> int:
        return 1


def _chain(network: Network, x: Tensor, target: Tensor) -> list[RootFinder]:
    """The finder of each layer for the sample ``x`` (1, d) of a network with one output."""
    if len(target) != x.shape[1]:
        raise _refused(f"its target has {len(target)} numbers; allowed are {x.shape[1]}")
    if not target.any():
        raise _refused("its target is all zero; allowed is one that is not all zero")
    if network.depth < 2:
        raise _refused("allowed with a hidden layer or more")
    path = [a[0] for a in network.activations(x)]
    f = path[-1][0]
    finders: list[RootFinder] = []
    unit, alpha, beta = 0, torch.ones_like(f), torch.zeros_like(f)
    for start in reversed(range(1, network.depth)):
        weight, a = network.layers[start].matrix.dense()[unit], path[start]
        usable = (a > 0) & (weight != 0)
        strength = weight.abs() * a
        if start == 1:
            # The input's root is nearest where no weight of a wanted input is small.
            strength = network.layers[0].matrix.dense()[:, target != 0].abs().amin(1)
        chosen = int(torch.where(usable, strength, 0).argmax())
        others = weight.abs().index_fill(0, torch.tensor(chosen, device=weight.device), 0)
        if not (usable[chosen] and strength[chosen] > 0 and others.any()):
            raise _refused(
                f"layer {start} has no active unit with weights to all inputs of the target and "
                "another beside it; allowed are another sample, output or network",
            )
        if start == 1:
            root, part = _input_root(network, x, target, chosen, f)
        else:
            below = a[chosen] / 2
            part = _affine(chosen, f / (a[chosen] - below), below)
        location = OnKink() if start == network.depth - 1 else Anywhere()
        layer, rest = network.layers[start], int(others.argmax())
        finders.insert(
            0,
            _OneUnit(
                unit,
                location,
                _split(layer.preactivation, unit, weight, alpha, beta, part, chosen, rest),
            ),
        )
        unit = chosen
        if start > 1:
            alpha, beta = f / (a[chosen] - below), below
    return [_OneUnit(unit, Anywhere(), root.expand_as), *finders]


def _refused(reason: str) -> InvalidSetting:
    return InvalidSetting("roots", Prescribed.name, reason)


def _split(
    preactivation: Callable[[Tensor], Tensor],
    unit: int,
    weight: Tensor,
    alpha: Tensor,
    beta: Tensor,
    part: Callable[[Tensor], Tensor],
    chosen: int,
    rest: int,
) -> Callable[[Tensor], Tensor]:
    """``ã(a)``: the relevance of the unit goes to ``chosen`` as ψ = ``part``, else to ``rest``."""
    to_chosen, to_rest = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)[
        [chosen, rest]
    ]

    def root(a: Tensor) -> Tensor:
        z, psi = preactivation(a)[:, unit] - beta, part(a) / alpha
        first = (psi / weight[chosen]).unsqueeze(1) * to_chosen
        second = ((z - psi) / weight[rest]).unsqueeze(1) * to_rest
        moved: Tensor = a - first - second
        return moved

    return root


def _affine(unit: int, alpha: Tensor, beta: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda a: alpha * (a[:, unit] - beta)


def _input_root(
    network: Network, x: Tensor, target: Tensor, unit: int, f: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """x̃ (1, d) in the region of x, and ψ on layer 1."""
    wanted = target != 0
    weight = network.layers[0].matrix.dense()[unit]
    away = torch.where(wanted, target / torch.where(wanted, weight, 1), 0)
    regions = Regions(network, 0, 1, torch.tensor([unit], device=x.device))
    leaves = regions.exits(x, -away[None, None])[0, 0] / 2
    scale = torch.minimum(leaves, x.norm().clamp(min=1) / away.norm())
    root = x - scale * away
    b = network.forward(root, 0, 1)[0]
    delta = network.forward(x, 0, 1)[0] - b
    if not delta.any():
        raise _refused("layer 1 does not see its target; allowed is another")
    cubic = f - delta[unit] / scale

    def part(a: Tensor) -> Tensor:
        along = (a - b) @ delta / (delta @ delta)
        psi: Tensor = (a - b)[:, unit] / scale + cubic * along**3
        return psi

    return root, part
