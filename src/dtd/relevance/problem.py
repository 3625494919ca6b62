"""What is explained."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from dtd.networks.network import Network
from dtd.progress import Track, untracked
from dtd.regions.gates import Passage, gradients, passage
from dtd.relevance.plan import Plan, Scheme
from dtd.relevance.recursion import Recursion
from dtd.relevance.series.series import Series


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples ``x`` (B, d) for which the same output is explained, and which share their searches.

    ``scheme`` says how each layer is decomposed, ``taylor_plan`` how f is decomposed onto the
    input at once; ``max_points`` bounds memory. With ``moving_roots`` false roots do not depend on
    their anchors. ``series`` says what of each Taylor series is distributed; without one, the
    linear term. ``interactions`` asks for the degree-2 matrices too. Without ``forward_passes``
    all slopes are computed by automatic differentiation, as paths need it.
    """

    network: Network
    output: int
    x: Tensor
    scheme: Scheme
    max_points: int
    taylor_plan: Plan
    moving_roots: bool = True
    series: Series | None = None
    interactions: bool = False
    forward_passes: bool = True
    track: Track = untracked

    @cached_property
    def way(self) -> Passage:
        """The way of the samples from the input to all outputs."""
        return passage(self.network, 0, self.x)

    @cached_property
    def slopes(self) -> tuple[Tensor, ...]:
        """The gradients of the output by the activations of the layers 0..L-1, each (B, d_l)."""
        return tuple(gradients(self.network, 0, self.way.gates, self.output))[::-1]

    @cached_property
    def explained(self) -> Network:
        """The network without its other outputs."""
        return self.network.explaining(self.output)

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """How every layer is decomposed for these samples.

        Raises:
            InvalidSetting: there are no such roots for these samples.
        """
        return self.scheme.plans(self.explained, self.x)

    @cached_property
    def recursion(self) -> Recursion:
        """The relevance functions of the output."""
        return Recursion(
            self.network,
            self.plans,
            self.max_points,
            self.output,
            self.moving_roots,
            self.series,
            self.forward_passes,
            track=self.track,
        )
