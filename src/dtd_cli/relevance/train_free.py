"""Train-free relevance: the propagation that users of LRP know (theory, section 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from dtd_cli.inputs.domain import Domain
from dtd_cli.networks.mlp import Layer
from dtd_cli.numerics import policy
from dtd_cli.relevance.explanation import Explanation
from dtd_cli.relevance.ledger import ledger
from dtd_cli.relevance.problem import Problem
from dtd_cli.row_products import row_product
from dtd_cli.rules.rule import Rule, projection, projection_size, sum_of


def train_free(problem: Problem) -> Explanation:
    """The train-free approximation with the rule of each layer (theory, section 5)."""
    network = problem.network.explaining(problem.output)
    *lower, upper = network.activations(problem.x)
    relevances, ledgers = {network.depth: upper}, {}
    layers = zip(network.layers, lower, problem.steps, strict=True)
    for start, (layer, a, step) in reversed(list(enumerate(layers))):
        lower_relevance, divisible = redistribute(a, layer, step.rule, step.domain, upper)
        unresolved = torch.where(divisible, 0, upper).sum(1)
        ledgers[start] = ledger(upper, lower_relevance, unresolved=unresolved)
        relevances[start] = lower_relevance
        upper = lower_relevance
    return Explanation(relevances, ledgers)


def redistribute(
    a: Tensor, layer: Layer, rule: Rule, domain: Domain, upper: Tensor
) -> tuple[Tensor, Tensor]:
    """One layer of train-free relevance, in matrix products.

    ``R_i = Σ_j R_j v_ji w_ji / Σ_i' v_ji' w_ji'``, which is the first-order term where the ratio
    of relevance to activation is taken as constant. For ``zero`` the divisor is z_j (LRP-0).

    Source: DTD, section 5.2 (training-free relevance model).

    Args:
        a: activations (B, d) of the lower layer.
        layer: maps them to the upper layer.
        rule: the direction v.
        domain: where the activations may lie.
        upper: relevances (B, J) of the upper layer.

    Returns:
        The relevances (B, d), and of each upper unit whether it had a divisor (B, J); the
        relevance of one that had none is not redistributed.
    """
    terms = rule.terms(a, layer, domain)
    size = projection_size(terms, layer)
    total = rule.train_free_total(layer.preactivation(a), projection(terms, layer))
    divisible = total.abs() > policy(a.dtype).degenerate * size
    ratio = torch.where(divisible, upper, 0) / torch.where(divisible, total, 1)
    shares = [factor * row_product(ratio, layer.weight * mask) for factor, mask in terms]
    return sum_of(shares), divisible
