"""Explanations to compare with."""

from __future__ import annotations

from itertools import pairwise

from dtd.regions.gates import gates, gradients
from dtd.relevance.explanation import Explanation
from dtd.relevance.ledger import ledger
from dtd.relevance.problem import Problem


def gradient_x_input(problem: Problem) -> Explanation:
    """``∇f(a_l) ⊙ a_l`` in every layer (theory, section 5.1)."""
    network = problem.explained
    path = network.activations(problem.x)
    pattern = gates(network, 0, problem.x)
    slopes = [*gradients(network, 0, pattern)][::-1]
    relevances = [*(slope * a for slope, a in zip(slopes, path[:-1], strict=True)), path[-1]]
    ledgers = [ledger(upper, lower) for lower, upper in pairwise(relevances)]
    return Explanation(dict(enumerate(relevances)), dict(enumerate(ledgers)))
