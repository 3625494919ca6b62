"""Sampled paths estimate what enumeration computes: without bias, and with honest errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import dtd
from cases import network, positive_input, random_network, recursion, relevances, tensor
from dtd.relevance.paths import sampled as sampled_paths
from dtd.relevance.paths.budget import Budget
from dtd.relevance.paths.guess import Guess
from dtd.relevance.paths.sampled import SampledPaths
from dtd.relevance.slopes.forward import ForwardSlopes
from test_cli import dtd_run
from test_one_sided import fed_by_one, zero_biases

PATHS = 4000


def even(rec, n):
    """All units alike, for n samples."""
    return Guess.of(
        {
            layer: torch.ones(n, width, dtype=torch.float64)
            for layer, width in enumerate(rec.network.widths)
        }
    )


def estimates(rec, x, seed=0, number=PATHS, stderr=None, guess=None, layers=None):
    """Those of every layer, or of some, each from the same guess."""
    generator = torch.Generator().manual_seed(seed)
    sampled = SampledPaths(rec.slopes.forward, rec.limits, Budget(number, stderr), generator)
    guess = guess or even(rec, len(x))
    with torch.no_grad():
        path = rec.network.activations(x)
        return [sampled.estimate(l, path[l], guess)[0] for l in layers or range(rec.network.depth)]


@pytest.fixture
def short_prefixes(monkeypatch):
    """As if there were too many longer ones: paths begin with one unit, also in small networks."""
    monkeypatch.setattr(sampled_paths, "extended", lambda slopes, one, *other: [one])


def answered(widths, seed, bias, n=1):
    net = random_network(widths, seed, bias)
    x = positive_input(widths[0], seed, 40)
    return net, x[net.forward(x)[:, 0] > 0.1][:n]


def networks(count):
    """Of every rule, with biases of every kind, that answer some input."""
    found, seed = 0, 0
    while found < count:
        bias = ("negative", "positive", "zero")[seed % 3]
        net, x = answered((5, 8, 7, 1), seed, bias)
        if len(x):
            found += 1
            rules = ("z+",) if bias == "zero" else ("z+", "gamma", "x")
            yield recursion(net, rules[found % len(rules)], gamma=0.5), x, seed
        seed += 1


def test_twenty_networks(short_prefixes):
    """Everywhere within four standard errors; the mean of z² is 1, and its own error about
    √(2 / 20), since the numbers of one network hang together.

    What no path has met has no error either: hence 1e-4 of the layer's largest relevance."""
    means = []
    for rec, x, seed in networks(20):
        want = relevances(rec, x)
        squares = []
        for layer, estimate in enumerate(estimates(rec, x, seed=seed, number=1000)):
            gap = (estimate.relevance - want[layer]).abs()
            unseen = 1e-4 * want[layer].abs().amax()
            assert (gap <= 4 * estimate.stderr + unseen).all()
            # Smaller errors are those of rounding.
            random = estimate.stderr > 1e-3 * want[layer].abs() + 1e-6 * want[layer].abs().amax()
            squares.append((gap / estimate.stderr)[random].square())
        means += [together.mean().item() for together in [torch.cat(squares)] if len(together)]
    assert len(means) >= 10
    assert 0.4 < np.mean(means) < 1.8


@pytest.mark.parametrize("count", [150, pytest.param(400, marks=pytest.mark.exhaustive)])
def test_errors_are_those_of_repetition(short_prefixes, count):
    """Independent paths scatter as their standard errors say, and their mean has no bias."""
    net, x = answered((5, 8, 7, 1), 40, "positive")
    rec = recursion(net, "z+")
    want = relevances(rec, x)[0]
    runs = [estimates(rec, x, seed=seed, number=200, layers=[0])[0] for seed in range(count)]
    values = torch.stack([run.relevance for run in runs])
    claimed = torch.stack([run.stderr for run in runs]).square().mean(0).sqrt()
    scatter = values.std(0)
    assert (claimed > 0).any()
    torch.testing.assert_close(claimed, scatter, rtol=0.15, atol=1e-12)
    assert ((values.mean(0) - want).abs() <= 4 * scatter / count**0.5 + 1e-12).all()
    sums = values.sum(2)
    total = torch.stack([run.total_stderr for run in runs]).square().mean(0).sqrt()
    torch.testing.assert_close(total, sums.std(0), rtol=0.15, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 4, 15])
