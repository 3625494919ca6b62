"""Degree K: every expansion to higher degrees, against 100-digit arithmetic and by theorems."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from torch import nn

import dtd
from cases import (
    expansion,
    lists,
    network,
    positive_input,
    random_network,
    recursion,
    relevances,
    spread,
    tensor,
    terms,
)
from dtd.relevance.series.series import Segments
from dtd.relevance.series.taylor import Taylor
from dtd.roots import ClosedForm
from dtd.roots.random_search import RandomSearch
from literal import Literal
from test_cli import dtd_run
from test_recursion_literal import BOX, RULES, SEEDS, WIDTHS, per_layer

EXACT = 1e-11
ALL_ZERO = {("z+", "negative"), ("x", "negative"), ("zB", "negative")}
ONE_DEGREE = {("w2", "negative"), ("w2", "positive"), ("pinv", "positive")}


def cases():
    """Rule, depth, degree, bias and the number of networks.

    Of three layers and degrees it takes seconds to find that all relevance is zero, or all of it
    is of the first degree; those are in the exhaustive tests.
    """
    for rule, sizes, bias in product(RULES, [(2, 3), (3, 2), (3, 3)], ["negative", "positive"]):
        long = sizes == (3, 3) and (rule, bias) in ALL_ZERO | ONE_DEGREE
        yield pytest.param(rule, *sizes, bias, 1, marks=[pytest.mark.exhaustive] * long)
        if sizes != (3, 3):
            yield pytest.param(rule, *sizes, bias, 2, marks=pytest.mark.exhaustive)


def test_below_max_pooling_zero_has_the_first_degree_alone():
    """All is affine between the origin, which is everybody's root, and the anchor."""
    first = nn.Conv1d(1, 2, 2)
    model = nn.Sequential(first, nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(4, 2)).double()
    x = positive_input(5, 0, n=3).unsqueeze(1)
    with torch.no_grad():
        for layer in (first, model[4]):
            layer.weight.abs_()
            layer.bias.fill_(0.1)
    want, got = (dtd.DTD(model, rule="zero", degree=k, input_shape=(1, 5)) for k in (1, 3))
    pairs = zip(want.explain(x, 0).relevance, got.explain(x, 0).relevance, strict=True)
    for one, three in pairs:
        assert (one != 0).any()
        assert torch.equal(one, three)


@pytest.mark.parametrize(("rule", "depth", "degree", "bias", "count"), list(cases()))
def test_every_degree_against_the_literal(rule, depth, degree, bias, count):
    rules = per_layer(rule, depth)
    for seed in SEEDS[bias, depth][:count]:
        net, x = random_network(WIDTHS[depth], seed, bias), positive_input(3, seed)
        literal = Literal(*lists(net), rules, gamma=0.5, box=BOX, degree=degree)
        got = terms(recursion(net, rules, gamma=0.5, bounds=BOX, series=Taylor(degree)), x)
        for layer, a in enumerate(literal.activations(x[0].tolist())[:-1]):
            wanted = tensor(literal.terms(layer, a))
            assert spread(got[layer][0], wanted) < EXACT, f"R_{layer}"


@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x"])
def test_without_biases_against_the_literal(rule):
    """All roots are on ties."""
    for seed in (7, 9):
        net, x = random_network((3, 4, 1), seed, "zero"), positive_input(3, seed)
        literal = Literal(*lists(net), [rule] * 2, degree=3)
        got = terms(recursion(net, rule, series=Taylor(3)), x)[0][0]
        assert spread(got, tensor(literal.terms(0, x[0].tolist()))) < EXACT


@pytest.mark.parametrize("rule", ["z+", "gamma", "x", "zB"])
@pytest.mark.parametrize("seed", [8, pytest.param(9, marks=pytest.mark.exhaustive)])
def test_three_layers_without_biases_against_the_literal(rule, seed):
    """Limits inside limits, differentiated six times."""
    rules = per_layer(rule, 3)
    net, x = random_network((3, 4, 3, 1), seed, "zero"), positive_input(3, seed)
    literal = Literal(*lists(net), rules, gamma=0.5, box=BOX, degree=3)
    got = terms(recursion(net, rules, gamma=0.5, bounds=BOX, series=Taylor(3)), x)[0][0]
    assert literal.limits == 0
    wanted = tensor(literal.terms(0, x[0].tolist()))
    assert literal.limits > 0
    assert spread(got, wanted) < EXACT


