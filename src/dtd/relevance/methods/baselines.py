"""Explanations to compare with."""

from __future__ import annotations

from itertools import pairwise

from dtd.regions.gates import gates, gradient
from dtd.relevance.explanation import Explanation
from dtd.relevance.ledger import ledger
from dtd.relevance.problem import Problem


def gradient_x_input(problem: Problem) -> Explanation:
    """``∇f(a_l) ⊙ a_l`` in every layer (theory, section 5.1)."""
    network = problem.explained
    path = network.activations(problem.x)
    pattern = gates(network, 0, problem.x)
    relevances = [
        gradient(network, start, pattern[start:]) * a for start, a in enumerate(path[:-1])
    ]
    relevances.append(path[-1])
    ledgers = [ledger(upper, lower) for lower, upper in pairwise(relevances)]
    return Explanation(dict(enumerate(relevances)), dict(enumerate(ledgers)))