def test_the_sum_over_one_feature_has_the_error_of_that_feature(short_prefixes, seed):
    net, x = answered((1, 8, 7, 1), seed, "zero")
    estimate = estimates(recursion(net, "z+"), x, number=100, layers=[0])[0]
    assert (estimate.stderr > 1e-3 * estimate.relevance).all()
    torch.testing.assert_close(estimate.total_stderr, estimate.stderr[:, 0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("mean", [0.0, 1.0, -5.0])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_any_guess_is_unbiased(monkeypatch, short_prefixes, mean, spread):
    """Also one that learns nothing, and is far off."""
    monkeypatch.setattr(Guess, "learned", lambda guess, observed: guess)
    net, x = answered((5, 8, 7, 1), 40, "positive")
    rec = recursion(net, "z+")
    random = {
        layer: torch.rand(1, width, generator=torch.Generator().manual_seed(1)).double()
        for layer, width in enumerate(net.widths)
    }
    guess = Guess(*({at: k * some for at, some in random.items()} for k in (mean, spread, 1)))
    (estimate,) = estimates(rec, x, number=20000, guess=guess, layers=[0])
    gap = (estimate.relevance - relevances(rec, x)[0]).abs()
    assert (gap <= 4 * estimate.stderr + 1e-12).all()


@pytest.mark.parametrize(
    ("seed", "bias", "rule"),
    [
        (4, "zero", "z+"),
        pytest.param(50, "positive", "gamma", marks=pytest.mark.exhaustive),
    ],
)
def test_errors_at_limits_that_are_not_continuous(short_prefixes, seed, bias, rule):
    """Some paths from a root are expanded from there on, beside others that are not."""
    net, x = answered((3, 4, 4, 1), seed, bias)
    rec = recursion(zero_biases(net, seed), rule, gamma=0.5)
    want = relevances(rec, x)[0]
    runs = [estimates(rec, x, seed=seed, number=30, layers=[0])[0] for seed in range(100)]
    values = torch.stack([run.relevance for run in runs])
    claimed = torch.stack([run.stderr for run in runs]).square().mean(0).sqrt()
    assert (claimed > 0.01 * want.abs()).all()
    torch.testing.assert_close(claimed, values.std(0), rtol=0.2, atol=0)
    assert ((values.mean(0) - want).abs() <= 3 * values.std(0) / 10).all()
    totals = torch.stack([run.total_stderr for run in runs]).square().mean(0).sqrt()
    torch.testing.assert_close(totals, values.sum(2).std(0), rtol=0.2, atol=0)
    chunked = estimates(replace(rec, max_points=7), x, number=30, layers=[0])[0]
    assert np.allclose(chunked.relevance, runs[0].relevance, rtol=1e-12)
    assert np.allclose(chunked.stderr, runs[0].stderr, rtol=1e-9)


def test_roots_on_kinks():
    """max(x1, x2): every derivative is a limit, no unit is left alive at the root of the sum."""
    net = network([[[1.0, -1], [-1, 1], [1, 1]], [[0.5, 0.5, 0.5]]], [[0.0, 0, 0], [0.0]])
    estimate = estimates(recursion(net, "z+"), tensor([[3.0, 1.0]]))[0]
    torch.testing.assert_close(estimate.relevance, tensor([[2.5, 0.5]]), rtol=1e-9, atol=0)


def test_a_limit_inside_a_limit(short_prefixes):
    """Without biases and with the rule x all roots are the origin: gradient × input."""
    net, x = answered((4, 6, 5, 1), 3, "zero")
    rec = recursion(net, "x")
    got = estimates(rec, x, number=1000)
    for estimate, want in zip(got, relevances(rec, x), strict=True):
        gap = (estimate.relevance - want).abs()
        assert (gap <= 4 * estimate.stderr + 1e-6 * want.abs().max()).all()
    assert got[0].relevance.any()


@pytest.mark.parametrize("seed", [26, 61, 128])
def test_a_limit_gives_to_a_weight_of_zero(short_prefixes, seed):
    """There the path has a term of zero and goes on, because the slope at the root has more."""
    net = fed_by_one(random_network((3, 4, 3, 1), seed, "zero"))
    x = positive_input(3, seed)
    rec = recursion(net, "z+")
    want, (got,) = relevances(rec, x)[0], estimates(rec, x, layers=[0])
    assert want.abs().max() > 0.01
    assert ((got.relevance - want).abs() <= 4 * got.stderr + 1e-4 * want.abs().max()).all()


def test_paths_that_all_agree_tell_no_error():
    """Those that chance has chosen may have missed a rare one; others have nothing to miss."""
    cases = (((4, 4, 4, 4, 1), 13, False), ((3, 4, 3, 1), 5, True))
    for widths, seed, certain in cases:
        rec, x = recursion(random_network(widths, seed, "zero"), "z+"), positive_input(4, seed)
        x = x[:, : widths[0]]
        want, (got,) = relevances(rec, x)[0], estimates(rec, x, number=20, layers=[0])
        assert want.any()
        assert not got.total_stderr.any()
        assert torch.allclose(got.relevance, want, rtol=1e-9) == certain
        assert got.error_paths == (torch.inf if certain else 0)


def test_a_path_stands_once_in_every_layer(monkeypatch, short_prefixes):
    """Also where it takes limits: so a layer costs the same however many are above it."""
    net, x = answered((4, 5, 4, 4, 1), 7, "positive")
    rec = recursion(net, "z+")
    stood, limits = Counter(), Counter()
    original = ForwardSlopes.reach

    def noted(slopes, l, pairs, size):
        reached = original(slopes, l, pairs, size)
        stood[l] += len(pairs.unit)
        limits[l] += int(reached.limits.limited.sum())
        return reached

    monkeypatch.setattr(ForwardSlopes, "reach", noted)
    estimates(rec, x, number=500, layers=[0])
    assert min(limits[start] for start in range(3)) > 0
    assert 0 < max(stood[start] for start in range(3)) <= 500


def test_zero_order_of_units_that_live_of_a_bias():
    """f = relu(2 relu(x - 1) + 1): at the root x = 1 all of the bias is left."""
    net = network([[[1.0]], [[2.0]]], [[-1.0], [1.0]])
    estimate = estimates(recursion(net, "z+"), tensor([[3.0]]))[0]
    assert estimate.zero_order.item() == pytest.approx(1.0, rel=1e-9)
    assert estimate.relevance.item() == pytest.approx(4.0, rel=1e-9)


def same(first, second):
    """The same bits, and the same gaps."""
    return all(map(partial(torch.allclose, rtol=0, atol=0, equal_nan=True), first, second))


def test_the_same_generator_gives_the_same_paths(short_prefixes):
    net, x = answered((5, 8, 7, 1), 40, "positive", n=7)
    rec = recursion(net, "z+")
    before = torch.random.get_rng_state()
    first, again, other = (estimates(rec, x, seed=seed, layers=[0])[0] for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(first, again)
    assert not torch.equal(first.relevance, other.relevance)


@pytest.mark.parametrize("max_points", [7, 2000])
def test_chunks_change_nothing(short_prefixes, max_points):
    net, x = answered((33, 17, 9, 1), 40, "positive", n=7)
    whole = estimates(recursion(net, "z+"), x, number=200)
    chunked = estimates(recursion(net, "z+", max_points=max_points), x, number=200)
    for got, want in zip(chunked, whole, strict=True):
        assert same(got, want)


def test_nothing_to_explain():
    net = random_network((5, 8, 7, 1), 0)
    estimate = estimates(recursion(net, "z+"), torch.zeros(2, 5, dtype=torch.float64))[0]
    assert not estimate.relevance.any()
    assert not estimate.stderr.any()


PAPER = ["network=paper", "network.seed=1", "training=none", "inputs=positive", "inputs.n=4",
         "plots=none", "progress=false"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relevance.estimator=guess"], "allowed are enumeration, monte_carlo"),
        (["relevance.sampled_paths=0"], "relevance.sampled_paths=0: allowed is any integer >= 10"),
        (
            ["relevance.estimator=monte_carlo", "relevance.sampled_paths=9"],
            "allowed is any integer >= 10",
        ),
        (["relevance.estimator=monte_carlo", "rule=w2"], "layer 0 has w2 with closed_form"),
        (
            ["relevance.estimator=monte_carlo", "input_rule=z+", "rule=w2"],
            "layer 1 has w2 with closed_form",
        ),
        (
            ["relevance.estimator=monte_carlo", "input_roots=random"],
            "layer 0 has z+ with random; allowed with others is relevance.estimator=enumeration",
        ),
        (["relevance.max_visits=10"], "relevance.estimator=monte_carlo"),
        (
            ["relevance.estimator=monte_carlo", "relevance.degree=2"],
            "paths estimate degree 1, without interactions, with relevance.root_dependence=exact; "
            "allowed with others is relevance.estimator=enumeration",
        ),
    ],
)
def test_what_is_refused(monkeypatch, capfd, arguments, words):
    assert dtd_run(monkeypatch, *PAPER, *arguments) == 2
    assert words in capfd.readouterr().err


def test_paths_without_forward_passes_are_refused():
    network = random_network((3, 4, 2), 0, "negative", output_relu=False)
    with pytest.raises(dtd.InvalidSetting, match=r"^estimator=monte_carlo: .*forward_passes"):
        dtd.DTD(network, estimator="monte_carlo", forward_passes=False)


def test_gamma_without_biases(monkeypatch, tmp_path):
    """One limit lies on the edge of another there, and paths take them together."""
    arguments = ["training=none", "inputs=positive", "inputs.features=4", "inputs.n=2",
                 "network.outputs=1", "network.hidden=[6,5]", "inputs.threshold=0",
                 "network.init=no_bias", "rule=gamma", "plots=none",
                 "relevance.sampled_paths=200"]  # fmt: skip
    sums = {}
    for name in ("enumeration", "monte_carlo"):
        folder = tmp_path / name
        choice = [f"relevance.estimator={name}", f"hydra.run.dir={folder}"]
        assert dtd_run(monkeypatch, *arguments, *choice) == 0
        layers = pd.read_csv(folder / "layers.csv").query("method == 'recursive'")
        sums[name] = layers.set_index(["sample", "layer"])
    sampled = sums["monte_carlo"]
    gap = (sampled["relevance_sum"] - sums["enumeration"]["relevance_sum"]).abs()
    assert (gap <= 4 * sampled["relevance_sum_stderr"] + 1e-6).all()
    assert set(sampled["limits"]) <= {"none", "taken"}
    assert "taken" in set(sampled["limits"])


def test_a_run(monkeypatch, tmp_path):
    """The tables of a run with sampled paths beside those of enumeration."""
    folders = {name: tmp_path / name for name in ("enumeration", "monte_carlo")}
    for name, folder in folders.items():
        chosen = [f"relevance.estimator={name}", f"hydra.run.dir={folder}"]
        # Paths through fewer units would be visited one and all.
        wide = ["inputs.features=5", "inputs.threshold=0", "network.hidden=[80,80]"]
        wide += [*PAPER[2:], "relevance.sampled_paths=200"]
        assert dtd_run(monkeypatch, *wide, *chosen) == 0
    exact, estimated = (
        pd.read_csv(folder / "relevance.csv").query("method == 'recursive'")
        for folder in folders.values()
    )
    assert "stderr" not in exact
    keys = ["sample", "layer", "neuron"]
    assert exact[keys].equals(estimated[keys])
    gap = (exact["relevance"] - estimated["relevance"]).abs()
    assert (gap <= 4 * estimated["stderr"] + 1e-9).all()
    assert (estimated["stderr"] > 1e-4).any()
    layers = pd.read_csv(folders["monte_carlo"] / "layers.csv")
    parts = ["relevance_sum", "zero_order", "unresolved", "remainder"]
    assert np.allclose(layers["upper_sum"], layers[parts].sum(axis=1))
    assert layers["relevance_sum_stderr"].notna().equals(layers["method"] == "recursive")


def test_standard_errors_that_are_too_large_or_hardly_known(monkeypatch, capfd):
    """The run says so, and in which layers."""
    wide = ["inputs.features=5", "inputs.threshold=0", "network.hidden=[40,40,40]", *PAPER[2:]]
    chosen = ["relevance.estimator=monte_carlo", "relevance.sampled_paths=10"]
    assert dtd_run(monkeypatch, *wide, *chosen, "relevance.stderr=0.0001") == 0
    said = capfd.readouterr()
    assert "are above relevance.stderr=0.0001 for" in said.out + said.err
    assert "rest on fewer than 10 paths for" in said.out + said.err
    chosen = ["relevance.estimator=monte_carlo", "relevance.sampled_paths=100"]
    assert dtd_run(monkeypatch, *PAPER, *chosen) == 0
    said = capfd.readouterr()
    assert "standard errors" not in said.out + said.err
