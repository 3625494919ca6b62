"""The contract of a root search: one problem in, one table of points out (theory, section 4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import ClassVar

import torch
from torch import Tensor

from dtd_cli.inputs.domain import Domain
from dtd_cli.networks.mlp import Layer
from dtd_cli.regions.region import Regions
from dtd_cli.rules.rule import Rule


class Status(IntEnum):
    """What became of a unit's root (theory, section 2). The first two contribute relevance."""

    FOUND = 0
    APPROXIMATE = 1
    INACTIVE = 2
    DEGENERATE = 3
    NOT_FOUND = 4


class Place(Enum):
    """What is known of where the roots lie; it decides how the one-sided derivative is taken."""

    HINGE = "hinge"
    """On ``z_j = 0``, by construction: up to rounding the unit's own kink."""
    REFERENCE = "reference"
    """At a point chosen without looking for a zero."""
    BOUNDARY = "boundary"
    """Where a search saw the relevance vanish: at any kink, also one of a nested root."""


@dataclass(frozen=True, eq=False)
class RootProblem:
    """Find a root of every ``h_j`` for every anchor.

    ``anchors`` (B, d) lie in ``domain``; ``layer`` maps them to the J units that are decomposed,
    ``regions`` are the linear regions of the network from there to the output;
    ``relevance`` is ``h``: (N, d) -> (N, J), evaluated without a graph. ``generator`` is read
    from a copy, so that the same problem has the same answer whichever anchors share a call.
    """

    anchors: Tensor
    layer: Layer
    relevance: Callable[[Tensor], Tensor]
    domain: Domain
    rule: Rule
    generator: torch.Generator
    regions: Regions

    def draw_normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, drawn in float32 whatever the dtype of the anchors."""
        generator = self.generator.clone_state()
        return torch.randn(shape, generator=generator).to(self.anchors)


@dataclass(frozen=True, eq=False)
class SearchLine:
    """The segments ``c + s (a - c)``, 0 <= s <= 1, on which roots were searched.

    ``far_ends`` c (B, J, d) are held fixed when the anchor moves; ``positions`` (B, J) are the s
    of the roots. ``walk`` and ``relevance`` (B, J, S) are the s that were tried, and h_j there.
    """

    far_ends: Tensor
    positions: Tensor
    walk: Tensor
    relevance: Tensor


@dataclass(frozen=True, eq=False)
class Roots:
    """Roots of all units for all anchors.

    ``points`` (B, J, d), ``status`` (B, J) holds values of :class:`Status`, ``evaluations`` is
    the number of points at which ``h`` was evaluated for the root of one unit, those included
    that the units share. ``certified`` (B, J): the strategy proves its answer, be it a root or
    that there is none. Points mean something where :attr:`contributes` is true only.
    """

    points: Tensor
    status: Tensor
    place: Place
    certified: Tensor
    evaluations: int = 0
    line: SearchLine | None = None

    @property
    def contributes(self) -> Tensor:
        """Where a root is expanded, shape (B, J)."""
        return self.status <= Status.APPROXIMATE

    @property
    def contributing(self) -> tuple[Tensor, Tensor]:
        """The pairs that are expanded: anchors and units, both (N,)."""
        anchor, unit = self.contributes.nonzero(as_tuple=True)
        return anchor, unit


@dataclass(frozen=True)
class RootFinder(ABC):
    """One strategy; its fields are its settings."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, problem: RootProblem) -> Roots:
        """The roots of the problem. Failures are statuses, never exceptions."""

    @abstractmethod
    def evaluations(self, units: int) -> int:
        """At how many points ``h`` is evaluated for one anchor and ``units`` units."""
