"""One expansion of f at one root: its sum, its ledger, the side of the kink, and the tables."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch

from cases import box, network, positive_input, random_network, tensor
from dtd.domains import Domain
from dtd.regions.gates import branch, gates, gates_towards, gradient
from dtd.relevance import METHODS, Problem
from dtd.relevance.plan import Plan, Scheme
from dtd.roots import ROOT_FINDERS
from dtd.roots.contract import Status
from dtd.rules import X, ZPlus
from dtd_cli.config.plots import Plots
from dtd_cli.plots import Tables, draw
from test_cli import dtd_run

MAXIMUM = network([[[1, -1], [-1, 1], [1, 1]], [[0.5, 0.5, 0.5]]], [[0, 0, 0], [0]])

SEARCHES = sorted(set(ROOT_FINDERS) - {"prescribed"})
"""Prescribed roots are no search, and for all layers."""


def explain(net, x, finder="milp", output=0, domain=None, rule=None, **settings):
    finder = ROOT_FINDERS[finder](**settings)
    domain = domain or Domain.real(x.shape[1]).to(x.dtype)
    generator = torch.Generator().manual_seed(0)
    step = Plan(rule or X(), finder, domain, generator)
    problem = Problem(net, output, x, Scheme.of((step,)), 10**6, step)
    return METHODS["simple_taylor"](problem)


def alive(widths, seed, n=5, bias="positive", output=0, output_relu=True):
    """The first network from the seed on whose explained output is positive, and where it is."""
    for later in count(100 * seed):
        net = random_network(widths, later, bias, output_relu)
        x = positive_input(widths[0], later, n=100)
        x = x[net.forward(x)[:, output] > 0][:n]
        if len(x) == n:
            break
    return net, x


def one(explanation, index=0):
    """The evidence of the search, or with 1 of the closed form beside it."""
    return explanation.evidence[0][index]


def test_the_maximum_is_expanded_at_the_origin():
    # Only there is it zero in the quadrant; the side of (3, 1) is the branch f = x1.
    got = explain(MAXIMUM, tensor([[3.0, 1.0]]), domain=box(2, 0.0, 9.0))
    torch.testing.assert_close(got.relevances[0], tensor([[3.0, 0.0]]), rtol=0, atol=1e-13)
    assert got.ledgers[0].remainder.abs().item() < 1e-13
    got = explain(MAXIMUM, tensor([[1.0, 3.0]]), domain=box(2, 0.0, 9.0))
    torch.testing.assert_close(got.relevances[0], tensor([[0.0, 3.0]]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("output_relu", [True, False])
@pytest.mark.parametrize("finder", SEARCHES)
def test_the_ledger_balances(finder, output_relu):
    net, x = alive((3, 5, 4, 3), 2, output=1, output_relu=output_relu)
    got = explain(net, x, finder, output=1)
    f = net.forward(x)[:, 1]
    book = got.ledgers[0]
    assert set(got.relevances) == {0, 3}
    assert set(got.ledgers) == set(got.evidence) == {0}
    assert got.order(0) == 1
    torch.testing.assert_close(got.relevances[3][:, 0], f)
    torch.testing.assert_close(book.upper_sum, f)
    torch.testing.assert_close(book.relevance_sum, got.relevances[0].sum(1))
    total = book.relevance_sum + book.zero_order + book.unresolved + book.remainder
    torch.testing.assert_close(total, f)
    assert one(got).units == (1,)


@pytest.mark.parametrize("finder", SEARCHES)
@pytest.mark.parametrize(
    # With the first every search has a root.
    "seed",
    [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2))],
)
def test_the_relevance_is_the_limit_of_gradients_beside_the_root(finder, seed):
    net, x = alive((3, 6, 4, 1), seed)
    got = explain(net, x, finder)
    for row, root in enumerate(one(got).points[:, 0]):
        if not one(got).rooted[row]:
            assert (got.relevances[0][row] == 0).all()
            continue
        # The limit is reached where two steps, a factor apart, have the same gradient.
        slopes = []
        for step in (1e-6, 1e-8):
            leaf = (root + step * (x[row] - root)).clone().requires_grad_()
            slopes.append(torch.autograd.grad(net.forward(leaf[None]).sum(), leaf)[0])
        torch.testing.assert_close(*slopes)
        want = slopes[0] * (x[row] - root)
        torch.testing.assert_close(got.relevances[0][row], want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "seeds", [(1, 2), pytest.param(range(8), marks=pytest.mark.exhaustive)], ids=["few", "all"]
)
def test_at_a_root_in_the_region_of_the_input_f_is_conserved(seeds):
    seen = 0
    for seed in seeds:
        net, x = alive((3, 6, 1), seed, n=10)
        got = explain(net, x)
        same = one(got).same_region[:, 0].bool()
        torch.testing.assert_close(
            got.relevances[0].sum(1)[same], net.forward(x)[same, 0], rtol=1e-12, atol=1e-12
        )
        seen += same.sum().item()
    assert seen > 5


@pytest.mark.parametrize(
    ("metric", "seed"),
    [
        ("l1", 0),
        ("linf", 1),
        *(
            pytest.param(metric, seed, marks=pytest.mark.exhaustive)
            for metric, seed in (("l1", 1), ("l1", 3), ("linf", 0), ("linf", 3))
        ),
    ],
)
def test_no_other_finder_has_a_nearer_root(metric, seed):
    net, x = alive((3, 6, 4, 1), seed)
    size = {"l1": 1, "linf": torch.inf}[metric]
    nearest = one(explain(net, x, metric=metric))
    assert nearest.certified.all()
    least = torch.linalg.vector_norm(nearest.points[:, 0] - x, size, dim=1)
    compared = 0
    for name in sorted(set(SEARCHES) - {"milp"}):
        other = one(explain(net, x, name))
        found = (other.status == Status.FOUND)[:, 0]
        distance = torch.linalg.vector_norm(other.points[:, 0] - x, size, dim=1)
        assert (distance >= least * (1 - 1e-4))[found].all()
        compared += found.sum().item()
    assert compared


def test_the_closed_form_of_the_local_model_claims_nothing():
    net, x = alive((3, 6, 4, 1), 1, n=20)
    closed = one(explain(net, x, "closed_form", rule=ZPlus()))
    at_root = net.forward(closed.points[:, 0])[:, 0]
    is_root = at_root.abs() <= 1e-9 * net.forward(x)[:, 0]
    assert torch.equal(closed.status[:, 0] == Status.FOUND, is_root)
    assert (~is_root).any()
    assert not closed.certified.any()


def test_samples_do_not_matter_to_each_other():
    net, x = alive((3, 5, 1), 3)
    together = explain(net, x, "random").relevances[0]
    alone = torch.cat([explain(net, row, "random").relevances[0] for row in x.split(1)])
    assert torch.equal(together, alone)


def test_gates_on_kinks_are_those_of_the_way_to_the_anchor():
    # At the origin all three units of the maximum are on their kinks, and so is f.
    anchors = tensor([[3.0, 1.0], [1.0, 3.0], [-1.0, -1.0], [-2.0, 1.0]])
    origin = torch.zeros_like(anchors)
    got = gates_towards(MAXIMUM, origin, anchors)
    want = gates(MAXIMUM, 0, anchors)
    assert all(map(torch.equal, got, want))
    torch.testing.assert_close(branch(MAXIMUM, got, anchors), MAXIMUM.forward(anchors))
    slope = gradient(MAXIMUM, 0, got)
    torch.testing.assert_close(slope[:2], tensor([[1.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("finder", ["milp", "random", "closed_form"])
def test_tables(tmp_path, monkeypatch, finder):
    monkeypatch.chdir(tmp_path)
    arguments = ["network.hidden=[5]", "network.outputs=3", "training=none", "inputs=positive",
                 "inputs.features=4", "inputs.n=4", "inputs.threshold=0.01", "seed=1",
                 "relevance.methods=[recursive,simple_taylor]", f"taylor_roots={finder}",
                 "explain.output=2", "progress=false"]  # fmt: skip
    assert dtd_run(monkeypatch, *arguments, "plots=none", "hydra.run.dir=one") == 0
    tables = {path.stem: pd.read_csv(path) for path in (tmp_path / "one").glob("*.csv")}
    relevance = tables["relevance"]
    taylor = relevance[relevance["method"] == "simple_taylor"]
    assert set(zip(taylor["layer"], taylor["order"], strict=True)) == {(0, 1), (2, 0)}
    ledger = tables["layers"].query("method == 'simple_taylor'")
    assert (ledger["layer"] == 0).all()
    assert (ledger["order"] == 1).all()
    f = tables["inputs"].set_index("sample")["f"]
    np.testing.assert_allclose(ledger["upper_sum"], f[ledger["sample"]])
    sums = taylor[taylor["layer"] == 0].groupby("sample")["relevance"].sum()
    np.testing.assert_allclose(ledger["relevance_sum"], sums[ledger["sample"]], atol=1e-15)
    roots = tables["roots"]
    of_f = roots["method"] == "simple_taylor"
    own = roots[of_f & (roots["finder"] == finder)]
    assert len(own) == len(ledger)
    assert (own["neuron"] == 2).all()
    assert (own["layer"] == 0).all()
    points = tables["root_points"]
    assert set(points["finder"]) <= set(roots["finder"])
    beside = of_f & (roots["finder"] == "closed_form")
    assert beside.sum() == len(ledger)
    assert ("solutions" in tables) == (finder == "milp")
    if finder == "milp":
        assert draw(Tables.read(tmp_path / "one"), tmp_path, Plots(dpi=50), ["roots"])
        assert dtd_run(monkeypatch, *arguments, "plots=none", "hydra.run.dir=two") == 0
        for path in (tmp_path / "one").glob("*.csv"):
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        solved = tables["solutions"]
        columns = [
            "method",
            "sample",
            "layer",
            "neuron",
            "finder",
            "outcome",
            "objective",
            "bound",
            "gap",
        ]
        assert list(solved.columns) == columns
        assert set(solved["outcome"]) <= {"optimal", "infeasible"}
        wide = points[points["finder"] == "milp"].pivot(
            index="sample", columns="index", values="value"
        )
        x = tables["inputs"].set_index("sample").loc[wide.index, ["x1", "x2", "x3", "x4"]]
        distance = np.abs(wide.to_numpy() - x.to_numpy()).sum(1)
        want = solved.set_index("sample").loc[wide.index, "objective"]
        np.testing.assert_allclose(distance, want, rtol=1e-12)


@pytest.mark.parametrize("group", ["roots", "input_roots"])
def test_layer_by_layer_is_refused(tmp_path, monkeypatch, capfd, group):
    monkeypatch.chdir(tmp_path)
    arguments = ["network=notebook", "inputs=notebook", "training=none", f"{group}=milp"]
    assert dtd_run(monkeypatch, *arguments) == 2
    message = capfd.readouterr().err
    assert message.startswith(f"dtd-run: {group}=milp")
    assert "taylor_roots=milp" in message
