"""One-sided limits: right, or marked as what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import filterfalse, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import dtd
from cases import (
    MANY,
    lists,
    network,
    positive_input,
    random_network,
    recursion,
    relevances,
    spread,
    tensor,
)
from dtd.networks.network import Layer, Network
from dtd.numerics import ball_operation, balls
from dtd.numerics.balls import MOST_DIGITS, digits
from dtd.numerics.policy import policy
from dtd.relevance.limits import evaluation, positions
from dtd.relevance.limits.positions import Positions
from dtd.relevance.limits.state import LimitState, states
from dtd.relevance.paths.all import recursive_paths
from dtd.relevance.plan import Scheme
from dtd.relevance.problem import Problem
from dtd.relevance.series.taylor import Taylor
from dtd.relevance.slopes.slope import Pairs
from dtd.roots import ClosedForm, Random
from dtd.roots.location import Anywhere
from literal import Literal
from test_sampled_paths import estimates

RIGHT = 1e-9
HELD = json.loads((Path(__file__).parent / "data" / "limits.json").read_text())
"""Networks in which three limits lie inside each other, with the relevance of every layer in
100-digit arithmetic."""


def held(case):
    net = network(case["weights"], case["biases"])
    return recursion(net, case["rules"], gamma=case["gamma"]), tensor([case["x"]])


def gap(got, want):
    """The largest error of a layer, relative to its largest relevance."""
    got, want = got.squeeze(0), torch.as_tensor(want, dtype=torch.float64)
    return ((got - want).abs().max() / want.abs().max().clamp(min=1e-12)).item()


@pytest.mark.parametrize("case", HELD, ids=range(len(HELD)))
@pytest.mark.parametrize("forward_passes", [True, False])
def test_limits_inside_limits(case, forward_passes):
    rec, x = held(case)
    rec = replace(rec, forward_passes=forward_passes)
    for got, want in zip(relevances(rec, x), case["relevance"], strict=True):
        assert gap(got, want) < RIGHT


@pytest.mark.parametrize("case", HELD[:8], ids=range(8))
def test_all_paths_add_up(case):
    rec, x = held(case)
    scheme = Scheme.of(rec.plans)
    (paths,) = recursive_paths(Problem(rec.network, 0, x, scheme, MANY, rec.plans[0]))
    total = paths.relevance.flatten(2).sum(2)
    assert gap(total, case["relevance"][0]) < RIGHT


@pytest.mark.parametrize(
    "cases", [HELD[2:5], pytest.param(HELD[:5], marks=pytest.mark.exhaustive)], ids=["few", "all"]
)
def test_sampled_paths(cases):
    """Within four standard errors, and half of the errors are no larger than they should be."""
    scores = []
    for case in cases:
        rec, x = held(case)
        if rec.slopes.forward.covers(0):
            (got,) = estimates(rec, x, number=200, layers=[0])
            error = (got.relevance - torch.tensor(case["relevance"][0])).abs()
            largest = max(map(abs, case["relevance"][0]))
            assert (error <= 4 * got.stderr + 1e-6 * largest).all()
            scores += (error / got.stderr)[got.stderr > 1e-3 * largest].square().tolist()
    assert len(scores) >= 5
    assert np.mean(scores) < 2.5


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_every_degree(seed):
    """Degree 2 where limits nest, beside 100 digits."""
    net, x = random_network((3, 3, 2, 1), seed, "zero"), positive_input(3, seed)
    literal = Literal(*lists(net), ["gamma"] * 3, gamma=0.5, degree=2, apart=2)
    rec = recursion(net, "gamma", gamma=0.5, series=Taylor(2))
    with torch.no_grad():
        roots = rec.roots(0, x)
        expansion = rec.expand(0, x, roots)
    for got, want in zip(expansion.terms(x)[0], literal.terms(0, x[0].tolist()), strict=True):
        assert (got - torch.tensor(want)).abs().max() < RIGHT * max(1, net.forward(x).item())


@pytest.mark.parametrize(
    "case", [HELD[1], *(pytest.param(HELD[n], marks=pytest.mark.exhaustive) for n in (0, 2))],
    ids=(1, 0, 2),
)  # fmt: skip
def test_a_relevance_function_is_differentiable(case):
    """Without biases relevance is homogeneous: its Jacobian takes x to R, and so on."""
    rec, x = held(case)
    explainer = dtd.DTD(rec.network, rule=[plan.rule for plan in rec.plans])
    function = explainer.relevance_function(layer=0, target=0)
    x.requires_grad_()
    relevance = function(x)
    assert gap(relevance.detach(), case["relevance"][0]) < RIGHT
    (slope,) = torch.autograd.grad(relevance.square().sum(), x, create_graph=True)
    assert (slope * x).sum().item() == pytest.approx(2 * relevance.square().sum().item(), rel=1e-10)
    (second,) = torch.autograd.grad((slope * x.detach()).sum(), x)
    twice = (second * x).sum().item()
    assert twice == pytest.approx(2 * relevance.square().sum().item(), rel=1e-10)


def test_five_layers():
    net, x = random_network((3, 3, 3, 3, 3, 1), 31, "zero"), positive_input(3, 31)
    assert net.forward(x).item() > 0
    want = Literal(*lists(net), ["gamma"] * 5, gamma=0.5, apart=2).relevances(x[0].tolist())
    rec = recursion(net, "gamma", gamma=0.5)
    for got, wanted in zip(relevances(rec, x), want, strict=True):
        assert gap(got, wanted) < RIGHT


def test_what_is_small_in_single_precision_is_not_zero():
    """At one root the output has its direction from a unit of 1e-4 alone, which is near the
    tolerance for ties: there the limit is not that of a direction that vanishes."""
    weights = [
        [[0.677, 0.090], [0.157, 1.047], [-0.699, 0.441], [0.336, 0.965]],
        [[0.0, 1.214, 0.85612595, 1.472], [0.0, 0.897, 0.45063424, -0.299]],
        [[1.783, 0.236]],
    ]
    biases = [[0.544, 0.948, 0.281, 0.053], [0.11729738, 0.06186033], [0.0266]]
    net, x = network(weights, biases).to(torch.float32), torch.tensor([[1.654, 0.11]])
    rules = ["z+", "gamma", "z+"]
    single, double = (
        dtd.DTD(net.to(dtype), rule=rules, dtype=dtype, domain=dtd.Domain.nonnegative())
        .explain(x.to(dtype), target=0)
        .attribution
        for dtype in (torch.float32, torch.float64)
    )
    assert double.abs().max() > 1000
    assert gap(single.double(), double[0]) < 1e-5


@pytest.mark.parametrize("output_relu", [True, False])
def test_an_output_that_is_dead_at_the_origin(output_relu):
    """The rule zero expands it there: a limit on the way does not bring it to life."""
    net = network([[[1.0]], [[1.0]]], [[1.0], [-0.5]], output_relu=output_relu)
    (below,) = relevances(recursion(net, "zero"), tensor([[1.0]]))[:1]
    assert below.item() == (0.0 if output_relu else 1.0)


@pytest.mark.parametrize("bias", [1e-6, 1e-8, 1e-10, 1e-12])
def test_roots_next_to_the_origin(bias):
    """There a root has lost the digits that relevance is made of: more of them are taken."""
    net = network([[[1.0, 1.0], [1.0, 2.0]], [[1.0, 1.0]]], [[-bias, -1.2 * bias], [-0.1 * bias]])
    below = relevances(recursion(net, "x"), tensor([[0.3, 0.7]]))[0]
    assert gap(below, [0.24 * (1 - bias), 0.56 * (1 - bias)]) < 1e-10


def test_a_root_whose_unit_is_dead_at_the_anchor():
    """Below ``pinv`` a dead unit has relevance, and its gate is closed on the anchor's side."""
    net = network(
        [[[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0.35, 0.82, 0.33]]], [[0.5, 0.5, 0.0], [0.0]]
    )
    rec = recursion(net, ["x", "pinv"], bounds=(-5.0, 5.0))
    x, root = tensor([[1.0, 0.125]]), tensor([[0.5, 0.123]])
    index = torch.tensor([0])
    at, beside = (
        rec.slopes.at(0, Pairs(x, points, index, index), Anywhere(), graph=False)
        for points in (root, root + 1e-9 * (x - root))
    )
    assert (at.slope - beside.slope).abs().max() < 1e-7
    assert at.slope.any()


