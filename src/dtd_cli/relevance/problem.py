"""What is explained."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dtd_cli.networks.mlp import MLP
from dtd_cli.relevance.recursion import Step


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples ``x`` (B, d) for which the same output is explained.

    ``steps[l]`` says how layer l + 1 is decomposed onto layer l, ``single_step`` how f is
    decomposed onto the input at once; ``max_points`` bounds memory.
    """

    network: MLP
    output: int
    x: Tensor
    steps: tuple[Step, ...]
    max_points: int
    progress: bool
    single_step: Step
