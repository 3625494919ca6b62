"""Prefixes of paths: all of them are the recursion, and those that are drawn estimate it."""

from __future__ import annotations

import pytest
import torch

from cases import network, positive_input, random_network, recursion, relevances, tensor
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.network import Layer, Network
from dtd.relevance.paths import prefixes
from dtd.relevance.paths import sampled as sampled_paths
from dtd.relevance.paths.draws import Drawn
from dtd.relevance.slopes.slope import Pairs
from literal import Literal
from test_cnn import spec
from test_one_sided import fed_by_one
from test_sampled_paths import estimates


def convolutional(pooling, bias=-0.005):
    """A convolution with pooling and three dense layers, for images of 6 times 6."""
    settings = {"channels": [3], "kernel": 3, "padding": 1, "hidden": [8, 7]}
    settings |= {"pooling": pooling, "output_activation": "linear"}
    x = torch.rand(8, 36, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network = spec(4, init="no_bias", **settings).build((1, 6, 6), 1).to(torch.float64)
    *layers, last = biased(network, bias).layers
    above = last.with_parameters({"weight": last.weight.abs(), "bias": last.bias})
    network = Network((*layers, above))
    return network, x[network.forward(x)[:, 0] > 0][:2]


def deep():
    network = biased(random_network((6, 12, 12, 12, 1), 4, "zero"), -0.02)
    x = positive_input(6, 3, 20)
    return network, x[network.forward(x)[:, 0] > 0.02][:2]


def biased(network, bias):
    """The network with one bias for all units."""
    layers = [
        layer.with_parameters({"weight": layer.weight, "bias": torch.full_like(layer.bias, bias)})
        if layer.learns
        else layer
        for layer in network.layers
    ]
    return Network(tuple(layers))


CASES = {
    "max": lambda: convolutional("max"),
    "avg": lambda: convolutional("avg"),
    "max, biases above zero": lambda: convolutional("max", 0.05),
    "deep": deep,
}


# By far the longest.
LONG = pytest.param("max, biases above zero", "gamma", marks=pytest.mark.exhaustive)
SHORT = [(case, rule) for case in CASES for rule in ("z+", "gamma") if (case, rule) != LONG.values]


@pytest.mark.parametrize(("case", "rule"), [*SHORT, LONG])
def test_all_prefixes_are_the_recursion(monkeypatch, case, rule):
    """However few paths are wanted: nothing is left to them."""
    monkeypatch.setattr(sampled_paths, "_PREFIXES", 10**6)
    network, x = CASES[case]()
    rec = recursion(network, rule)
    want, got = relevances(rec, x), estimates(rec, x, number=10)
    assert want[0].any()
    for exact, estimate in zip(want, got, strict=True):
        assert torch.allclose(estimate.relevance, exact, rtol=1e-9, atol=1e-12)
        assert not estimate.stderr.any()
        assert estimate.error_paths.isinf().all()


def test_an_anchor_without_room_leaves_it_to_others(monkeypatch):
    """Each anchor has the prefixes that it has alone."""
    monkeypatch.setattr(sampled_paths, "_MOST", 3)
    monkeypatch.setattr(prefixes, "_FEW", 1)
    monkeypatch.setattr(prefixes, "_TOGETHER", 1)
    network, x = CASES["deep"]()
    rec, rows = recursion(network, "z+"), torch.cat([2 * x[:1], x[:1]])
    (together,) = estimates(rec, rows, number=100, layers=[0])
    alone = [estimates(rec, row, number=100, layers=[0])[0] for row in rows.split(1)]
    for got, want in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(got, torch.cat(want), rtol=1e-12, atol=1e-14, equal_nan=True)


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        ("max", "gamma"),
        ("deep", "z+"),
        pytest.param("max", "z+", marks=pytest.mark.exhaustive),
        pytest.param("deep", "gamma", marks=pytest.mark.exhaustive),
    ],
)
def test_standard_errors_are_those_of_repetition(monkeypatch, case, rule):
    """Of the sums, where they rest on ten paths or more: the mean of z² is one."""
    monkeypatch.setattr(sampled_paths, "_MOST", 0)
    network, x = CASES[case]()
    rec, squares = recursion(network, rule), []
    want = relevances(rec, x[:1])[0].sum()
    for seed in range(40):
        (got,) = estimates(rec, x[:1], seed=seed, number=2000, layers=[0])
        if 10 <= got.error_paths.item() < torch.inf:
            squares.append(((got.relevance.sum() - want) / got.total_stderr).square().item())
    assert len(squares) >= 20
    assert 0.5 < sum(squares) / len(squares) < 1.8


