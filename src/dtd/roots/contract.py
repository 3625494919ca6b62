"""The contract of a root search: one problem in, one table of points out (theory, section 4.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, auto
from typing import ClassVar

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer, Mask
from dtd.networks.network import Network
from dtd.progress import Track, untracked
from dtd.regions.region import Regions
from dtd.roots.location import Location
from dtd.roots.moving_lines import MovingLine
from dtd.rules.formula import Formula
from dtd.rules.rule import Rule


class Status(IntEnum):
    """What became of a unit's root (theory, section 2.6). The first two contribute relevance."""

    FOUND = 0
    APPROXIMATE = 1
    INACTIVE = 2
    DEGENERATE = 3
    NOT_FOUND = 4


class Zeros(Enum):
    """Where a zero of ``z_j`` is known to be a zero of ``h_j``, and so a root."""

    EVERYWHERE = auto()
    """In the last layer, and where relevance carries the activation as a factor."""
    IN_REGION = auto()
    """In the linear region of the anchor: the problem's layer is what h is there alone."""
    UNKNOWN = auto()
    """What ``h_j`` is there has to be measured."""

    @property
    def found_anywhere(self) -> Status:
        """The status of a zero of ``z_j``, until ``h_j`` is measured there."""
        return Status.FOUND if self is Zeros.EVERYWHERE else Status.APPROXIMATE

    @property
    def found_in_region(self) -> Status:
        """The status of a zero of ``z_j`` in the linear region of the anchor."""
        return Status.APPROXIMATE if self is Zeros.UNKNOWN else Status.FOUND


class Outcome(IntEnum):
    """How a solver ended."""

    OPTIMAL = 0
    TIME_LIMIT = 1
    INFEASIBLE = 2
    """There is no root, or none in the ball that was searched."""
    FAILED = 3
    NOTHING = 4
    """There was nothing to solve."""


@dataclass(frozen=True, eq=False)
class RootProblem:
    """Find a root of every ``h_j`` for every anchor.

    ``anchors`` (B, d) lie in ``domain``; ``layer`` maps them to the J units that are decomposed,
    ``regions`` are the linear regions of the network from there to the output;
    ``relevance`` is ``h``: (N, d) -> (N, J), evaluated without a graph. ``generator`` is read
    from a copy, so that the same problem has the same answer whichever anchors share a call.
    """

    anchors: Tensor
    layer: AnyLayer
    relevance: Callable[[Tensor], Tensor]
    domain: Domain
    rule: Rule
    generator: torch.Generator
    regions: Regions
    zeros: Zeros = field(default=Zeros.EVERYWHERE, kw_only=True)
    track: Track = field(default=untracked, kw_only=True)
    """Shows how far the search is."""

    def draw_normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of this shape, drawn in float32 whatever the anchors' dtype."""
        generator = self.generator.clone_state()
        return torch.randn(shape, generator=generator).to(self.anchors)


@dataclass(frozen=True, eq=False)
class Scan:
    """What a search saw on its line: ``h_j`` is ``relevance`` at ``positions``, both (B, J, S).

    ``roots`` (B, J) are the positions at which it ended.
    """

    positions: Tensor
    relevance: Tensor
    roots: Tensor


