"""Train-free relevance: the propagation that users of LRP know (theory, section 5)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from dtd_cli.networks.mlp import Layer
from dtd_cli.numerics import policy
from dtd_cli.relevance.explanation import Explanation
from dtd_cli.relevance.ledger import ledger
from dtd_cli.relevance.problem import Problem
from dtd_cli.relevance.step import Step
from dtd_cli.rules.rule import sum_of


def train_free(problem: Problem) -> Explanation:
    """The train-free approximation with the rule of each layer (theory, section 5)."""
    relevances, indivisible = propagate(problem)
    ledgers = (
        ledger(upper, lower, unresolved=torch.where(left, upper, 0).sum(1))
        for (lower, upper), left in zip(pairwise(relevances), indivisible, strict=True)
    )
    return Explanation(dict(enumerate(relevances)), dict(enumerate(ledgers)))


def propagate(problem: Problem) -> tuple[list[Tensor], list[Tensor]]:
    """The relevances R_0, ..., R_L, (B, d_l), and which units of layers 1..L had no divisor.

    The relevance of a unit without one is not redistributed.
    """
    network = problem.network.explaining(problem.output)
    *lower, upper = network.activations(problem.x)
    relevances, indivisible = [upper], []
    for layer, a, step in reversed(list(zip(network.layers, lower, problem.steps, strict=True))):
        upper, left = redistribute(a, layer, step, upper)
        relevances.append(upper)
        indivisible.append(left)
    return relevances[::-1], indivisible[::-1]


def redistribute(a: Tensor, layer: Layer, step: Step, upper: Tensor) -> tuple[Tensor, Tensor]:
    """One layer of train-free relevance, in matrix products.

    ``R_i = Σ_j R_j v_ji w_ji / Σ_i' v_ji' w_ji'``, which is the first-order term where the ratio
    of relevance to activation is taken as constant. For ``zero`` the divisor is z_j (LRP-0).

    Source: DTD, section 5.2 (training-free relevance model).

    Args:
        a: activations (B, d) of the lower layer.
        layer: maps them to the upper layer.
        step: the rule, and where the activations may lie.
        upper: relevances (B, J) of the upper layer.

    Returns:
        The relevances (B, d), and of each upper unit whether it had no divisor (B, J).
    """
    rule, domain = step.rule, step.domain
    parts = [(factor, layer.weight * mask) for factor, mask in rule.terms(a, layer, domain)]
    projection = sum_of([factor @ product.T for factor, product in parts])
    total = rule.train_free_total(a, layer, projection)
    if rule.one_sign and domain.is_nonnegative:
        indivisible = total <= 0
    else:
        size = sum_of([factor.abs() @ product.abs().T for factor, product in parts])
        indivisible = total.abs() <= policy(a.dtype).degenerate * size
    # All of these tensors are new: no memory is asked for again.
    ratio = torch.div(upper, total.masked_fill_(indivisible, torch.inf), out=total)
    return sum_of([(ratio @ product).mul_(factor) for factor, product in parts]), indivisible