@pytest.mark.parametrize("rule", ["z+", "gamma", "x", "zB"])
def test_shares_add_up_to_the_series_of_h(rule):
    """T_k from derivatives along the segment alone, of h in 100 digits."""
    seen = 0
    for seed in SEEDS["positive", 2]:
        rules = per_layer(rule, 2)
        net, x = random_network((3, 4, 1), seed, "positive"), positive_input(3, seed)
        literal = Literal(*lists(net), rules, box=BOX, number=mpf)
        with torch.no_grad():
            found = expansion(recursion(net, rules, bounds=BOX, series=Taylor(4)), 0, x)
        with mp.workdps(150):
            a = [mpf(v) for v in x[0].tolist()]
            for j, shares, limit in zip(
                found.unit.tolist(), found.shares, found.limit_error, strict=True
            ):
                root = literal.root(0, a, j)

                def h(s, root=root, j=j, a=a, literal=literal):
                    return literal.h(0, [r + s * (p - r) for r, p in zip(root, a, strict=True)], j)

                series = mpmath.taylor(h, mpf("1e-40"), 4, direction=1)[1:]
                error = spread(shares.sum(1), [float(t) for t in series])
                assert error < 1e-10
                seen += not limit.isnan()
    assert seen >= 2


@pytest.mark.parametrize("seeds", [(38,), pytest.param((1, 38), marks=pytest.mark.exhaustive)])
def test_a_series_of_degree_one_is_the_core(seeds):
    """The same terms; autograd adds the gradients of its graph up in another order.

    ``relevance.degree=1`` makes no series at all, so its result is the core's, bit for bit.
    """
    for rule in ("z+", "w2", "gamma", "x", "pinv"):
        for seed in seeds:
            for bias in ("negative", "positive", "zero"):
                net, x = random_network((3, 4, 3, 1), seed, bias), positive_input(3, seed, n=3)
                core = replace(recursion(net, rule), forward_passes=False)
                first = recursion(net, rule, series=Taylor(1))
                for want, got in zip(relevances(core, x), relevances(first, x), strict=True):
                    assert spread(got, want) < 1e-14


def test_relevance_is_the_sum_of_its_degrees():
    net, x = random_network((3, 4, 3, 1), 38, "positive"), positive_input(3, 1, n=3)
    rec = recursion(net, "gamma", series=Taylor(3))
    for whole, parts in zip(relevances(rec, x), terms(rec, x), strict=True):
        assert parts.shape[1] == 3
        assert spread(parts.sum(1), whole) < 1e-14


def test_by_hand():
    """Units max(0, x - 1) and max(0, x), both with weight 1. Without a bias above, R_1 is the
    activation and has no second degree."""
    net = network([[[1.0], [1.0]], [[1.0, 1.0]]], [[-1.0, 0.0], [0.0]])
    first, top = terms(recursion(net, "z+", series=Taylor(3)), tensor([[3.0]]))
    assert top[0].tolist() == [[2.0, 3.0], [0, 0], [0, 0]]
    assert first[0, :, 0].tolist() == pytest.approx([5.0, 0, 0])
    # Above, z+ gives unit 0 the share a_0 / (a_0 + a_1) of f = a_0 + a_1 - 1/2:
    # h_0(x) = d (2d + 1/2) / (2d + 1) with d = x - 1, and x = 1 is the root.
    net = network([[[1.0], [1.0]], [[1.0, 1.0]]], [[-1.0, 0.0], [-0.5]])
    rec = recursion(net, "z+", series=Taylor(4))
    with torch.no_grad():
        found = expansion(rec, 0, tensor([[1.25]]))
    d = 0.25
    assert found.shares[0, :, 0].tolist() == pytest.approx([d / 2, d**2, -2 * d**3, 4 * d**4])