# Where there is no finite limit.


def endless():
    """A network, found by search, whose R_0 grows without bound."""
    weights = [
        [[0.17, 0.3, -0.48], [-1.82, 1.23, 1.87], [-0.37, -0.19, 0.86]],
        [[1.07, 0.75, 1.89], [-0.42, 1.6, -2.49], [-0.65, 0.58, -1.04]],
        [[-0.13, 0.19, -0.55], [2.04, 1.13, 0.63]],
        [[-0.29, 2.98]],
    ]
    biases = [[0.0, 0.0, 0.0], [0.0, -0.03, -0.15], [0.0, 0.0], [0.34]]
    return network(weights, biases), tensor([[0.41, 0.62, 1.78]])


def test_a_relevance_without_a_limit_is_marked():
    net, x = endless()
    result = dtd.DTD(net, rule=dtd.rules.Gamma(1.0)).explain(x, target=0)
    assert [layer[0] for layer in result.limits] == ["unbounded", "taken", "taken", "none"]
    assert all(relevance.isfinite().all() for relevance in result.relevance)
    roots = result.roots_frame().query("layer == 0")
    marked = roots[roots["limit"] == "unbounded"]
    assert len(marked)
    assert np.isinf(marked["limit_error"]).all()
    assert np.isinf(marked["gradient_norm"]).all()
    assert result.ledger_frame().query("layer == 0")["limits"].tolist() == ["unbounded"]


