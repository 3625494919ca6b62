"""``recursive``: the exact recursion over a set of samples, with evidence and ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dtd.relevance.concatenate import concatenate
from dtd.relevance.evidence import Evidence, evidence
from dtd.relevance.expansion import Expansion
from dtd.relevance.explanation import Explanation
from dtd.relevance.interactions import interactions
from dtd.relevance.ledger import Ledger, ledger
from dtd.relevance.plan import Plan
from dtd.relevance.problem import Problem
from dtd.roots.closed_form import ClosedForm
from dtd.roots.contract import RootProblem, Roots


@torch.no_grad()
def recursive(problem: Problem) -> Explanation:
    """Relevances of every order, each with the roots of its layer on the samples' own path.

    Wherever roots were searched, the closed-form roots of the same units stand beside them.
    """
    recursion = problem.recursion
    *below, _ = problem.way.activations
    path = [*below, recursion.explained.layers[-1](below[-1])]
    layers: dict[int, Decomposition] = {}
    upper = path[-1]
    for start, a in problem.track(list(enumerate(path[:-1]))[::-1], "layers"):
        rows = recursion.batching.anchors(start)
        chunks = [slice(first, first + rows) for first in range(0, len(a), rows)]
        plan = problem.plans[start]
        parts = [
            decompose(
                problem,
                plan,
                recursion.problem(start, a[chunk]),
                partial(recursion.expand, start, a[chunk]),
                upper[chunk],
                chunk,
                partial(interactions, recursion, start, a[chunk]) if problem.interactions else None,
            )
            for chunk in problem.track(chunks, "samples")
        ]
        layers[start] = concatenate(parts)
        upper = layers[start].relevance
    relevances = {start: layer.relevance for start, layer in layers.items()}
    return Explanation(
        relevances={recursion.explained.depth: path[-1], **relevances},
        ledgers={start: layer.ledger for start, layer in layers.items()},
        evidence={start: layer.evidence for start, layer in layers.items()},
        terms={start: layer.terms for start, layer in layers.items()},
        interactions={
            start: layer.interactions
            for start, layer in layers.items()
            if layer.interactions is not None
        },
        limit_errors={start: layer.limit_error for start, layer in layers.items()},
    )


@dataclass(frozen=True, eq=False)
class Decomposition:
    """One layer's relevance (B, d), its part of each degree (B, K, d), and how it came about."""

    relevance: Tensor
    terms: Tensor
    interactions: Tensor | None
    ledger: Ledger
    evidence: tuple[Evidence, ...]
    """Of the roots, and of the closed-form roots beside them."""
    limit_error: Tensor
    """(B,), the largest relative error of the limits."""


def decompose(
    problem: Problem,
    plan: Plan,
    search: RootProblem,
    expand: Callable[[Roots], Expansion],
    upper: Tensor,
    chunk: slice,
    interact: Callable[[Roots], Tensor] | None = None,
) -> Decomposition:
    """The relevance ``upper`` (B, J) decomposed at the anchors of the search.

    They are those of a ``chunk`` of the samples. ``expand`` makes the expansions at roots, and
    ``interact`` their degree-2 matrices.
    """
    a, start = search.anchors, search.regions.start
    roots = plan.finder(search)
    expansion = expand(roots)
    way, slope = problem.way.from_layer(start).rows(chunk), problem.slopes[start][chunk]
    evidence_for = partial(evidence, search.regions, problem.output, way, slope, upper)
    searches = [evidence_for(plan.domain, plan.finder.name, roots, expansion)]
    for finder in {ClosedForm()} - {plan.finder}:
        others = finder(search)
        searches.append(evidence_for(plan.domain, finder.name, others, expand(others)))
    relevance = expansion.relevance(a)
    zero_order = torch.zeros_like(upper[:, 0]).index_add(0, expansion.anchor, expansion.value)
    unresolved = torch.where(roots.contributes, 0, upper).sum(1)
    return Decomposition(
        relevance,
        expansion.terms(a),
        None if interact is None else interact(roots),
        ledger(upper, relevance, zero_order, unresolved),
        tuple(searches),
        expansion.worst_limit(a),
    )
