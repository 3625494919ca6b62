"""What is explained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from dtd.networks.network import Network
from dtd.progress import Track, untracked
from dtd.relevance.plan import Plan, of_sample
from dtd.relevance.series.series import Series


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples ``x`` (B, d) for which the same output is explained.

    ``plans[l]`` says how layer l + 1 is decomposed onto layer l, ``taylor_plan`` how f is
    decomposed onto the input at once; ``max_points`` bounds memory. With ``moving_roots`` false
    roots do not depend on their anchors. ``series`` says what of each Taylor series is
    distributed; without one, the linear term. ``interactions`` asks for the degree-2 matrices too.
    Without ``factored`` all derivatives go the general path, as walks do.
    """

    network: Network
    output: int
    x: Tensor
    plans: tuple[Plan, ...]
    max_points: int
    taylor_plan: Plan
    moving_roots: bool = True
    series: Series | None = None
    interactions: bool = False
    factored: bool = True
    track: Track = untracked

    def of_sample(self, x: Tensor) -> Problem:
        """The problem of one sample (1, d) alone, with the roots that are its own."""
        network = self.network.explaining(self.output)
        return replace(self, x=x, plans=of_sample(self.plans, network, x))
