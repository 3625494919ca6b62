"""Roots on kinks: everything here would be zero, or noise, without the one-sided limit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from cases import (
    gradient_x_input,
    lists,
    network,
    positive_input,
    random_network,
    recursion,
    relevances,
    spread,
    tensor,
)
from dtd.networks.network import Network
from dtd.relevance.slopes.needed import side
from dtd.relevance.slopes.slope import Pairs
from dtd.roots.location import OnBoundary
from literal import Literal, conserves

EXACT = 1e-11

MAXIMUM = network([[[1.0, -1], [-1, 1], [1, 1]], [[0.5, 0.5, 0.5]]], [[0.0, 0, 0], [0.0]])
"""max(x1, x2) for positive inputs."""


def literal_spread(net, rules, x, gamma=0.5):
    """The largest error of any R_l, and whether limits were needed."""
    rules = [rules] * net.depth if isinstance(rules, str) else rules
    literal = Literal(*lists(net), rules, gamma=gamma)
    wanted = literal.relevances(x[0].tolist())
    got = relevances(recursion(net, rules, gamma=gamma), x)
    errors = [spread(mine[0], want) for mine, want in zip(got, wanted, strict=True)]
    return max(errors), literal.limits > 0


# Homogeneous networks.


@pytest.mark.parametrize(("x1", "x2"), [(3.0, 1.0), (2.0, 2.5), (1e-3, 7e-4), (1e5, 3.0)])
def test_maximum_in_closed_form(x1, x2):
    """DTD's closed form; scaling by a power of two is exact, so nothing but rounding is left."""
    larger, smaller = max(x1, x2), min(x1, x2)
    shares = {larger: larger - smaller / 2, smaller: smaller / 2}
    want = tensor([[shares[x1], shares[x2]]])
    r_0, r_1 = relevances(recursion(MAXIMUM, "z+"), tensor([[x1, x2]]))
    torch.testing.assert_close(r_0, want, rtol=4e-16, atol=0)
    halves = tensor([[max(0.0, x1 - x2), max(0.0, x2 - x1), x1 + x2]]) / 2
    torch.testing.assert_close(r_1, halves, rtol=4e-16, atol=0)
    assert Literal(*lists(MAXIMUM), ["z+"] * 2).train_free([x1, x2])[0] == pytest.approx(
        want[0].tolist(), rel=1e-15
    )


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_x_is_gradient_times_input_without_biases(depth):
    """Euler's theorem: all roots are the origin, and every layer's relevance adds up to f."""
    seen, width = 0, 5 if depth < 4 else 3
    for seed in range(20 if depth < 4 else 4):  # the tree of roots grows with every layer
        net = random_network((4, *[width] * (depth - 1), 1), seed, "zero")
        x = positive_input(4, seed, n=4)
        path = net.activations(x)
        got = relevances(recursion(net, "x"), x)
        for layer, relevance in enumerate(got):
            above = Network(net.layers[layer:])
            assert spread(relevance, gradient_x_input(above, path[layer])) < EXACT
            assert spread(relevance.sum(1, keepdim=True), path[-1]) < EXACT
        seen += int((path[-1] > 0).sum())
    assert seen >= 4


def test_x_is_gradient_times_input_for_signed_inputs():
    net = random_network((4, 6, 5, 1), 3, "zero")
    x = positive_input(4, 3, n=20) * tensor([[1.0, -1, 1, -1]])
    assert (net.forward(x) > 0).any()
    assert spread(relevances(recursion(net, "x"), x)[0], gradient_x_input(net, x)) < EXACT


@pytest.mark.parametrize("rule", ["z+", "w2", "x"])
def test_without_biases_against_the_literal(rule):
    for seed in (7, 35, 42, 45):
        net = random_network((3, 4, 3, 1), seed, "zero")
        error, limit = literal_spread(net, rule, positive_input(3, seed))
        assert limit
        assert error < 1e-12


def test_relevance_scales_with_the_input():
    """Also far below any absolute epsilon."""
    net = random_network((3, 4, 3, 1), 7, "zero")
    x = positive_input(3, 7)
    whole = relevances(recursion(net, "z+"), x)[0]
    assert (whole != 0).any()
    for power in (-60, -200, 60):
        scale = 2.0**power
        scaled = relevances(recursion(net, "z+"), scale * x)[0]
        assert spread(scaled / scale, whole) < EXACT