def test_a_number_draws_one_unit_of_a_path():
    """Also where the path meets limits: a unit depends on the number of its own layer."""
    rec = recursion(random_network((4, 9, 9, 9, 1), 5, "zero"), "z+")
    layers, a = rec.slopes.forward.layers, positive_input(4, 5)
    units = layers[0].units(a, torch.zeros(1, dtype=torch.float64))
    unit = units.step[0].nonzero()[:1, 0]
    roots = layers[0].roots(a, units.step[0, unit], unit)
    spread = {l: torch.ones(1, width).double() for l, width in enumerate(rec.network.widths)}

    def chosen(draws):
        """The units of the path by layer."""
        units = torch.full_like(draws, -1, dtype=torch.long)
        drawn = Drawn(layers, spread, draws, units)
        found = {}

        def noted(l, *state):
            visited = drawn(l, *state)
            found.setdefault(l, visited.unit.tolist())
            return visited

        noted.entries = drawn.entries
        pairs = Pairs(a, roots, unit, torch.zeros_like(unit))
        with torch.no_grad():
            rec.limits.at(0, pairs, graph=False, visits=noted)
        return found

    numbers = torch.full((1, 4), 0.01, dtype=torch.float64)
    before, changed = chosen(numbers), set()
    for l in (1, 2):
        other = numbers.clone()
        other[0, l - 4] = 0.99
        after = chosen(other)
        assert all(after[below] == before[below] for below in range(1, l))
        changed |= {l} if after[l] != before[l] else set()
    assert changed == {1, 2}


@pytest.mark.parametrize("seed", [75, 128])
def test_a_unit_without_a_term_below_the_output(seed):
    """Its root needs a limit there, which gives something to a weight of zero."""
    rec = recursion(fed_by_one(random_network((3, 4, 3, 1), seed, "zero")), "z+")
    x = positive_input(3, seed)
    want, got = relevances(rec, x)[0], estimates(rec, x, number=4000, layers=[0])[0]
    assert want.abs().max() > 0.1
    assert ((got.relevance - want).abs() <= 4 * got.stderr + 1e-9).all()


WEIGHTS = [[[1.0, -1], [0, 1]], [[0, 1], [1, 2]], [[1, 1], [3, 1]], [[1, 1]]]
BIASES = [[0.0, 0], [-0.5, 0.25], [-0.5, -0.5], [1.0]]


def test_units_on_their_kinks_together():
    """At the root of unit 0 of layer 2 the units of layer 3 have the same root, and beside it they
    have not. So the first unit of layer 1 gets something through a weight of zero."""
    rec, x = recursion(network(WEIGHTS, BIASES), "z+"), tensor([[3.0, 1.0]])
    (want, *_) = Literal(WEIGHTS, BIASES, ["z+"] * 4, apart=2).relevances([3.0, 1.0])
    (got,) = estimates(rec, x, number=1000, layers=[0])
    assert want == pytest.approx([1, 0])
    assert got.stderr.any()
    assert ((got.relevance - tensor([want])).abs() <= 4 * got.stderr).all()


def one_dimensional(image, kernel, bias, padding=0):
    """A convolution of an image (C, length)."""
    kernel = tensor(kernel)
    form = Convolution(image, (1,), (padding,), (1,), groups=1)
    windows = image[1] + 2 * padding - kernel.shape[2] + 1
    return Layer(kernel, tensor(bias).repeat_interleave(windows), form=form)


@pytest.mark.parametrize(
    ("kernel", "bias", "together"),
    [
        ([0.31, 0.52, -0.73], -0.1, False),
        ([0.31, 0.52, 0.31], -0.1, True),
        ([0.31, 0.52, -0.73], 0.0, True),
    ],
)
def test_what_brings_kinks_of_a_convolution_together(kernel, bias, together):
    layers = (
        one_dimensional((1, 4), [[[0.47, -0.61]]], [-0.2]),
        one_dimensional((1, 3), [[kernel]], [bias], padding=1),
        Layer(tensor([[0.83, 0.29, -0.57]]), tensor([-0.1])),
    )
    forward = recursion(Network(layers), "z+").slopes.forward
    assert forward.layers[1].may_coincide == together
    assert forward.may_need_limits(0, tensor([1.0])) == together


def test_averages_that_are_all_zero_beside_a_root():
    """Without biases the root of a unit is the origin, and all that is above it is zero there."""
    shape = {"channels": [2], "kernel": 2, "padding": 0, "hidden": [4], "pooling": "avg"}
    net = spec(0, init="no_bias", **shape).build((1, 5, 5), 1).to(torch.float64)
    generator = torch.Generator().manual_seed(13)
    layers = [
        layer.with_parameters(
            {"weight": torch.randn(layer.weight.shape, generator=generator).double(),
             "bias": layer.bias}
        )
        if layer.learns
        else layer
        for layer in net.layers
    ]  # fmt: skip
    x = positive_input(25, 13) * (torch.rand(1, 25, generator=generator) < 0.4)
    rec = recursion(Network(tuple(layers)), "z+")
    want, (got,) = relevances(rec, x)[0], estimates(rec, x, number=200, layers=[0])
    assert want.any()
    assert ((got.relevance - want).abs() <= 4 * got.stderr + 1e-9).all()
