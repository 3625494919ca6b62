"""What is explained."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dtd_cli.networks.mlp import MLP
from dtd_cli.relevance.recursion import Step
from dtd_cli.relevance.series import Series


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples ``x`` (B, d) for which the same output is explained.

    ``steps[l]`` says how layer l + 1 is decomposed onto layer l; ``max_points`` bounds memory.
    ``series`` says what of each Taylor series is distributed; without one, the linear term.
    ``interactions`` asks for the degree-2 matrices too.
    """

    network: MLP
    output: int
    x: Tensor
    steps: tuple[Step, ...]
    max_points: int
    progress: bool
    series: Series | None = None
    interactions: bool = False
