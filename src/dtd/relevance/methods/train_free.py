"""Train-free relevance: the propagation that users of LRP know (theory, sections 5.1 and 7.5).

All samples of a call go through together, so the products here are plain ones: those of
``numerics/products.py``, whose rows do not depend on how many there are, cost a single sample ten
times as much.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.relevance.explanation import Explanation
from dtd.relevance.ledger import ledger
from dtd.relevance.problem import Problem
from dtd.rules.rule import Rule, sum_of


def train_free(problem: Problem) -> Explanation:
    """The train-free approximation with the rule of each layer (theory, section 5.1)."""
    relevances, ratios = propagate(problem)
    ledgers = (
        ledger(upper, lower, unresolved=torch.where(ratio == 0, upper, 0).sum(1))
        for (lower, upper), ratio in zip(pairwise(relevances), ratios, strict=True)
    )
    return Explanation(dict(enumerate(relevances)), dict(enumerate(ledgers)))


def propagate(problem: Problem) -> tuple[list[Tensor], list[Tensor]]:
    """The relevances R_0, ..., R_L, (B, d_l), and the ratios by which layers 1..L were shared out.

    The relevance of a unit whose ratio is zero is not redistributed.
    """
    scheme = problem.scheme
    *lower, upper = _activations(problem.explained, problem.x)
    relevances, ratios = [upper], []
    parts = zip(problem.explained.layers, lower, scheme.rules, scheme.domains, strict=True)
    for layer, a, rule, domain in reversed(list(parts)):
        upper, ratio = redistribute(a, layer, rule, domain, upper)
        relevances.append(upper)
        ratios.append(ratio)
    return relevances[::-1], ratios[::-1]


def redistribute(
    a: Tensor, layer: AnyLayer, rule: Rule, domain: Domain, upper: Tensor
) -> tuple[Tensor, Tensor]:
    """One layer of train-free relevance, in matrix products.

    ``R_i = Σ_j R_j v_ji w_ji / Σ_i' v_ji' w_ji'``, which is the first-order term where the ratio
    of relevance to activation is taken as constant. For ``zero`` the divisor is z_j (LRP-0).

    Source: DTD, training-free relevance model.

    Args:
        a: activations (B, d) of the lower layer.
        layer: maps them to the upper layer.
        rule: of the layer.
        domain: where the lower activations may lie.
        upper: relevances (B, J) of the upper layer.

    Returns:
        The relevances (B, d), and of each upper unit the ratio of its relevance to its divisor
        (B, J), zero if it has none.
    """
    parts = [(factor, product.together) for factor, product in rule.products(a, layer, domain)]
    projection = sum_of([product(factor) for factor, product in parts])
    total = rule.train_free_divisor(a, layer, projection)
    # Here and below what is overwritten is new: no memory is asked for again.
    if rule.never_cancels(domain):
        torch.threshold_(total, 0, torch.inf)
    else:
        size = sum_of([product.sizes(factor.abs()) for factor, product in parts])
        total.masked_fill_(total.abs() <= policy(a.dtype).degenerate * size, torch.inf)
    ratio = torch.div(upper, total, out=total)
    return sum_of([product.transposed(ratio, a).mul_(factor) for factor, product in parts]), ratio


def _activations(network: Network, x: Tensor) -> list[Tensor]:
    """``[a_0, ..., a_L]``, each of shape (B, units)."""
    path = [x]
    for layer in network.layers:
        path.append(layer.activations_together(path[-1]))
    return path
