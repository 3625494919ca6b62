"""``recursive`` estimated from sampled paths, with standard errors and ledger."""

from __future__ import annotations

from math import inf
from time import perf_counter

import torch
from torch import Tensor

from dtd.relevance.explanation import Explanation, StandardErrors
from dtd.relevance.ledger import ledger
from dtd.relevance.paths.budget import Budget
from dtd.relevance.paths.draws import draw, drawing_shares
from dtd.relevance.paths.estimate import Estimate
from dtd.relevance.paths.guess import Guess
from dtd.relevance.paths.sampled import SampledPaths
from dtd.relevance.problem import Problem
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.relevance.slopes.slope import Pairs

_TIMED = 64


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


@torch.no_grad()
def seconds(problem: Problem, paths: int) -> float:
    """About how long :func:`sampled` takes, from the time of a few paths through each layer.

    A path from a layer goes through all layers above, and every layer has paths of its own, but for
    the last two, which need none.
    """
    slopes = problem.recursion.slopes.forward
    assert slopes is not None, "sampled paths are those of linear terms"
    times = []
    for l, a in enumerate(slopes.network.activations(problem.x[:1])[:-2]):
        layer, rows = slopes.layers[l], a.expand(_TIMED, -1).contiguous()
        took = inf
        # The first time is not counted: some things are made once.
        for _ in range(3):
            begin = perf_counter()
            units = layer.units(rows, torch.zeros_like(rows[:, 0]))
            unit = units.z.argmax(1)
            terms = units.step * layer.product.columns(torch.zeros_like(unit), rows)
            draw(drawing_shares(torch.ones_like(terms), terms.abs(), terms[0].abs()), rows[:, :1])
            points = layer.roots(rows, units.step.gather(1, unit.unsqueeze(1)).squeeze(1), unit)
            slopes.reach(l, Pairs(rows, points, unit, unit), units.size)
            took = min(took, perf_counter() - begin)
        times.append(took / _TIMED)
    return (
        paths
        * len(problem.x)
        * sum(min(l + 1, slopes.network.depth - 2) * time for l, time in enumerate(times))
    )


def train_free_factors(slopes: ForwardSlopes, path: list[Tensor]) -> dict[int, Tensor]:
    """The train-free ratio of relevance to activation of every unit, (B, d_l) for each layer."""
    ratios = {slopes.network.depth: torch.ones_like(path[-1])}
    for l in reversed(range(slopes.network.depth)):
        layer, a = slopes.layers[l], path[l]
        gains = ratios[l + 1] * layer.units(a, torch.zeros_like(a[:, 0])).step
        ratios[l] = layer.product.transposed(gains, a)
    return ratios