@dataclass(frozen=True, eq=False)
class Chains:
    """Markov chains, C for each of B anchors, after their warm-up.

    ``states`` (B, C, S, d), ``accepted`` (B, C) the share of proposals that were accepted,
    ``scale`` (B, C) the standard deviation of their coordinates, NaN where they have none.
    """

    states: Tensor
    accepted: Tensor
    scale: Tensor
    warmup: int


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver says of its roots, each (B, J).

    ``outcome`` holds values of :class:`Outcome`; ``objective`` is the distance of the root in the
    metric of the search, infinite without one; ``bound`` one below which there is proven to be
    none, infinite where there is none at all; and ``gap`` how much nearer a root may be, relative
    to the objective.
    """

    outcome: Tensor
    objective: Tensor
    bound: Tensor
    gap: Tensor


@dataclass(frozen=True, eq=False)
class Roots:
    """Roots of all units for all anchors.

    ``points`` (B, J, d), ``status`` (B, J) holds values of :class:`Status`, ``evaluations`` is
    the number of points at which ``h`` was evaluated for the root of one unit, those included
    that the units share; (B, J) where it differs. ``certified`` (B, J): the strategy proves its
    answer, be it a root or that there is none. Points mean something where :attr:`contributes`
    is true only.
    """

    points: Tensor
    status: Tensor
    location: Location
    certified: Tensor
    evaluations: int | Tensor = 0
    formula: bool = False
    """The points are a formula of the anchors, and so have their derivative by them."""
    line: MovingLine | None = None
    scan: Scan | None = None
    chains: Chains | None = None
    solution: Solution | None = None

    @property
    def contributes(self) -> Tensor:
        """Where a root is expanded, shape (B, J)."""
        return self.status <= Status.APPROXIMATE

    def constant(self) -> Roots:
        """The same roots, which do not move with their anchors."""
        return replace(self, points=self.points.detach(), line=None, formula=False)

    def measured(self, residual: Tensor, tolerance: Tensor) -> Roots:
        """The same roots, ``found`` where they were ``approximate`` but measure as roots.

        ``residual`` (B, J) is ``h_j`` at the points, NaN where there is none, and ``tolerance``
        (B, 1) what it may be at a root. A point that was chosen without looking can be a root.
        """
        found = (residual.abs() <= tolerance) & (self.status == Status.APPROXIMATE)
        return replace(self, status=self.status.masked_fill(found, Status.FOUND))

    @property
    def contributing(self) -> tuple[Tensor, Tensor]:
        """The pairs that are expanded: anchors and units, both (N,)."""
        anchor, unit = self.contributes.nonzero(as_tuple=True)
        return anchor, unit


@dataclass(frozen=True)
class RootChoice(ABC):
    """What finds the roots of a run, or makes them; its fields are its settings."""

    name: ClassVar[str]
    needs_affine_layers: ClassVar[bool] = True
    """Whether roots are sought by the linear regions of layers, of which all have to be affine."""

    @abstractmethod
    def batches(self, samples: Tensor) -> Sequence[Tensor]:
        """The samples (B,), those together that share their searches."""

    @abstractmethod
    def finders(self, network: Network, x: Tensor) -> Sequence[RootFinder]:
        """The search of every layer below the samples ``x`` (B, d) of one such batch.

        ``network`` has one output, the explained one.

        Raises:
            InvalidSetting: there are no such roots for these samples.
        """

    @abstractmethod
    def evaluations(self, units: int) -> int:
        """At how many points ``h`` is evaluated for one anchor and ``units`` units."""

    @property
    def prescription(self) -> Sequence[float] | None:
        """The relevance of the inputs that the roots are made for; None where they are searched."""
        return None

    def factor_mask(self, rule: Rule) -> Mask | None:
        """The mask of roots ``ã_j = a ⊙ (1 - t_j m_j)`` with the step t_j to z_j = 0.

        None for roots that have another form.
        """
        return None

    def formula(self, rule: Rule, layer: AnyLayer, domain: Domain) -> Formula | None:
        """The roots as a formula of balls, with which limits are taken.

        None for roots that are searched in double precision.
        """
        return None

    def carries_factor(self, rule: Rule) -> bool:
        """Whether relevance that is decomposed at these roots is ``R_i(a) = a_i C_i(a)``.

        Roots of another form than :meth:`factor_mask` says can have this factor too.
        """
        return False

    def objection(self, depth: int) -> str | None:
        """Why there are no such roots in a network of ``depth`` layers; None where there are."""
        return None

    def objection_beside(self, other: RootChoice) -> str | None:
        """Why these roots cannot be in some layers and others in the rest; None where they can."""
        return None


@dataclass(frozen=True)
class RootFinder(RootChoice):
    """One root search, the same for all samples."""

    @abstractmethod
    def __call__(self, problem: RootProblem) -> Roots:
        """The roots of the problem. Failures are statuses, never exceptions."""

    def batches(self, samples: Tensor) -> Sequence[Tensor]:
        return [samples]

    def finders(self, network: Network, x: Tensor) -> Sequence[RootFinder]:
        return [self] * network.depth