# Ties that biases at zero, or equal units, make.


def zero_biases(net, seed):
    """About half of the biases are zero, as training with a projection leaves them."""
    generator = torch.Generator().manual_seed(1000 + seed)
    layers = []
    for layer in net.layers:
        kept = torch.rand(layer.bias.shape, generator=generator) < 0.5
        layers.append(replace(layer, bias=layer.bias * kept))
    return Network(tuple(layers))


@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x", "pinv", "zero"])
def test_some_biases_are_zero(rule):
    for seed in (3, 4, 9, 15, 28, 35):
        net = zero_biases(random_network((3, 4, 3, 1), seed), seed)
        assert net.forward(positive_input(3, seed)).item() > 0
        error, limit = literal_spread(net, rule, positive_input(3, seed))
        assert limit
        assert error < 1e-9


def fed_by_one(net, unit=1):
    """Unit 0 of the second layer sees one unit of the first only, and has no bias: at that
    unit's root it is on its kink as well."""
    layer = net.layers[1]
    weight, bias = layer.weight.clone(), layer.bias.clone()
    weight[0], bias[0] = 0, 0
    weight[0, unit] = 1.5
    return Network((net.layers[0], replace(layer, weight=weight, bias=bias), *net.layers[2:]))


@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x"])
def test_a_tie_in_the_layer_above(rule):
    relevance = 0.0
    for seed in (4, 9, 13, 24):
        net, x = fed_by_one(random_network((3, 4, 3, 1), seed)), positive_input(3, seed)
        error, limit = literal_spread(net, rule, x)
        assert limit
        assert error < 1e-12
        relevance += relevances(recursion(net, rule, gamma=0.5), x)[0].abs().sum().item()
    assert relevance > 0


@pytest.mark.parametrize("seed", [26, 36])
def test_a_limit_gives_to_a_weight_of_zero(seed):
    """z+ counts a weight of zero as positive, so the origin is the root of unit 0 of the second
    layer: the slope there is a limit, which has components where the weights are zero."""
    net = fed_by_one(random_network((3, 4, 3, 1), seed, "zero"))
    x = positive_input(3, seed)
    error, limit = literal_spread(net, ["w2", "z+", "gamma"], x)
    assert limit
    assert error < EXACT
    assert relevances(recursion(net, ["w2", "z+", "gamma"], gamma=0.5), x)[0].abs().sum() > 0


