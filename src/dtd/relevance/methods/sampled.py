"""``recursive`` estimated from sampled paths, with standard errors and ledger."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import torch
from torch import Tensor

from dtd.progress import untracked
from dtd.relevance.explanation import Explanation, StandardErrors
from dtd.relevance.ledger import ledger
from dtd.relevance.paths.budget import Budget
from dtd.relevance.paths.estimate import Estimate
from dtd.relevance.paths.guess import Guess
from dtd.relevance.paths.sampled import SampledPaths
from dtd.relevance.problem import Problem
from dtd.relevance.slopes.forward import ForwardSlopes

_FEW, _MORE = 30, 250
"""From how many paths the cost of all is told."""


@torch.no_grad()
def sampled(problem: Problem, budget: Budget, seed: int) -> Explanation:
    """The relevances that :func:`recursive` has, each layer's estimated from paths of its own.

    The ``budget`` is for each sample and layer. The ledgers are those of the estimates. There is no
    evidence, because a path does not visit every root.
    """
    recursion = problem.recursion
    slopes = recursion.slopes.forward
    assert slopes is not None, "sampled paths are those of linear terms"
    path = recursion.explained.activations(problem.x)
    guess = Guess.of(train_free_factors(slopes, path))
    generator = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**62, (len(problem.plans),), generator=generator).tolist()
    upper = path[-1]
    relevances, ledgers, errors = [upper], [], [torch.zeros_like(upper)]
    estimates: dict[int, Estimate] = {}
    for start in problem.track(range(len(problem.plans))[::-1], "layers"):
        numbers = torch.Generator().manual_seed(seeds[start])
        a = path[start]
        # What the paths of higher layers have taught is where those of lower ones begin to learn.
        sampling = SampledPaths(slopes, recursion.limits, budget, numbers, problem.track)
        estimate, guess = sampling.estimate(start, a, guess)
        rooted = slopes.layers[start].units(a, torch.zeros_like(a[:, 0])).step != 0
        unresolved = torch.where(rooted, 0, upper).sum(1)
        ledgers.append(ledger(upper, estimate.relevance, estimate.zero_order, unresolved))
        estimates[start] = estimate
        upper = estimate.relevance
        relevances.append(upper)
        errors.append(estimate.stderr)
    return Explanation(
        dict(enumerate(reversed(relevances))),
        dict(enumerate(reversed(ledgers))),
        errors=StandardErrors(
            tuple(reversed(errors)),
            tuple(one.total_stderr for one in reversed(estimates.values())),
            tuple(one.error_paths for one in reversed(estimates.values())),
        ),
        limit_errors={start: one.limit_error for start, one in estimates.items()},
    )


def cost(problem: Problem, budget: Budget) -> tuple[int, float]:
    """How many paths a layer of the first sample needs at most, and about how long all take.

    From few paths through each layer, and more: what they cost, and how large their errors are.
    """
    first, times = replace(problem, x=problem.x[:1], track=untracked), list[float]()
    more = min(_MORE, budget.paths)
    few = min(_FEW, more // 2)
    # The first time is not counted: some things are made once.
    for number in (few, few, more):
        begin = perf_counter()
        explanation = sampled(first, Budget(number), 0)
        times.append(perf_counter() - begin)
    each = max(0.0, times[2] - times[1]) / (more - few)
    paths = [budget.needed(more, *error) for error in _errors(explanation)]
    return max(paths), times[1] + each * (sum(paths) / len(paths) - few)


def _errors(explanation: Explanation) -> list[tuple[float, float]]:
    """The sum of each layer's relevances, and its standard error."""
    assert explanation.errors is not None, "it was estimated"
    sums = [float(explanation.relevances[l].sum()) for l in range(len(explanation.errors.sums))]
    return list(zip(sums, map(float, explanation.errors.sums), strict=True))


def train_free_factors(slopes: ForwardSlopes, path: list[Tensor]) -> dict[int, Tensor]:
    """The train-free ratio of relevance to activation of every unit, (B, d_l) for each layer."""
    ratios = {slopes.network.depth: torch.ones_like(path[-1])}
    for l in reversed(range(slopes.network.depth)):
        layer, a = slopes.layers[l], path[l]
        gains = ratios[l + 1] * layer.units(a, torch.zeros_like(a[:, 0])).step
        ratios[l] = layer.product.transposed(gains, a)
    return ratios
