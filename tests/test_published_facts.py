"""How many roots lie in the region of their anchor: facts from independent runs.

The network of Sixt and Landgraf, 1000 positive inputs with f > 0.1. Of the closed-form roots those
of active units of layer 1 count, and a region is the pattern of all gates, but for the unit's own.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import dtd
from cases import rule_named
from dtd.domains import Domain
from dtd.explainer.output import Output
from dtd.regions.gates import closed_passage, passage
from dtd.regions.region import Regions
from dtd.roots import ClosedForm
from dtd.roots.contract import RootProblem
from dtd_cli.networks import Paper
from dtd_cli.run.explanations import Way
from dtd_cli.run.studies.published_roots import published_roots

SEEDS = [0, 1, 2, 3, 4, 5, 6]


def positive(net, n):
    """|N(0, I)| until f > 0.1, f the first output."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200 * n, 10, generator=generator).abs().double()
    x = x[net.forward(x)[:, 0] > 0.1]
    return x[:n]


def same_region_share(net, x, rule):
    regions = Regions(net, 0, 1, torch.arange(10))
    problem = RootProblem(
        x,
        net.layers[0],
        lambda points: net.forward(points)[:, :1].expand(-1, 10),
        Domain.nonnegative(10).to(torch.float64),
        rule_named(rule),
        torch.Generator(),
        regions,
    )
    roots = ClosedForm()(problem)
    anchor, unit = (net.layers[0].preactivation(x) > 0).nonzero(as_tuple=True)
    at_anchor = passage(net, 0, x[anchor])
    at_root = closed_passage(net, 0, roots.points[anchor, unit], at_anchor)
    return regions.same(at_root.gates, at_anchor.gates, unit).double().mean().item()


def network(seed):
    return Paper(seed, "relu").build((10,), 2).to(torch.float64)


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [("gamma", 0.13, 0.16), ("z+", 0.18, 0.21), ("w2", 0.25, 0.29), ("zero", 0, 0)],
)
def test_published_network(rule, low, high):
    net = network(1)
    x = positive(net, 1000)
    assert len(x) == 1000
    assert low <= same_region_share(net, x, rule) <= high


@pytest.mark.parametrize(("rule", "average"), [("gamma", 0.16), ("z+", 0.20), ("w2", 0.25)])
def test_average_over_seeds(rule, average):
    shares = []
    for seed in SEEDS:
        net = network(seed)
        x = positive(net, 300)
        # Of a dead network there is nothing to say.
        if len(x) == 300:
            shares.append(same_region_share(net, x, rule))
    assert len(shares) >= 5
    assert sum(shares) / len(shares) == pytest.approx(average, abs=0.06)
    # The conclusion varies with the seed.
    assert max(shares) - min(shares) > 0.05


def drawn_as_published(net, n):
    """The inputs that the research code draws: each has a seed of its own, which the last drew."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(n):
            torch.manual_seed(int(torch.randint(0, 2**32, ())))
            x = torch.randn(1, 10).abs()
            while net.forward(x.double())[0, 0] <= 0.1:
                x = torch.randn(1, 10).abs()
            yield x.double()


def test_the_published_protocol():
    """Shares of inputs as the research code computes them, on its own inputs.

    Its loop passes z+ whatever rule the row is named after: the other rows are with their rules.
    """
    net = network(1)
    x = torch.cat(list(drawn_as_published(net, 1000)))
    prepared = SimpleNamespace(
        explained=torch.ones(len(x), dtype=torch.bool),
        x=x,
        network=net,
        outputs=[Output(0)] * len(x),
        f=net.forward(x)[:, 0],
    )
    for rule, share in (("z+", 0.412), ("gamma", 0.454), ("w2", 0.482), ("zero", 1)):
        explainer = dtd.DTD(
            net, rule=rule_named(rule), domain=Domain.nonnegative(10), method="train_free"
        )
        prepared.scheme = explainer.scheme
        table = published_roots(prepared, {Way("train_free"): explainer.explain(x, 0)})
        inputs = table.groupby("sample")["another_gradient"].any()
        assert inputs.sum() == round(1000 * share)
