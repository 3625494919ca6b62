"""``recursive`` estimated by random walks, with standard errors and ledger."""

from __future__ import annotations

import torch
from torch import Tensor

from dtd.relevance.explanation import Explanation, StandardErrors
from dtd.relevance.factors.path import FactorPath
from dtd.relevance.factors.sampling import WalkSampling
from dtd.relevance.ledger import ledger
from dtd.relevance.problem import Problem
from dtd.relevance.recursion import Recursion


@torch.no_grad()
def sampled(problem: Problem, walks: int, seed: int) -> Explanation:
    """The relevances that :func:`recursive` has, each layer's estimated from walks of its own.

    ``walks`` for each sample and layer. The ledgers are those of the estimates; there is no
    evidence, because a walk does not visit every root.
    """
    recursion = Recursion(problem.network, problem.plans, problem.max_points, problem.output)
    factors = recursion.factors
    path = recursion.explained.activations(problem.x)
    importance = train_free_importance(factors, path)
    generator = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**62, (len(problem.plans),), generator=generator).tolist()
    upper = path[-1]
    relevances, ledgers, errors, total_errors = [upper], [], [torch.zeros_like(upper)], []
    for start in reversed(range(len(problem.plans))):
        numbers = torch.Generator().manual_seed(seeds[start])
        a = path[start]
        estimate = WalkSampling(factors, walks, importance, numbers).estimate(start, a)
        rooted = factors.layers[start].units(a, torch.zeros_like(a[:, 0])).step != 0
        unresolved = torch.where(rooted, 0, upper).sum(1)
        ledgers.append(ledger(upper, estimate.relevance, estimate.zero_order, unresolved))
        upper = estimate.relevance
        relevances.append(upper)
        errors.append(estimate.stderr)
        total_errors.append(estimate.total_stderr)
    return Explanation(
        dict(enumerate(reversed(relevances))),
        dict(enumerate(reversed(ledgers))),
        errors=StandardErrors(tuple(reversed(errors)), tuple(reversed(total_errors))),
    )


def train_free_importance(factors: FactorPath, path: list[Tensor]) -> dict[int, Tensor]:
    """The train-free ratio of relevance to activation of every unit, the mean of all samples."""
    ratio = torch.ones_like(path[-1])
    importance = {factors.network.depth: ratio.abs().mean(0)}
    for start in reversed(range(factors.network.depth)):
        step, a = factors.layers[start], path[start]
        ratio = (ratio * step.units(a, torch.zeros_like(a[:, 0])).step) @ step.product
        importance[start] = ratio.abs().mean(0)
    return importance
