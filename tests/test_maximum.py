"""Pooling: winner takes all and averages, against the recursion in many digits and loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import dtd
from cases import random_network, tensor
from dtd.networks.layers.maximum import Maximum
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.windows import Windows
from dtd.networks.network import Layer, Network
from literal import Literal


def maximum(image, size, stride=None, padding=0):
    many = len(image) - 1
    each = [(value,) * many for value in (size, stride or size, padding, 1)]
    windows = Windows(image[1:], *each)
    return Maximum(Averaging(image, windows), torch.ones(1, dtype=torch.float64))


class LiteralMaximum(Literal):
    """``maxima`` are the layers whose units are maxima: weights of 1 say which inputs they have."""

    def __init__(self, *args, maxima, **settings):
        self.maxima = maxima
        super().__init__(*args, **settings)

    def z(self, layer, a):
        if layer not in self.maxima:
            return super().z(layer, a)
        return [
            max(value for value, inside in zip(a, row, strict=True) if inside)
            for row in self.w_explained()[layer]
        ]

    def root(self, layer, a, j):
        if layer not in self.maxima:
            return super().root(layer, a, j)
        if self.z(layer, a)[j] <= 0:
            return None
        row = self.w_explained()[layer][j]
        return [self.zero if inside else value for value, inside in zip(a, row, strict=True)]


def pooled_network(seed, stride, bias):
    """3 inputs, 4 units, maxima of two neighbours, 2 units, one output."""
    units = 2 if stride == 2 else 3
    below = random_network((3, 4), seed, bias).layers[0]
    above, last = random_network((units, 2, 1), seed + 100, bias).layers
    last = replace(last, weight=last.weight.abs())
    return Network((below, maximum((1, 4), 2, stride), above, last))


def literal_of(network, rules, **settings):
    weights, biases = [], []
    for layer in network.layers:
        affine = layer.is_affine
        matrix = layer.matrix if affine else layer.mask(torch.ones_like)
        weights.append(matrix.dense().tolist())
        biases.append(layer.bias.tolist() if affine else [0.0] * layer.units)
    return LiteralMaximum(weights, biases, rules, maxima={1}, **settings)


def explained(network, **settings):
    """The explainer, and samples with f > 0."""
    generator = torch.Generator().manual_seed(5)
    x = 0.2 + 2 * torch.rand(200, 3, generator=generator, dtype=torch.float64)
    return dtd.DTD(network, **settings), x[network.forward(x)[:, 0] > 0][:2]


RULES = {"z+": "z+", "x": "x", "gamma": dtd.rules.Gamma(0.4)}


SEEDS = [(9,), pytest.param((3, 9), marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize("bias", ["negative", "positive", "zero"])
@pytest.mark.parametrize("stride", [2, 1])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_the_recursion_is_the_literal_one(rule, stride, bias, seeds):
    found = 0
    for seed in seeds:
        network = pooled_network(seed, stride, bias)
        literal, relevances = literal_of(network, [rule] * 4, gamma=0.4), None
        for forward_passes in (True, False):
            explainer, x = explained(network, rule=RULES[rule], forward_passes=forward_passes)
            x = x[:1]
            if not len(x):
                continue
            result = explainer.explain(x, target=0)
            relevances = relevances or [literal.relevances(anchor) for anchor in x.tolist()]
            for sample, of_sample in enumerate(relevances):
                for layer, wanted in enumerate(of_sample):
                    if result.limits[layer][sample] in ("unsettled", "unbounded"):
                        continue
                    size = max(map(abs, wanted), default=0.0)
                    got = result.relevance[layer][sample].flatten().tolist()
                    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9 * size + 1e-15)
                    found += 1
    assert found > 3


def test_all_goes_to_the_winner():
    """The dense layers below and above give what they give; the pooling moves it unchanged."""
    explainer, x = explained(pooled_network(9, 2, "positive"), rule="z+")
    result = explainer.explain(x, target=0)
    below, above = result.relevance[1].flatten(1), result.relevance[2].flatten(1)
    activations = explainer.network.forward(x, 0, 1)
    for sample in range(len(x)):
        for window in range(2):
            pair = slice(2 * window, 2 * window + 2)
            winner = int(activations[sample, pair].argmax())
            loser = below[sample, pair][1 - winner]
            assert loser == 0
    assert above.shape[1] == 2


def test_inputs_that_tie_share_equally():
    network = Network(
        (
            Layer(tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0.0, 0.0])),
            maximum((1, 2), 2),
            Layer(tensor([[2.0]]), tensor([0.0])),
        )
    )
    x = tensor([[3.0, 3.0], [3.0, 2.0]])
    for method in ("recursive", "train_free", "gradient_x_input"):
        got = dtd.DTD(network, method=method).explain(x).relevance[1].flatten(1)
        assert got[0, 0] == got[0, 1] > 0
        assert got[1, 1] == 0 < got[1, 0]


def loop_of_train_free(network, x):
    """The train-free relevance of ``z+``, one number at a time."""
    relevances = network.activations(x)
    upper = relevances[-1]
    for layer, a in reversed(list(zip(network.layers, relevances[:-1], strict=True))):
        lower = torch.zeros_like(a)
        for n in range(len(a)):
            for j in range(layer.units):
                if layer.is_affine:
                    parts = a[n] * layer.matrix.dense()[j].clamp(min=0)
                else:
                    inside = layer.mask(torch.ones_like).dense()[j] > 0
                    best = a[n][inside].max()
                    parts = ((a[n] == best) & inside).double()
                if parts.sum() > 0 and layer(a[n : n + 1])[0, j] > 0:
                    lower[n] += upper[n, j] * parts / parts.sum()
        upper = lower
    return upper


@pytest.mark.parametrize("padding", [0, 1])
def test_train_free_is_that_of_a_loop(padding):
    generator = torch.Generator().manual_seed(2)
    kernel = torch.randn(2, 1, 3, 3, generator=generator, dtype=torch.float64)
    form = Convolution((1, 5, 5), (1, 1), (1, 1), (1, 1))
    pooling = maximum((2, 5, 5), 2 + padding, 2, padding)
    dense = torch.randn(3, pooling.units, generator=generator, dtype=torch.float64)
    network = Network(
        (
            Layer(kernel, torch.full((50,), -0.1, dtype=torch.float64), form=form),
            pooling,
            Layer(dense.abs(), torch.zeros(3, dtype=torch.float64), relu=False),
        )
    )
    x = torch.rand(3, 25, generator=generator, dtype=torch.float64)
    expected_pool = nn.MaxPool2d(2 + padding, 2, padding)(
        network.forward(x, 0, 1).view(-1, 2, 5, 5)
    )
    assert torch.equal(network.forward(x, 0, 2), expected_pool.flatten(1))
    result = dtd.DTD(network, method="train_free").explain(x, target=1)
    wanted = loop_of_train_free(network.explaining(1), x)
    explained = result.f > 0
    assert explained.any()
    got = result.attribution[explained]
    torch.testing.assert_close(got, wanted[explained], rtol=1e-12, atol=1e-13)


def test_sampled_paths_agree():
    network = pooled_network(9, 1, "positive")
    exact, x = explained(network)
    # A rare path that a few hundred often miss gives a hundredth of the sum.
    sampled, _ = explained(network, estimator=dtd.MonteCarlo(1000))
    one, other = exact.explain(x[:1], target=0), sampled.explain(x[:1], target=0)
    for mine, theirs, stderr in zip(one.relevance, other.relevance, other.stderr, strict=True):
        assert ((mine - theirs).abs() <= 4 * stderr + 1e-12).all()


def averaged_network(seed, bias):
    """3 inputs, 4 units, means of two neighbours, 2 units, one output."""
    below = random_network((3, 4), seed, bias).layers[0]
    above, last = random_network((2, 2, 1), seed + 100, bias).layers
    last = replace(last, weight=last.weight.abs())
    windows = Windows((4,), (2,), (2,), (0,), (1,))
    mean = Layer(tensor([0.5]), tensor([0.0, 0.0]), form=Averaging((1, 4), windows))
    return Network((below, mean, above, last))


class LiteralAverage(Literal):
    """Directions in the layer 1 are those of the inputs in the window."""

    def direction(self, layer, a, j):
        v, w = super().direction(layer, a, j), self.w_explained()[layer][j]
        return [p if q != 0 or layer != 1 else self.zero for p, q in zip(v, w, strict=True)]


@pytest.mark.parametrize("bias", ["negative", "positive"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_an_average_moves_its_window_alone(rule, bias, seeds):
    found = 0
    for seed in seeds:
        network = averaged_network(seed, bias)
        weights = [layer.matrix.dense().tolist() for layer in network.layers]
        biases = [layer.bias.tolist() for layer in network.layers]
        literal = LiteralAverage(weights, biases, [rule] * 4, gamma=0.4)
        relevances = None
        for forward_passes in (True, False):
            explainer, x = explained(network, rule=RULES[rule], forward_passes=forward_passes)
            if not len(x):
                continue
            result = explainer.explain(x[:1], target=0)
            relevances = relevances or literal.relevances(x[0].tolist())
            for layer, wanted in enumerate(relevances):
                assert result.limits[layer][0] in ("none", "taken")
                size = max(map(abs, wanted), default=0.0)
                got = result.relevance[layer][0].flatten().tolist()
                assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9 * size + 1e-15)
                found += 1
    assert found >= 8


def test_an_average_that_moved_all_inputs_would_have_a_pole():
    """The slope of a single unit grows as one over epsilon; its matrix as a dense layer says so."""
    network = Network(
        (
            Layer(tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]), tensor([0.0, 0.0])),
            Layer(tensor([[1.0, 3.0]]), tensor([0.7])),
        )
    )
    x = tensor([[1.0, 0.5, 0.3, 2.0]])
    roots = dtd.DTD(network, rule="z+").explain(x).roots_frame()
    assert set(roots[roots["layer"] == 0]["limit"]) == {"unbounded"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("forward_passes", [True, False])
def test_overlapping_averages_below_the_output(rule, forward_passes):
    """Two inputs have no finite limit: in many digits they grow with one over the position."""
    windows = Windows((3,), (2,), (1,), (0,), (1,))
    network = Network(
        (
            Layer(tensor([[[1.0]]]), tensor([0.25] * 3),
                  form=Convolution((1, 3), (1,), (0,), (1,))),
            Layer(tensor([0.5]), tensor([0.0, 0.0]), form=Averaging((1, 3), windows)),
            Layer(tensor([[1.0, 0.5]]), tensor([0.5])),
        )
    )  # fmt: skip
    settings = {"rule": RULES[rule], "forward_passes": forward_passes}
    result = dtd.DTD(network, **settings).explain(tensor([[0.5, 0.6, 0.7]]))
    assert result.limits[0][0] in ("unsettled", "unbounded")


def test_the_integral_of_all_degrees_is_refused():
    with pytest.raises(dtd.InvalidSetting, match=r"^degree=inf: .*max pooling.*finite degree"):
        dtd.DTD(pooled_network(3, 2, "negative"), degree=math.inf)


def constant_network():
    """Two units that are alike, below one maximum."""
    return Network(
        (
            Layer(tensor([[[1.0, 1.0]]]), tensor([-0.5, -0.5]),
                  form=Convolution((1, 3), (1,), (0,), (1,))),
            maximum((1, 2), 2),
            Layer(tensor([[1.0], [2.0]]), tensor([0.0, 0.0])),
            Layer(tensor([[1.0, 1.0]]), tensor([0.0])),
        )
    )  # fmt: skip


@pytest.mark.parametrize("value", [1.0, 0.3, 0.7])
@pytest.mark.parametrize("rule", ["z+", "x"])
def test_units_that_rise_together_into_one_window(rule, value):
    """Which of them wins beside the root of one is a limit; rounding must not decide."""
    network, x = constant_network(), tensor([[value] * 3])
    relevances = literal_of(network, [rule] * 4).relevances(x[0].tolist())
    for settings in ({}, {"forward_passes": False}):
        result = dtd.DTD(network, rule=rule, **settings).explain(x)
        for layer, wanted in enumerate(relevances):
            assert result.relevance[layer].flatten().tolist() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    "value", [0.3, *(pytest.param(v, marks=pytest.mark.exhaustive) for v in (1.0, 0.7))]
)
@pytest.mark.parametrize("rule", ["z+", "x"])
def test_sampled_paths_of_units_that_rise_together(rule, value):
    network, x = constant_network(), tensor([[value] * 3])
    sampled = dtd.DTD(network, rule=rule, estimator=dtd.MonteCarlo(200)).explain(x)
    exact = dtd.DTD(network, rule=rule).explain(x)
    error = (sampled.attribution - exact.attribution).abs()
    assert (error <= 4 * sampled.stderr[0] + 1e-12).all()
    assert (error <= 0.1 * exact.attribution).all()


def test_overlapping_maxima_below_the_output():
    """At the root another unit wins than at the anchor."""
    network = Network(
        (
            Layer(tensor([[[1.0]]]), tensor([0.0] * 3), form=Convolution((1, 3), (1,), (0,), (1,))),
            maximum((1, 3), 2, 1),
            Layer(tensor([[-1.0, 2.0]]), tensor([3.0])),
        )
    )
    x = tensor([[1.0, 2.0, 3.0]])
    wanted = literal_of(network, ["z+"] * 3).relevances(x[0].tolist())
    result = dtd.DTD(network).explain(x)
    for layer, numbers in enumerate(wanted):
        assert result.relevance[layer].flatten().tolist() == pytest.approx(numbers, abs=1e-9)