def test_states():
    errors = tensor([float("nan"), 0.0, 1e-12, 1e-6, 3.0, float("inf")])
    got = [LimitState(state).name for state in states(errors).tolist()]
    assert got == ["NONE", "TAKEN", "TAKEN", "UNSETTLED", "UNSETTLED", "UNBOUNDED"]


def test_a_tie_but_for_rounding():
    """0.3 is not three times 0.1 in floating point: that decides nothing."""
    first = [[0.1, 0.2], [0.3, 0.6], [1.0, -1.0]]
    exact = [[0.125, 0.25], [0.375, 0.75], [1.0, -1.0]]
    upper, output = [[1.0, 1.0, 0.5], [0.5, -0.25, 1.0]], [[1.0, 1.0]]
    x = tensor([[1.5, 0.5]])
    got, want = (
        relevances(recursion(network([w, upper, output], [[0.0] * 3, [0.0] * 2, [0.0]]), "x"), x)
        for w in (first, exact)
    )
    for relevance, w, fine in ((got, first, 1e-12), (want, exact, 1e-12)):
        net = network([w, upper, output], [[0.0] * 3, [0.0] * 2, [0.0]])
        # Without biases the rule x is gradient x input, whose gates are those of the input.
        a = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net.forward(a).sum(), a)
        assert (relevance[0] - slope * x).abs().max() < fine


@pytest.mark.parametrize("finder", [ClosedForm(), Random(candidates=3, steps=3)])
def test_chunks_change_nothing(finder):
    net, x = random_network((3, 4, 3, 1), 3, "zero"), positive_input(3, 3, n=2)
    finders = [finder, *[ClosedForm()] * 2]
    whole, chunked = (
        relevances(recursion(net, "gamma", finders, max_points=size), x) for size in (10**6, 2)
    )
    for got, want in zip(chunked, whole, strict=True):
        assert torch.equal(got, want)


# Networks that are looked for.

