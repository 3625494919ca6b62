"""Standard errors of sampled paths: as they are written down, and in every kind of explanation."""

from __future__ import annotations

import pytest
import torch

import dtd
from cases import random_network, recursion, tensor
from dtd.explainer.notes import notes_on_errors
from dtd.networks.network import Layer, Network
from dtd.relevance.explanation import StandardErrors
from dtd.relevance.paths import sampled as sampled_paths
from dtd.relevance.paths.budget import Batch, Budget
from dtd.relevance.paths.estimate import Estimate, ExpandedPaths
from test_one_sided import zero_biases
from test_sampled_paths import answered, estimates


def literal_variance(found):
    """Of each unit's relevance: the sample variances of the strata, over their paths."""
    begun, expansion, (_, a, units) = found.begun, found.expansion, found.anchors
    weight = begun.weight * begun.all_weights[begun.prefix]
    passed = weight * (expansion.factor - found.expected[begun.prefix])
    gains = torch.zeros(len(passed), units.z.shape[1], dtype=a.dtype)
    gains[torch.arange(len(passed)), begun.first] = passed * units.step[begun.row, begun.first]
    given = a[begun.row] * found.layer.product.transposed(gains, a[begun.row])
    index = expansion.from_first
    given[index] += begun.weight[index].unsqueeze(1) * expansion.shares
    variance = torch.zeros_like(a)
    for number in begun.stratum.unique():
        inside = begun.stratum == number
        if inside.sum() > 1:
            variance[begun.row[inside][0]] += given[inside].var(0) / inside.sum()
    return variance


@pytest.mark.parametrize(("seed", "bias", "rule"), [(4, "zero", "z+"), (50, "positive", "gamma")])
def test_variances_are_those_of_the_strata(monkeypatch, seed, bias, rule):
    """Also where paths of a stratum have expansions from their first roots on, beside others."""
    monkeypatch.setattr(sampled_paths, "_MOST", 0)
    every = []

    def noted(*parts):
        every.append(ExpandedPaths(*parts))
        return every[-1]

    monkeypatch.setattr(sampled_paths, "ExpandedPaths", noted)
    net, x = answered((3, 4, 4, 1), seed, bias)
    estimates(recursion(zero_biases(net, seed), rule, gamma=0.5), x, number=100, layers=[0])
    found = every[-1]
    assert len(found.expansion.from_first) > 5
    want = literal_variance(found)
    assert want.all()
    torch.testing.assert_close(found.estimate.stderr.square(), want, rtol=1e-9, atol=0)


def normalised(seed):
    """A network with two outputs, whose units are alike in size, and some inputs."""
    net = random_network((5, 20, 20, 20, 2), seed, "negative", output_relu=False)
    layers = [
        Layer(layer.weight / layer.weight.norm(dim=1, keepdim=True),
              0.1 * layer.bias, relu=layer.relu)
        for layer in net.layers
    ]  # fmt: skip
    x = torch.rand(40, 5, generator=torch.Generator().manual_seed(seed)).double()
    return Network(tuple(layers)), x


KINDS = {
    "an output above zero": (0, torch.float64, 1),
    "an output below zero": (0, torch.float64, -1),
    "a pair of outputs": ((0, 1), torch.float64, -1),
    "float32": (0, torch.float32, 1),
}


@pytest.mark.parametrize(("target", "dtype", "sign"), KINDS.values(), ids=KINDS)
def test_every_kind_of_output(monkeypatch, target, dtype, sign):
    """The mean of z² of the sums of R_0 and R_1 is one, against enumeration in float64."""
    monkeypatch.setattr(sampled_paths, "_MOST", 0)
    squares = []
    net, x = normalised(3)
    y = net.forward(x)
    f = y[:, target] if isinstance(target, int) else y[:, 0] - y[:, 1]
    x = x[sign * f > 0.1 * f.abs().max()][:2]
    want = dtd.DTD(net, rule="z+").explain(x, target).relevance
    for seed in range(8):
        estimator = dtd.MonteCarlo(paths=300)
        explainer = dtd.DTD(net, rule="z+", estimator=estimator, seed=seed, dtype=dtype)
        got = explainer.explain(x, target)
        assert got.relevance[0].dtype == dtype
        for layer in (0, 1):
            gap = got.relevance[layer].sum(1).double() - want[layer].sum(1)
            assert (sign * want[layer].sum(1) > 0).all()
            squares.append((gap / got.sum_stderr[layer]).square())
            assert (got.sum_stderr[layer] > 0).all()
    assert 0.4 < torch.stack(squares).mean() < 1.8


def test_nothing_is_explained_of_a_zero():
    net, x = normalised(1)
    *hidden, last = net.layers
    closed = Network((*hidden, Layer(-last.weight.abs(), last.bias)))
    result = dtd.DTD(closed, rule="z+", estimator=dtd.MonteCarlo(paths=300)).explain(x[:2], 0)
    assert not any(layer.any() for layer in result.relevance)
    assert not any(layer.any() for layer in result.sum_stderr)


