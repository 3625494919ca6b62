"""The factor path: the recursion by forward passes equals the general path, by autograd.

Where no one-sided limit is taken the two differ by rounding. Where one is, the 100-digit literal
decides.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch

from cases import lists, positive_input, random_network, recursion, relevances, spread, tensor
from dtd.relevance.slopes.automatic import AutomaticSlopes
from dtd_cli.networks.paper import Paper
from literal import Literal

WIDTHS = {1: (3, 1), 2: (4, 5, 1), 3: (4, 5, 4, 1), 4: (3, 4, 4, 3, 1)}
EXACT, LIMIT = 1e-12, 1e-9
ALL = range(20)
FEW = {
    (3, "negative"): (0, 3, 9, 12, 14),
    (3, "positive"): (0, 1, 2, 6, 11, 14),
    (3, "zero"): (4, 9, 14),
    (4, "negative"): (4, 8, 18),
    (4, "positive"): (5, 6, 12, 14, 15),
    (4, "zero"): (0, 5),
}
"""Seeds whose networks have relevance in a lower layer at anchors without limits. In most others
all that is compared there is zero, and it takes minutes to find that every anchor has a limit."""


def scans():
    """Depth, bias and seeds; all seeds of the deep networks in the exhaustive tests."""
    for depth, bias in product(WIDTHS, ("negative", "positive", "zero")):
        yield pytest.param(depth, bias, FEW.get((depth, bias), ALL), id=f"{depth}-{bias}")
        if (depth, bias) in FEW:
            yield pytest.param(
                depth, bias, ALL, id=f"{depth}-{bias}-all", marks=pytest.mark.exhaustive
            )


def without_limits(rec, layer, a):
    """The anchors for which no one-sided limit is taken, at any root of any depth.

    And their relevance by the general path."""
    with torch.no_grad():
        general = replace(rec, forward_passes=False).relevance_and_limits(layer, a)
    rows = general.limit_error.isnan()
    return a[rows], general.relevance[rows]


@pytest.mark.parametrize(("depth", "bias", "seeds"), list(scans()))
def test_it_is_the_general_path(depth, bias, seeds):
    compared = 0
    # Few samples of the deep networks have no limits.
    samples = 4 if depth == 4 else 2
    for rule, seed in product(("z+", "gamma", "x"), seeds):
        net = random_network(WIDTHS[depth], seed, bias)
        rec = recursion(net, rule, gamma=0.5)
        path = net.activations(positive_input(net.widths[0], seed, samples))
        for layer, whole in enumerate(path[:-1]):
            a, want = without_limits(rec, layer, whole)
            if len(a):
                with torch.no_grad():
                    assert spread(rec.relevance(layer, a), want) < EXACT
                    roots = rec.plans[layer].finder(rec.problem(layer, a))
                    expanded = rec.expand(layer, a, roots)
                assert spread(expanded.relevance(a), want) < EXACT
                compared += int(want.any(1).sum())
    assert compared > 20


@pytest.mark.parametrize(
    "rules",
    [["zB", "z+", "z+"], ["w2", "gamma", "x"], ["z+", "x", "gamma"], ["x", "w2", "z+"],
     ["zero", "z+", "z+"], ["pinv", "gamma", "z+"]],
    ids=" ".join,
)  # fmt: skip
def test_rules_of_their_own(rules):
    """Also where only the upper layers are made of factors, and roots are on hinges below."""
    compared = 0
    for seed in range(20):
        net = random_network((4, 5, 4, 1), seed, "negative")
        rec = recursion(net, rules, gamma=0.5)
        x, want = without_limits(rec, 0, positive_input(4, seed, 4) / 2)
        if len(x):
            with torch.no_grad():
                assert spread(rec.relevance(0, x), want) < EXACT
            compared += len(x)
    assert compared > 2


@pytest.mark.parametrize("rule", ["z+", "gamma", "x"])
@pytest.mark.parametrize("seed", [2, 3, 4, 10, 11, 25, 39])
def test_positive_biases_against_the_literal(rule, seed):
    """Units above live of their bias alone: the limits that most networks meet."""
    net, x = random_network((4, 5, 4, 1), seed, "positive"), positive_input(4, seed)
    wanted = Literal(*lists(net), [rule] * 3, gamma=0.5).relevances(x[0].tolist())
    for got, want in zip(relevances(recursion(net, rule, gamma=0.5), x), wanted, strict=True):
        assert spread(got[0], want) < LIMIT


@pytest.mark.parametrize(
    ("widths", "bias", "rule", "seed", "row"),
    [
        ((4, 5, 4, 1), "positive", "gamma", 3, 0),
        ((4, 5, 4, 1), "positive", "x", 10, 0),
        ((3, 4, 4, 3, 1), "positive", "x", 0, 3),
        ((3, 4, 4, 3, 1), "positive", "z+", 1, 2),
    ],
)
def test_limits_inside_limits(widths, bias, rule, seed, row):
    """Both paths; a single step for all limits is wrong here."""
    net, x = random_network(widths, seed, bias), positive_input(widths[0], seed, 4)[row : row + 1]
    wanted = Literal(*lists(net), [rule] * net.depth, gamma=0.5).relevances(x[0].tolist())
    rec = recursion(net, rule, gamma=0.5)
    for each in (rec, replace(rec, forward_passes=False)):
        for got, want in zip(relevances(each, x), wanted, strict=True):
            assert spread(got[0], want) < LIMIT


@pytest.mark.parametrize("max_points", [1, 7, 100])
def test_chunks_change_nothing(max_points):
    for bias in ("negative", "positive"):
        net, x = random_network((4, 6, 5, 3, 1), 5, bias), positive_input(4, 5, 6)
        whole = relevances(recursion(net, "z+"), x)
        chunked = relevances(recursion(net, "z+", max_points=max_points), x)
        for got, want in zip(chunked, whole, strict=True):
            assert spread(got, want) < EXACT


def test_general_path_is_for_limits_only(monkeypatch):
    """With negative biases no root of these networks needs it."""
    net = Paper(seed=1, output_activation="relu").build((10,), 2).to(torch.float64).explaining(0)
    x = positive_input(10, 0, 50)
    want = relevances(recursion(net, "z+"), x)
    assert want[0].any()
    asked = []
    monkeypatch.setattr(AutomaticSlopes, "at", lambda *arguments: asked.append(arguments))
    for got, wanted in zip(relevances(recursion(net, "z+"), x), want, strict=True):
        assert torch.equal(got, wanted)
    assert not asked


def test_float32_follows_float64():
    net = random_network((6, 8, 6, 1), 6)
    x = positive_input(6, 6, 20)
    x = x[net.forward(x)[:, 0] > 0]
    double = relevances(recursion(net, "z+"), x)
    rec = recursion(net, "z+")
    plans = tuple(replace(step, domain=step.domain.to(torch.float32)) for step in rec.plans)
    single = relevances(replace(rec, network=net.to(torch.float32), plans=plans), x.float())
    for got, want in zip(single, double, strict=True):
        assert got.dtype == torch.float32
        assert spread(got.double(), want) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu():
    net, x = random_network((6, 8, 6, 1), 3), positive_input(6, 3, 20)
    rec, cuda = recursion(net, "z+"), torch.device("cuda")
    plans = tuple(replace(s, domain=s.domain.to(torch.float64, cuda)) for s in rec.plans)
    there = replace(rec, network=net.to(torch.float64, cuda), plans=plans)
    for got, want in zip(relevances(there, x.to(cuda)), relevances(rec, x), strict=True):
        assert got.is_cuda
        assert spread(got.cpu(), want) < EXACT


def test_by_hand():
    """R_0 of relu(x1 + x2 - 1) under one output relu(2a - 1): the root of the unit is on the
    segment to the origin, where the output is dead, so nothing is left; with 2a + 1 all of f is."""
    for bias, want in ((-1.0, [0.0, 0.0]), (1.0, [2 * 3 * 5 / 8, 2 * 5 * 5 / 8])):
        net = random_network((2, 1, 1), 0)
        first, last = net.layers
        first = replace(first, weight=tensor([[1.0, 1.0]]), bias=tensor([-3.0]))
        last = replace(last, weight=tensor([[2.0]]), bias=tensor([bias]))
        rec = recursion(replace(net, layers=(first, last)), "z+")
        assert relevances(rec, tensor([[3.0, 5.0]]))[0][0].tolist() == pytest.approx(want)
