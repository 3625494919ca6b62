"""``recursive``: the exact recursion over a set of samples, with evidence and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from dtd_cli.relevance.concatenate import concatenate
from dtd_cli.relevance.evidence import Evidence, evidence
from dtd_cli.relevance.explanation import Explanation
from dtd_cli.relevance.interactions import interactions
from dtd_cli.relevance.ledger import Ledger, ledger
from dtd_cli.relevance.problem import Problem
from dtd_cli.relevance.recursion import Recursion
from dtd_cli.roots.closed_form import ClosedForm


@torch.no_grad()
def recursive(problem: Problem) -> Explanation:
    """Relevances of every order, each with the roots of its layer on the samples' own path.

    Wherever roots were searched, the closed-form roots of the same units stand beside them.
    """
    recursion = Recursion(
        problem.network, problem.steps, problem.max_points, problem.output, problem.series
    )
    path = recursion.explained.activations(problem.x)
    layers: list[_Decomposition] = []
    upper = path[-1]
    for start, a in reversed(list(enumerate(path[:-1]))):
        rows = recursion.rows(start)
        chunks = list(zip(a.split(rows), upper.split(rows), strict=True))
        bar = tqdm(chunks, desc=f"layer {start}", disable=None if problem.progress else True)
        parts = [_decompose(problem, recursion, start, *chunk) for chunk in bar]
        layers.insert(0, concatenate(parts))
        upper = layers[0].relevance
    return Explanation(
        relevances=(*(layer.relevance for layer in layers), path[-1]),
        ledgers=tuple(layer.ledger for layer in layers),
        evidence=tuple(
            tuple(roots for roots in (layer.roots, layer.closed_form) if roots is not None)
            for layer in layers
        ),
        terms=tuple(layer.terms for layer in layers),
        interactions=tuple(
            layer.interactions for layer in layers if layer.interactions is not None
        ),
    )


@dataclass(frozen=True, eq=False)
class _Decomposition:
    """One layer's relevance (B, d), its part of each degree (B, K, d), and how it came about."""

    relevance: Tensor
    terms: Tensor
    interactions: Tensor | None
    ledger: Ledger
    roots: Evidence
    closed_form: Evidence | None


def _decompose(
    problem: Problem, recursion: Recursion, start: int, a: Tensor, upper: Tensor
) -> _Decomposition:
    """The relevance ``upper`` (B, J) of layer ``start + 1`` decomposed at its anchors ``a``."""
    step = problem.steps[start]
    search = recursion.problem(start, a)
    roots = step.finder(search)
    expansion = recursion.expand(start, a, roots)
    evidence_for = partial(evidence, problem, search.regions, a, upper)
    closed_form = None
    if not isinstance(step.finder, ClosedForm):
        other = ClosedForm()(search)
        closed_form = evidence_for(ClosedForm.name, other, recursion.expand(start, a, other))
    relevance = expansion.relevance(a)
    zero_order = torch.zeros_like(upper[:, 0]).index_add(0, expansion.anchor, expansion.value)
    unresolved = torch.where(roots.contributes, 0, upper).sum(1)
    return _Decomposition(
        relevance,
        expansion.terms(a),
        interactions(recursion, start, a, roots) if problem.interactions else None,
        ledger(upper, relevance, zero_order, unresolved),
        evidence_for(step.label, roots, expansion),
        closed_form,
    )