FLOATS = st.floats(-2, 2).map(lambda v: round(v, 3))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    st.lists(FLOATS, min_size=3, max_size=3),
    st.lists(FLOATS, min_size=3, max_size=3),
    st.lists(FLOATS, min_size=6, max_size=6),
    st.floats(0.25, 4),
)
def test_eulers_identity(point, delta, weights, scale):
    """Shares of degree k add up to T_k, and scale with the k-th power of Δ: any smooth h."""
    w = tensor(weights).view(2, 3)

    def h(points):
        u, v = (points @ w.T).unbind(1)
        return u**3 * v / (1 + v**2) + u * v

    p, d = tensor([point]), tensor([delta])
    shares = Taylor(4).shares(segments(h, p, d), graph=False).shares[0]
    along = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    derivative, size = h(p + along * d).sum(), 1 + shares.abs().max().item()
    for k in range(1, 5):
        (derivative,) = torch.autograd.grad(
            derivative.sum(), along, create_graph=True, materialize_grads=True
        )
        want = derivative.item() / math.factorial(k)
        assert shares[k - 1].sum().item() == pytest.approx(want, abs=1e-12 * size)
        if not derivative.requires_grad:
            break
    powers = scale ** torch.arange(1, 5, dtype=torch.float64)
    scaled = Taylor(4).shares(segments(h, p, scale * d), graph=False).shares[0]
    assert spread(scaled, shares * powers.unsqueeze(1)) < 1e-12


def segments(h, roots, delta):
    """The segments of one function ``h`` of points, whatever the unit."""
    return Segments(
        network=random_network((roots.shape[1], 1, 1), 0),
        start=0,
        unit=torch.zeros(len(roots), dtype=torch.long),
        roots=roots,
        delta=delta,
        points=roots,
        open_gates=torch.zeros(len(roots), 1, dtype=torch.bool),
        function=lambda points, gates, unit: (h(points), unit),
        together=10,
    )


SEARCH = RandomSearch(candidates=3, steps=3)


@pytest.mark.parametrize(
    ("widths", "seed", "finder", "max_points"),
    [
        ((3, 4, 3, 1), 38, ClosedForm(), 7),
        ((3, 4, 3, 1), 38, ClosedForm(), 60),
        ((3, 4, 1), 9, SEARCH, 7),
        pytest.param((3, 4, 3, 1), 38, SEARCH, 7, marks=pytest.mark.exhaustive),
        pytest.param((3, 4, 3, 1), 38, SEARCH, 60, marks=pytest.mark.exhaustive),
    ],
)
def test_chunks_change_nothing(widths, seed, finder, max_points):
    net, x = random_network(widths, seed, "positive"), positive_input(3, 1, n=2)
    finders = [finder, *[ClosedForm()] * (net.depth - 1)]
    whole, chunked = (
        terms(recursion(net, "z+", finders, max_points=size, series=Taylor(2)), x)
        for size in (10**6, max_points)
    )
    assert whole[0].any()
    for got, want in zip(chunked, whole, strict=True):
        assert spread(got, want) < 1e-11


def test_in_single_precision():
    net, x = random_network((3, 4, 1), 9), positive_input(3, 9)
    want = terms(recursion(net, "z+", series=Taylor(3)), x)[0]
    rec = recursion(net.to(torch.float32), "z+", series=Taylor(3))
    assert spread(terms(rec, x.float())[0].double(), want) < 1e-4


@pytest.mark.parametrize("degree", ["0", "-1", "1.5", "two", "true", "nan", "-inf", "[2]"])
def test_bad_degrees_are_refused_with_the_number(tmp_path, monkeypatch, capfd, degree):
    monkeypatch.chdir(tmp_path)
    assert dtd_run(monkeypatch, f"relevance.degree={degree}") == 2
    error = capfd.readouterr().err
    allowed = "allowed is any integer >= 1, or inf (.inf in a file)"
    assert error == f"dtd-run: relevance.degree={degree}: {allowed}\n"
