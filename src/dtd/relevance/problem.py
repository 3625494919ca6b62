"""What is explained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from dtd.networks.network import Network
from dtd.progress import Track, untracked
from dtd.relevance.series.series import Series
from dtd.relevance.step import Step, of_sample


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples ``x`` (B, d) for which the same output is explained.

    ``steps[l]`` says how layer l + 1 is decomposed onto layer l, ``single_step`` how f is
    decomposed onto the input at once; ``max_points`` bounds memory. With ``moving_roots`` false
    roots do not depend on their anchors. ``series`` says what of each Taylor series is
    distributed; without one, the linear term. ``interactions`` asks for the degree-2 matrices too.
    Without ``factored`` all derivatives go the general path, as walks do.
    """

    network: Network
    output: int
    x: Tensor
    steps: tuple[Step, ...]
    max_points: int
    single_step: Step
    track: Track = untracked
    moving_roots: bool = True
    series: Series | None = None
    interactions: bool = False
    factored: bool = True

    def of_sample(self, x: Tensor) -> Problem:
        """The problem of one sample (1, d) alone, with the roots that are its own."""
        network = self.network.explaining(self.output)
        return replace(self, x=x, steps=of_sample(self.steps, network, x))