def test_batches_do_not_depend_on_their_own_paths():
    """Three batches, whose sizes are made of errors before: any sequence ends, within budget."""
    budget = Budget(5000, 0.05)
    for error, paths in ((0.5, 3.0), (0.01, 100.0), (10.0, 1.0), (0.0, torch.inf)):
        batch: Batch | None = budget.first
        batches = []
        while batch:
            batches.append(batch)
            batch = budget.after(batch, found(error / batch.number**0.5, paths))
        assert batches[-1].before + batches[-1].number <= 5000
        assert [one.counts for one in batches[-3:]] == [True] * 3
        assert not any(one.counts for one in batches[:-3])
        assert all(one.number >= 2 for one in batches)


def test_later_batches_make_up_for_a_bad_one():
    """A mean of three has a third of the root of their squared errors. The aim is 0.85 of it."""
    budget = Budget(10**6, 0.05)
    first = Batch(400, 300, 1000, counts=True, last=False)
    second = budget.after(first, found(0.1, 1e9))
    third = budget.after(second, found(0.1 * (300 / second.number) ** 0.5, 1e9))
    assert (second.last, third.last, budget.after(third, found(0.05, 1e9))) == (False, True, None)
    squares = [0.1**2 * 300 / batch.number for batch in (first, second, third)]
    assert sum(squares) ** 0.5 / 3 == pytest.approx(0.85 * 0.05, rel=0.01)
    assert second.number == pytest.approx(third.number, rel=0.01)


def found(stderr, paths):
    one = torch.ones(1, dtype=torch.float64)
    return Estimate(one.unsqueeze(1), one.unsqueeze(1), stderr * one, paths * one, one, one)


def test_batches_are_unbiased(monkeypatch):
    """With a wanted error, too: z of the mean of many runs against the exact sum."""
    monkeypatch.setattr(sampled_paths, "_MOST", 0)
    net, x = answered((5, 8, 7, 1), 40, "positive")
    rec = recursion(net, "z+")
    with torch.no_grad():
        want = rec.relevance(0, x).sum()
    runs = [estimates(rec, x, seed=s, number=5000, stderr=0.03, layers=[0])[0] for s in range(60)]
    sums = torch.stack([run.relevance.sum() for run in runs])
    claimed = torch.stack([run.total_stderr[0] for run in runs])
    assert ((claimed / sums) <= 0.03).double().mean() > 0.95
    assert abs(sums.mean() - want) <= 3 * sums.std() / len(runs) ** 0.5
    assert 0.5 < ((sums - want) / claimed).square().mean() < 1.6


def test_what_no_path_has_met_has_no_standard_error(monkeypatch):
    """Each input goes through one unit; with a few paths most of these are met by none."""
    monkeypatch.setattr(sampled_paths, "_MOST", 0)
    upper, x = answered((12, 12, 12, 1), 3, "positive")
    first = Layer(torch.eye(12, dtype=torch.float64), torch.full((12,), -1e-3).double())
    net, x = Network((first, *upper.layers)), x + 0.01
    rec = recursion(net, "z+")
    every = []
    monkeypatch.setattr(
        sampled_paths, "ExpandedPaths", lambda *p: every.append(ExpandedPaths(*p)) or every[-1]
    )
    (got,) = estimates(rec, x, number=10, layers=[0])
    met = torch.zeros_like(x).index_fill(1, every[-1].begun.first, 1).bool()
    reached = torch.zeros_like(x).index_fill(1, every[-1].begun.all_first, 1).bool()
    assert (reached & ~met).any()
    assert torch.equal(got.stderr.isnan(), reached & ~met)
    assert got.total_stderr.isfinite().all()


@pytest.mark.parametrize(
    ("paths", "noted"), [([[3.0, 20.0]], 1), ([[20.0, 30.0], [0.0]], 1), ([[10.0]], 0)]
)
def test_a_result_notes_errors_of_few_paths(paths, noted):
    """In any layer, of any sample; what is exact rests on infinitely many."""
    exact = [torch.full((len(row),), torch.inf) for row in paths]
    errors = [
        StandardErrors((), (), (every, tensor(row)))
        for every, row in zip(exact, paths, strict=True)
    ]
    notes = notes_on_errors(errors)
    assert len(notes) == noted
    assert all(f"of 1 of {sum(map(len, paths))} samples" in note for note in notes)
    assert notes_on_errors([None]) == notes_on_errors([]) == ()


def test_an_explanation_has_the_note():
    net, x = answered((20, 60, 60, 60, 1), 3, "negative")
    result = dtd.DTD(net, estimator=dtd.MonteCarlo(paths=10)).explain(x, 0)
    few = torch.stack(result.stderr_paths)[:, result.explained] < 10
    assert bool(few.any()) == any("fewer than 10 paths" in note for note in result.notes)
    assert "fewer than 10 paths" in repr(result)