def test_a_tie_in_the_layer_above_by_hand():
    """h_0(x) = R_1 of 2 max(0, x - 1), fed through a unit without bias, beside a unit that is
    alive everywhere. Both gates of the chain must be open at x = 1, or the slope 2 is lost."""
    net = network(
        [[[1.0], [1.0]], [[2.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[-1.0, 0], [0, 0], [0]]
    )
    r_0, r_1, _ = relevances(recursion(net, "x"), tensor([[3.0]]))
    torch.testing.assert_close(r_1, tensor([[4.0, 3.0]]), rtol=1e-15, atol=0)
    torch.testing.assert_close(r_0, tensor([[2 * (3 - 1.0) + 3]]), rtol=1e-15, atol=0)


def test_the_output_is_tied_at_a_root():
    """f = max(0, (x - 1) + x - 1) is on its kink at x = 1, the root of unit 0, where unit 1 is
    alive. With w2 each unit has half of it: h_0(x) = x - 1, on the anchor's side only."""
    net = network([[[1.0], [1.0]], [[1.0, 1.0]]], [[-1.0, 0.0], [-1.0]])
    r_0, r_1 = relevances(recursion(net, "w2"), tensor([[3.0]]))
    torch.testing.assert_close(r_1, tensor([[2.0, 2.0]]), rtol=1e-15, atol=0)
    torch.testing.assert_close(r_0, tensor([[2.0]]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("output_relu", [True, False])
@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x"])
def test_the_output_is_zero_at_a_root(rule, output_relu):
    """f = max(0, x - 1), beside a unit of weight zero that is alive. Where f is zero nothing is
    decomposed, so f has a kink there with a ReLU and without one."""
    net = network([[[1.0], [1.0]], [[1.0, 0.0]]], [[-1.0, 0.0], [0.0]], output_relu)
    r_0, r_1 = relevances(recursion(net, rule), tensor([[3.0]]))
    torch.testing.assert_close(r_1, tensor([[2.0, 0.0]]), rtol=1e-15, atol=0)
    torch.testing.assert_close(r_0, tensor([[2.0]]), rtol=EXACT, atol=0)


def with_twins(net):
    """Unit 1 equals unit 0, and in the second layer unit 2 is twice unit 1."""
    first, second, *rest = net.layers
    w, b = first.weight.clone(), first.bias.clone()
    w[1], b[1] = w[0], b[0]
    v, c = second.weight.clone(), second.bias.clone()
    v[2], c[2] = 2 * v[1], 2 * c[1]
    return Network((replace(first, weight=w, bias=b), replace(second, weight=v, bias=c), *rest))


@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x"])
def test_equal_units(rule):
    """Twins are tied at each other's roots, and h is curved there."""
    for seed in (6, 7, 9, 28, 29, 36):
        net = with_twins(random_network((3, 4, 3, 1), seed))
        error, limit = literal_spread(net, rule, positive_input(3, seed))
        assert limit
        assert error < EXACT


def test_twins_share_what_one_unit_had():
    net = network([[[1.0, 0.5]], [[2.0]]], [[-0.5], [-0.25]])
    twins = network([[[1.0, 0.5]] * 2, [[1.0, 1.0]]], [[-0.5] * 2, [-0.25]])
    x = tensor([[2.0, 1.0]])
    for rule in ("z+", "gamma", "x"):
        one, two = relevances(recursion(net, rule), x), relevances(recursion(twins, rule), x)
        torch.testing.assert_close(two[1], one[1].repeat(1, 2) / 2, rtol=1e-14, atol=0)
        torch.testing.assert_close(two[0], one[0], rtol=EXACT, atol=1e-12)


# Nobody left alive.


def test_all_other_units_dead_at_a_root():
    """One hidden unit, positive bias above: h(x) = 2 (x - 1) + 1 for x > 1, by the rule x."""
    net = network([[[1.0]], [[2.0]]], [[-1.0], [1.0]])
    r_0, r_1 = relevances(recursion(net, "x"), tensor([[3.0]]))
    torch.testing.assert_close(r_1, tensor([[5.0]]), rtol=1e-15, atol=0)
    torch.testing.assert_close(r_0, tensor([[4.0]]), rtol=1e-9, atol=0)
    # With a negative bias the unit above is dead in a whole neighbourhood of the root.
    net = network([[[1.0]], [[2.0]]], [[-1.0], [-1.0]])
    r_0, r_1 = relevances(recursion(net, "x"), tensor([[3.0]]))
    torch.testing.assert_close(r_1, tensor([[3.0]]), rtol=1e-15, atol=0)
    assert r_0.item() == 0


@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x", "zero", "pinv"])
def test_everything_dead_gives_zeros(rule):
    net = random_network((3, 4, 3, 1), 0)
    dead = Network(tuple(replace(layer, bias=layer.bias - 100) for layer in net.layers))
    for x in (positive_input(3, 0, n=5), torch.zeros(2, 3, dtype=torch.float64)):
        for relevance in relevances(recursion(dead, rule), x):
            assert (relevance == 0).all()
        for relevance in relevances(recursion(net, rule), 0 * x):
            assert (relevance == 0).all()


def with_idle_units(net):
    """Two units more in each hidden layer, with weights and biases zero."""
    layers, extra_inputs = [], 0
    for layer in net.layers:
        units = 0 if layer is net.layers[-1] else 2
        weight, bias = pad(layer.weight, (0, extra_inputs, 0, units)), pad(layer.bias, (0, units))
        layers.append(replace(layer, weight=weight, bias=bias))
        extra_inputs = units
    return Network(tuple(layers))


def every_relevance(rec, x):
    """R_0, ..., R_{L-1} at the activations of ``x``, and what became of their limits."""
    path = rec.network.activations(x)
    with torch.no_grad():
        return [rec.relevance_and_limits(layer, a) for layer, a in enumerate(path[:-1])]


@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x", "zero"])
@pytest.mark.parametrize("bias", ["negative", "positive", "zero"])
@pytest.mark.parametrize(
    "seeds", [(9, 38), pytest.param((1, 3, 9, 38), marks=pytest.mark.exhaustive)], ids=str
)
def test_units_that_are_identically_zero_change_nothing(rule, bias, seeds):
    """They have no kink, so they must not even switch an exact derivative to the limit."""
    for seed, forward_passes in product(seeds, (True, False)):
        net, x = random_network((3, 4, 3, 1), seed, bias), positive_input(3, seed)
        plain, idle = (
            every_relevance(replace(recursion(n, rule), forward_passes=forward_passes), x)
            for n in (net, with_idle_units(net))
        )
        for got, want in zip(idle, plain, strict=True):
            width = want.relevance.shape[1]
            # Numbers are added in another order; where a limit was taken anyway, rounding is
            # divided by its step.
            assert spread(got.relevance[:, :width], want.relevance) < 1e-9
            assert (got.relevance[:, width:] == 0).all()
            # Forward passes call a limit what they have exactly.
            assert forward_passes or torch.equal(got.limit_error.isnan(), want.limit_error.isnan())


# Where the practical rule "own gate open, if it is the only tie and another unit is alive" does
# not give the limit.


@pytest.mark.parametrize("x", [3.0, 2.0, 2.7])
def test_the_unit_above_has_nothing_positive_left_at_the_root(x):
    """z+ divides by the sum of positive parts: 0/0 though another unit is alive.

    f = max(0, x - 1) - x/2 + 1. Above, the whole relevance goes to unit 0, the only positive
    part, so that h_0(x) = f(x) for every x > 1, with slope 1/2. At the root x = 1 itself its
    part is zero, while unit 1 with its negative weight is alive.
    """
    net = network([[[1.0], [0.5]], [[1.0, -1.0]]], [[-1.0, 0.0], [1.0]])
    r_0, r_1 = relevances(recursion(net, "z+"), tensor([[x]]))
    torch.testing.assert_close(r_1, tensor([[x / 2, 0.0]]), rtol=1e-15, atol=0)
    torch.testing.assert_close(r_0, tensor([[(x - 1) / 2]]), rtol=EXACT, atol=0)


def test_the_root_above_moves_onto_more_kinks_at_the_root():
    """gamma, biases of the upper layers zero: there is a root above at the origin for a_0 = 0
    only, and a tie of two units; for every a_0 > 0 it lies elsewhere and one of them is dead.
    """
    net = network([[[1.0], [1.0]], [[-2.0, 1], [-2, 2]], [[-1.0, 1]]], [[-1.0, 0], [0, 0], [0]])
    x, root = tensor([[2.5]]), tensor([[1.0]])
    rec = recursion(net, "gamma")
    near = (root + 2.0**-16 * (x - root)).requires_grad_()
    (slope,) = torch.autograd.grad(rec.upper(0, near, graph=True)[0, 0], near)
    assert slope.item() == pytest.approx(-0.5, abs=1e-6)  # on the anchor's side, no root involved
    assert Literal(*lists(net), ["gamma"] * 3).relevances([2.5])[0] == pytest.approx([1.75])
    assert relevances(rec, x)[0].item() == pytest.approx(1.75, rel=EXACT)


@pytest.mark.parametrize("seed", [35, 42, 119, 146])
def test_gamma_without_biases(seed):
    """The same in networks as they come: no biases, nothing special about the weights."""
    net = random_network((3, 4, 3, 1), seed, "zero")
    error, _ = literal_spread(net, "gamma", positive_input(3, seed))
    assert error < EXACT


def test_the_inner_limit_comes_first():
    """With a tie in the layer above and a positive bias at the output, the relevance of the middle
    layer goes like 1/a: the inner steps have to be small beside the square of the outer ones."""
    net = fed_by_one(random_network((3, 4, 3, 1), 25, "positive"))
    x = positive_input(3, 25)
    want = Literal(*lists(net), ["x"] * 3, apart=2).relevance(0, x[0].tolist())
    assert spread(relevances(recursion(net, "x"), x)[0][0], want) < 1e-7


@pytest.mark.parametrize(
    ("rule", "seed", "bias", "zeroed"),
    [
        ("gamma", 135, "zero", False),
        ("gamma", 16, "zero", False),
        ("gamma", 25, "negative", True),
        ("x", 25, "positive", False),
        ("x", 47, "positive", False),
        ("z+", 54, "positive", True),
    ],
)
def test_limits_inside_limits_in_networks_as_they_come(rule, seed, bias, zeroed):
    """One step of 2**-20 for all limits is wrong by 2 % to 20 % here, or gives mere noise."""
    net = random_network((3, 4, 3, 1), seed, bias)
    net = zero_biases(net, seed) if zeroed else net
    error, limit = literal_spread(net, rule, positive_input(3, seed))
    assert limit
    assert error < 1e-5


def test_poles_that_cancel():
    """Two units' slopes grow like 1/ε towards a root, and their sum does not."""
    net = zero_biases(random_network((3, 4, 3, 1), 29, "positive"), 29)
    error, _ = literal_spread(net, "x", positive_input(3, 29))
    assert error < 1e-4


# The decision itself, for roots that a search found.


@pytest.mark.parametrize(
    ("root", "open_gates", "limit"),
    [
        ([0.5, 1.0], [True, False], False),  # on its own kink, with unit 1 alive
        ([0.5, 0.0], [False, False], True),  # unit 1 is tied as well
        ([0.7, 1.0], [False, False], True),  # somewhere else: at a kink of a nested root
        ([0.2, 1.0], [False, False], True),  # inside the zero set
    ],
)
def test_searched_roots_are_approached_unless_on_their_own_kink_only(root, open_gates, limit):
    net = network([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[-0.5, 0.0], [-0.1]])
    anchor, roots = tensor([[2.0, 3.0]]), tensor([root])
    got = side(
        net,
        0,
        Pairs(anchor, roots, torch.tensor([0]), torch.tensor([0])),
        OnBoundary(),
        None,
        recursion(net, "x").limits,
    )
    assert got.open_gates.tolist() == [open_gates]
    assert got.limited.tolist() == [limit]


# No NaN, whatever the network.

# Zeros and equal numbers often, for the ties that they make; but no numbers whose squares leave
# the range of float64, because the derivative of 1 / (w v) has a square below.
NUMBERS = st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.5, -2.0, 3e-7, -1e3]) | st.integers(
    -2000, 2000
).map(lambda thousandths: thousandths / 1000)


@st.composite
def small_problems(draw):
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    if draw(st.booleans()):
        widths[-1] = 1

    def numbers(*shape):
        if not shape:
            return draw(NUMBERS)
        return [numbers(*shape[1:]) for _ in range(shape[0])]

    pairs = list(pairwise(widths))
    weights = [numbers(units, inputs) for inputs, units in pairs]
    biases = [numbers(units) for _, units in pairs]
    net = network(weights, biases, output_relu=draw(st.booleans()))
    x = tensor([numbers(widths[0]) for _ in range(2)]).abs()
    rule = draw(st.sampled_from(["z+", "w2", "gamma", "x", "zero", "pinv", "zB"]))
    rules = [rule] * net.depth if rule != "zB" else ["zB", *["z+"] * (net.depth - 1)]
    return net.explaining(widths[-1] - 1), rules, x


@pytest.mark.parametrize("examples", [75, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_no_nan_in_value_or_gradient(examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(small_problems())
    def holds(problem):
        net, rules, x = problem
        rec = recursion(net, rules, bounds=(0.0, 1e3))
        for relevance in relevances(rec, x):
            assert relevance.isfinite().all()
        for layer, activation in enumerate(net.activations(x)[:-1]):
            a = activation.detach().requires_grad_()
            relevance = rec.relevance(layer, a, graph=True)
            if relevance.requires_grad:
                (gradient,) = torch.autograd.grad(relevance.sum(), a, materialize_grads=True)
                assert gradient.isfinite().all()

    holds()


def test_literal_conserves_what_it_should():
    """The helper: train-free z+ without biases keeps f in every layer."""
    net = random_network((3, 4, 3, 1), 9, "zero")
    path = Literal(*lists(net), ["z+"] * 3).train_free(positive_input(3, 9)[0].tolist())
    assert path[-1][0] > 0
    assert conserves(path) < 1e-15 * path[-1][0]
