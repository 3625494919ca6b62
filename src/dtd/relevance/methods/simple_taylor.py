"""One Taylor expansion of f itself, at one root of f (theory, section 5.2)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from dtd.networks.network import Layer, Network
from dtd.numerics.policy import policy
from dtd.regions.gates import branch, gates, gates_towards, gradient
from dtd.regions.region import Regions
from dtd.relevance.concatenate import concatenate
from dtd.relevance.expansion import Expansion
from dtd.relevance.explanation import Explanation
from dtd.relevance.methods.exact import decompose
from dtd.relevance.problem import Problem
from dtd.relevance.slopes.slope import Pairs
from dtd.roots.contract import RootProblem, Roots, Zeros


@torch.no_grad()
def simple_taylor(problem: Problem) -> Explanation:
    """``R = ∇⁺f(x̃) ⊙ (x - x̃)`` at one root x̃ of f, of the inputs alone.

    Source: DTD (Taylor decomposition); theory, section 5.2.
    """
    network = problem.explained
    f = network.forward(problem.x)
    # A problem for each sample: the rule's direction is that of the sample's own gradient.
    samples = [slice(sample, sample + 1) for sample in range(len(f))]
    decomposition = concatenate(
        [
            decompose(
                problem,
                problem.taylor_plan,
                _search(problem, problem.x[sample]),
                partial(_expand, network, problem.x[sample]),
                f[sample],
                sample,
            )
            for sample in problem.track(samples, "samples")
        ]
    )
    return Explanation(
        relevances={0: decomposition.relevance, network.depth: f},
        ledgers={0: decomposition.ledger},
        evidence={0: decomposition.evidence},
        limit_errors={0: decomposition.limit_error},
    )


def _search(problem: Problem, x: Tensor) -> RootProblem:
    """Roots of f for one sample ``x`` (1, d); the layer is what f is in its region."""
    network, plan = problem.explained, problem.taylor_plan
    slope = gradient(network, 0, gates(network, 0, x))
    offset = network.forward(x)[0] - slope @ x[0]
    own = torch.tensor([problem.output], device=x.device)
    return RootProblem(
        anchors=x,
        layer=Layer(slope, offset, relu=network.layers[-1].relu),
        relevance=network.forward,
        domain=plan.domain,
        rule=plan.rule,
        generator=plan.generator,
        regions=Regions(problem.network, 0, problem.network.depth, own),
        zeros=Zeros.IN_REGION,
        track=problem.track,
    )


def _expand(network: Network, a: Tensor, roots: Roots) -> Expansion:
    """The expansion of f at every root that contributes, on the side of the anchors (B, d)."""
    anchor, unit = roots.contributes.nonzero(as_tuple=True)
    pairs = Pairs(a[anchor], roots.points[anchor, unit], unit, anchor)
    anchors, points = pairs.anchors, pairs.roots
    # A search sees the boundary of the zero set down to rounding only, on this side or that.
    no = torch.zeros_like(anchor, dtype=torch.bool)
    limited = roots.location.needs_limit(no)
    beside = pairs.points(policy(a.dtype).epsilon)
    start = torch.where(limited.unsqueeze(1), beside, points)
    pattern = gates_towards(network, start, anchors)
    slope = gradient(network, 0, pattern)
    value = branch(network, pattern, points).squeeze(1)
    shares = (slope * (anchors - points)).unsqueeze(1)
    limit_error = torch.where(limited, 0, torch.nan).to(a)
    return Expansion(anchor, unit, value, slope, shares, limit_error, untaken=no)