STRUCTURES = ("plain", "integer", "dead", "equal", "one input", "zero row", "zero column")
RULES = {
    "gamma": ["gamma"],
    "z+": ["z+"],
    "x": ["x"],
    "w2": ["w2"],
    "pinv": ["pinv"],
    "zero": ["zero"],
    "z+ and gamma": ["z+", "gamma"],
    "gamma and w2": ["gamma", "w2"],
}
DEPTHS = {2: (3, 4, 1), 3: (3, 4, 3, 1), 4: (3, 3, 3, 2, 1), 5: (3, 2, 3, 2, 2, 1)}


def structured(seed):
    """A random network, an input that no unit's kink goes through, rules and a gamma."""
    rng = np.random.default_rng(seed)
    widths = DEPTHS[int(rng.integers(2, 6))]
    structure, kind = rng.choice(STRUCTURES), rng.choice(["zero", "zero", "positive", "mixed"])
    rules = RULES[rng.choice(list(RULES))]
    layers = []
    for inputs, units in pairwise(widths):
        weight, bias = rng.normal(size=(units, inputs)), 0.4 * rng.normal(size=units)
        k, i = rng.integers(units), rng.integers(inputs)
        if structure == "integer":
            weight, bias = rng.integers(-2, 3, size=(units, inputs)) * 1.0, np.round(2 * bias)
        elif structure == "dead" and units > 1:
            weight[k] = -np.abs(weight[k])
        elif structure == "equal" and units > 1:
            weight[k] = weight[0]
        elif structure == "one input" and units > 1:
            weight[k] = np.eye(inputs)[i] * weight[k, i]
        elif structure == "zero row" and units > 1:
            weight[k] = 0
        elif structure == "zero column":
            weight[:, i] = 0
        bias = {"zero": 0 * bias, "positive": np.abs(bias), "mixed": bias}[kind]
        layers.append(Layer(torch.tensor(weight), torch.tensor(bias)))
    net = Network(tuple(layers))
    for x in torch.tensor(np.abs(rng.normal(size=(20, 1, widths[0])))):
        kinks = (
            layer.preactivation(a) for layer, a in zip(layers, net.activations(x), strict=False)
        )
        if net.forward(x).item() > 1e-3 and not any((z == 0).any() for z in kinks):
            return (
                net,
                x,
                [rules[l % len(rules)] for l in range(net.depth)],
                rng.choice([0.25, 1.0]),
            )
    return None


def test_continuous_inner_limits(monkeypatch):
    """They are factors at the roots, where these are known to be right, and else are taken too."""
    drawn = [one for one in map(structured, range(25)) if one and one[0].depth > 3]
    shared = [recursion(net, rules, gamma=gamma) for net, _, rules, gamma in drawn]
    fewer = []

    def told_apart(positions, count):
        fewer.append(told(positions, count) < count)
        return told(positions, count)

    told = Positions.told_apart
    monkeypatch.setattr(Positions, "told_apart", told_apart)
    got = [relevances(rec, x) for rec, (_, x, *_) in zip(shared, drawn, strict=True)]
    assert sum(fewer) > 5
    monkeypatch.setattr(positions, "_few", lambda count: [])
    for rec, (_, x, *_), some in zip(shared, drawn, got, strict=True):
        for one, want in zip(some, relevances(rec, x), strict=True):
            assert gap(one, want.squeeze(0)) < 1e-12


def test_small_weights_leave_a_sign_open():
    """A sign that depends on the root's own unit is not known, however small a weight is."""
    below = [[[-4.0, -4.0], [1.0, 1.0], [-2.0, -2.0]], [[-1.0, 0.0, 0.5], [-2.0, 2.0, -2.0]]]
    cases = [([[[1e-16, 1e-16]]], 1e-16), ([[[1.0, 1.0]]], 1.0)]
    cases.append(([[[1e-16, 1e-16], [1e-16, 2e-16]], [[1e16, 1e16]]], 3.0))
    for above, scale in cases:
        weights = below + above
        net = network(weights, [[0.0] * len(rows) for rows in weights])
        (got, *_) = relevances(recursion(net, "z+"), tensor([[0.75, 0.25]]))
        assert gap(got / scale, [1.5, 0.5]) < 1e-12


