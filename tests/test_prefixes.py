"""Prefixes of paths: visited one and all they are the recursion, and drawn from they estimate it."""

from __future__ import annotations

import pytest
import torch

import dtd
from cases import positive_input, random_network, recursion
from dtd.networks.network import Network
from dtd.relevance.paths import sampled as sampled_paths
from dtd.relevance.paths.draws import Drawn
from dtd.relevance.slopes.slope import Pairs
from test_cnn import spec


def convolutional(pooling, bias=-0.02):
    """Two convolutions with pooling and two dense layers, for images of 4 times 4."""
    settings = {"channels": [3, 4], "kernel": 3, "padding": 1, "hidden": [8]}
    settings |= {"pooling": pooling, "output_activation": "linear"}
    network = spec(4, init="no_bias", **settings).build((1, 4, 4), 2).to(torch.float64)
    x = torch.rand(2, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return biased(network, bias), x


def deep():
    return biased(random_network((6, 14, 14, 14, 1), 4, "zero"), -0.02), positive_input(6, 3, 2)


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


@pytest.mark.parametrize("rule", ["z+", "gamma"])
@pytest.mark.parametrize("case", CASES)
def test_all_prefixes_are_the_recursion(monkeypatch, case, rule):
    """However few paths are wanted: nothing is left to them."""
    monkeypatch.setattr(sampled_paths, "_PREFIXES", 10**6)
    network, x = CASES[case]()
    want = dtd.DTD(network, rule=rule, max_visits=10**12).explain(x, 0)
    got = dtd.DTD(network, rule=rule, estimator=dtd.MonteCarlo(10)).explain(x, 0)
    assert want.explained.any()
    assert want.attribution.any()
    assert {state for states in want.limits for state in states} == {"none"}
    for mine, theirs in zip(got.relevance, want.relevance, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    assert not any(errors.any() for errors in got.stderr)
    assert all(paths[got.explained].isinf().all() for paths in got.stderr_paths)


@pytest.mark.parametrize("rule", ["z+", "gamma"])
@pytest.mark.parametrize("case", ["max", "avg", "deep"])
def test_standard_errors_are_those_of_repetition(monkeypatch, case, rule):
    """Of the sums, where they rest on ten paths or more: the mean of z² is one."""
    monkeypatch.setattr(sampled_paths, "_PREFIXES", 1)
    network, x = CASES[case]()
    want = dtd.DTD(network, rule=rule, max_visits=10**12).explain(x[:1], 0).attribution.sum()
    squares = []
    for seed in range(40):
        explainer = dtd.DTD(network, rule=rule, estimator=dtd.MonteCarlo(60), seed=seed)
        got = explainer.explain(x[:1], 0)
        if 10 <= got.stderr_paths[0].item() < torch.inf:
            squares.append(((got.attribution.sum() - want) / got.sum_stderr[0]).square().item())
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
        drawn = Drawn(layers, spread, draws, torch.full_like(draws, -1, dtype=torch.long))
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