def test_positions_that_the_most_digits_tell_apart():
    with digits(MOST_DIGITS):
        # Nothing is left to try with more of them.
        assert all(positions.NEARER.told_apart(count) == count for count in range(1, 13))
    for count in range(1, 7):
        assert positions.NEARER.digits(count)[-1] <= MOST_DIGITS
        exponents = positions.NEARER.exponents(count)
        assert all(e > 1.2 * sum(exponents[:k]) for k, e in enumerate(exponents))


@pytest.mark.parametrize("seed", [26, 75])
def test_positions_that_no_digits_tell_apart_are_marked(monkeypatch, seed):
    """Three limits inside each other need more than 300 digits."""
    net, x, rules, gamma = structured(seed)
    for most, marked in ((MOST_DIGITS, False), (300, True)):
        for module in (balls, ball_operation, evaluation, positions):
            monkeypatch.setattr(module, "MOST_DIGITS", most)
        with torch.no_grad():
            (error,) = recursion(net, rules, gamma=gamma).relevance_and_limits(0, x).limit_error
        assert (error > policy(x.dtype).settled) == marked


def wrong(seeds):
    """Of how many networks, in how many of them with limits, which are wrong and not marked."""
    count = limits = 0
    found = []
    for seed in seeds:
        drawn = structured(seed)
        if drawn is None:
            continue
        net, x, rules, gamma = drawn
        want = Literal(*lists(net), rules, gamma=gamma, apart=2).relevances(x[0].tolist())
        objects = [dtd.rules.Gamma(gamma) if rule == "gamma" else rule for rule in rules]
        result = dtd.DTD(net, rule=objects, domain=dtd.Domain.nonnegative()).explain(x, target=0)
        count += 1
        limits += any(layer[0] != "none" for layer in result.limits)
        for l, numbers in enumerate(want):
            wanted = torch.tensor(numbers, dtype=torch.float64)
            size = max(wanted.abs().max().item(), 1e-6 * result.f.item())
            error = (result.relevance[l][0] - wanted).abs().max().item() / size
            if error > RIGHT and result.limits[l][0] in ("none", "taken"):
                found.append((seed, l, error))
    return count, limits, found


LONG = {0, 15, 26, 29, 39, 45}
"""Of the first sixty, the networks of five layers that take over half a second in many digits."""


@pytest.mark.parametrize(
    "seeds",
    [
        [*filterfalse(LONG.__contains__, range(60))],
        pytest.param(range(60), marks=pytest.mark.exhaustive),
        pytest.param(range(1000, 1600), marks=pytest.mark.exhaustive),
    ],
    ids=["few", "all", "more"],
)
def test_nothing_is_wrong_unmarked(seeds):
    count, limits, found = wrong(seeds)
    assert not found
    assert limits > count / 4 > 5


def proportional(seed, scale):
    """Two units of the first layer are in proportion; ``scale`` is taken back by the next one.

    The numbers have few bits, so that a scale of 1 rounds nothing."""
    net = random_network((3, 4, 3, 1), seed)
    (w, b), (upper, _), last = (
        ((layer.weight * 8).round() / 8, (layer.bias * 8).round() / 8) for layer in net.layers
    )
    w[1], b[1] = 0.75 * w[0], 0.75 * b[0]
    hidden = Layer(upper / scale, torch.zeros_like(upper[:, 0]))
    return Network((Layer(w * scale, b * scale), hidden, Layer(*(part.abs() for part in last))))


@pytest.mark.parametrize(
    ("seed", "rule"), [(7, "w2"), (11, "w2"), (28, "w2"), (35, "gamma"), (37, "gamma")]
)
def test_ties_but_for_rounding(seed, rule):
    """Units that are on their kinks together but for rounding are so in many digits, too."""
    x = positive_input(3, seed)
    exact, rounded = (
        recursion(proportional(seed, scale), rule, gamma=0.5).relevance_and_limits(0, x)
        for scale in (1.0, 0.1)
    )
    assert (rounded.limit_error < RIGHT).all()
    assert exact.relevance.any()
    assert spread(rounded.relevance, exact.relevance) < RIGHT
