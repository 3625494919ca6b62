"""Outputs below zero and differences of outputs: -f is decomposed, and its sign comes back.

The numbers are those of the network whose last layer is written out for it, by the same code and
by ``literal.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import dtd
from cases import box, lists, positive_input, random_network, spread
from dtd.networks.files.state_dicts import save
from dtd.networks.network import Layer
from literal import Literal
from test_cli import dtd_run

WIDTHS = (3, 4, 3, 2)
LIMIT = 1e-9
"""That of ``test_recursion_literal.py`` where limits are taken."""


@pytest.fixture(scope="module")
def net():
    """Output 0 is below zero at every one of the samples, output 1 above."""
    net = random_network(WIDTHS, 30, "positive", output_relu=False)
    assert (net.forward(samples())[:, 0] < -0.1).all()
    assert (net.forward(samples())[:, 1] > 0.1).all()
    return net


@pytest.fixture(scope="module")
def shallow():
    """The same of two layers; searches find roots in the input for output 0, and without it too."""
    net = random_network((3, 4, 2), 27, "positive", output_relu=False)
    assert (net.forward(samples())[:, 0] < -0.1).all()
    return net


def samples():
    return positive_input(3, 38, n=3)


def combined(net, row):
    """The network with one output, the sum of the outputs of ``net`` with the factors ``row``."""
    *hidden, last = net.layers
    row = torch.tensor([row], dtype=torch.float64)
    return dtd.Network((*hidden, Layer(row @ last.weight, row @ last.bias, relu=False)))


RULES = {
    "z+": ["z+"] * 3, "w2": ["w2"] * 3, "gamma": ["gamma"] * 3, "zB": ["zB", "z+", "z+"],
    "mixed": ["x", "gamma", "w2"],
}  # fmt: skip
# What is explained, and the output that is above zero, from which the relevances get their sign.
ASKED = {"below": (0, [-1, 0], -1), "pair": ((0, 1), [-1, 1], -1), "turned": ((1, 0), [-1, 1], 1)}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize(("target", "row", "sign"), ASKED.values(), ids=ASKED)
def test_the_numbers_are_literal(net, rules, target, row, sign):
    x = samples()[:1]
    rules_of = [dtd.rules.Gamma(0.5) if rule == "gamma" else rule for rule in rules]
    result = dtd.DTD(net, rule=rules_of, domain=box(3, 0.0, 2.0)).explain(x, target)
    literal = Literal(*lists(combined(net, row)), rules, gamma=0.5, box=(0.0, 2.0),
                      output_relu=False)  # fmt: skip
    wanted = literal.relevances(x[0].tolist())
    assert any(wanted[0])
    for layer, want in enumerate(wanted):
        assert spread(sign * result.relevance[layer][0], want) < LIMIT, f"R_{layer}"
    y = net.forward(x)[0]
    f = y[0] if isinstance(target, int) else y[target[0]] - y[target[1]]
    torch.testing.assert_close(result.f[0], f)
    torch.testing.assert_close(result.relevance[3].sum(1), result.f)


WAYS = {
    "recursive": {},
    "degrees": {"degree": 2, "interactions": True},
    "integral": {"degree": torch.inf},
    "constant": {"root_dependence": "constant", "input_roots": "random"},
    "sampled": {"estimator": dtd.MonteCarlo(50)},
    "searched": {"input_roots": "polytope"},
    "chains": {"input_roots": dtd.roots.HitAndRun(chains=2, steps=20, warmup=5)},
    "train_free": {"method": "train_free"},
    "gradient_x_input": {"method": "gradient_x_input"},
    "simple_taylor": {"method": "simple_taylor"},
}


@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS)
def test_every_method_has_the_opposite_of_the_opposite_network(shallow, settings):
    settings = {"rule": dtd.rules.Gamma(0.5), "domain": dtd.Domain.nonnegative(), **settings}
    got = dtd.DTD(shallow, **settings).explain(samples(), 0)
    want = dtd.DTD(combined(shallow, [-1, 0]), **settings).explain(samples(), 0)
    assert got.explained.all()
    assert torch.equal(got.f, -want.f)
    assert (want.attribution != 0).any()
    torch.testing.assert_close(got.kept, want.kept, rtol=0, atol=0, equal_nan=True)
    for layer in range(2):
        assert torch.equal(got.relevance[layer], -want.relevance[layer])
        for name in ("upper_sum", "relevance_sum", "zero_order", "unresolved", "remainder"):
            ledgers = got.ledger[layer], want.ledger[layer]
            first, second = (getattr(ledger, name) for ledger in ledgers)
            assert torch.equal(first, -second)
        negative = got.relevance[layer].clamp(max=0).sum(1)
        if (got.ledger[layer].relevance_sum != 0).any():
            torch.testing.assert_close(got.ledger[layer].negative_sum, negative)
    for name in ("stderr", "degrees", "interactions"):
        first, second = getattr(got, name), getattr(want, name)
        assert (first is None) == (second is None)
        for mine, other in zip(first or [], second or [], strict=True):
            same = mine[..., :1] if name == "stderr" and mine.shape != other.shape else mine
            assert torch.equal(same.abs(), other.abs())
    _same_but_for_the_sign(got.roots_frame(), want.roots_frame())


def _same_but_for_the_sign(got, want):
    opposite = ["relevance", "residual", "output_change"]
    assert list(got.columns) == list(want.columns)
    pd.testing.assert_frame_equal(
        got.drop(columns=[*opposite, "gradient_gap"]),
        want.drop(columns=[*opposite, "gradient_gap"]),
    )
    for name in opposite:
        np.testing.assert_allclose(got[name].astype(float), -want[name].astype(float), atol=1e-13)


def test_what_a_random_search_saw_has_the_sign_of_f(shallow):
    result = dtd.DTD(shallow, rule=dtd.rules.Gamma(0.5), input_roots="random").explain(samples(), 0)
    (roots, *_) = result.parts[0].explanation.evidence[0]
    at_anchor = roots.scan.relevance[..., -1]
    torch.testing.assert_close(at_anchor, roots.relevance)
    assert (roots.relevance < 0).any()


def test_frames_have_the_outputs_that_are_explained(net):
    pair = dtd.DTD(net).explain(samples(), (0, 1))
    rows = (
        pair.to_frame()
        .query("layer == 3")
        .pivot(index="sample", columns="neuron", values="relevance")
    )
    y = net.forward(samples())
    np.testing.assert_array_equal(rows, torch.stack([y[:, 0], -y[:, 1]], 1))
    point = dtd.DTD(net).root_point(samples(), layer=2, unit=1, target=(1, 0))
    assert point.status == ["found"] * 3
    assert (point.relevance > 0).all()


def test_signs_may_differ_in_a_batch(net):
    x = samples()
    mixed = dtd.DTD(net).explain(x, [0, 1, 0])
    assert mixed.f.sign().tolist() == [-1, 1, -1]
    for sample, target in enumerate([0, 1, 0]):
        alone = dtd.DTD(net).explain(x[sample : sample + 1], target)
        assert torch.equal(mixed.attribution[sample], alone.attribution[0])
    assert set(mixed.to_frame()["sample"]) == {0, 1, 2}


@pytest.mark.parametrize("target", [0, 1, (0, 1)])
@pytest.mark.parametrize("layer", [0, 2])
def test_a_relevance_function_has_the_sign_of_f(net, target, layer):
    explainer = dtd.DTD(net, rule="gamma")
    function = explainer.relevance_function(layer, target)
    a = net.activations(samples())[layer].requires_grad_()
    value = function(a)
    wanted = explainer.explain(samples(), target).relevance[layer]
    torch.testing.assert_close(value.detach(), wanted, rtol=1e-9, atol=1e-12)
    (slope,) = torch.autograd.grad(value.sum(), a)
    for unit in range(a.shape[1]):
        step = torch.zeros_like(a)
        step[:, unit] = 1e-6
        difference = (function(a.detach() + step) - function(a.detach() - step)).sum(1) / 2e-6
        torch.testing.assert_close(slope[:, unit], difference, rtol=1e-5, atol=1e-6)


def test_zero_is_not_explained():
    *hidden, last = random_network(WIDTHS, 30, "positive", output_relu=False).layers
    nothing = replace(last, weight=0 * last.weight, bias=0 * last.bias)
    result = dtd.DTD(dtd.Network((*hidden, nothing))).explain(samples(), 0)
    assert not result.explained.any()
    assert (result.attribution == 0).all()


TABLES = {
    "relevance.csv": ["relevance"],
    "layers.csv": ["upper_sum", "relevance_sum", "zero_order", "unresolved", "remainder"],
    "roots.csv": ["relevance", "residual", "output_change"],
    "paths.csv": ["relevance"],
    "flows.csv": ["relevance"],
    "root_tree.csv": ["relevance", "passed"],
    "nested_roots.csv": ["relevance"],
    "summed_root.csv": ["relevance", "relevance_at_root", "gradient"],
    "search_lines.csv": ["relevance"],
    "regions.csv": [],
    "output_scaling.csv": [],
    "published_roots.csv": ["output_change"],
    "upper_relevance.csv": ["relevance"],
    "agreement.csv": [],
    "root_points.csv": [],
}
"""What changes its sign with f; all else is the same."""


def test_one_logit_below_zero_has_a_run_of_its_own(shallow, tmp_path, monkeypatch):
    """The class that such a network predicts is the sign."""
    monkeypatch.chdir(tmp_path)
    for name, row in (("below", [1, 0]), ("above", [-1, 0])):
        save(combined(shallow, row), tmp_path / f"{name}.safetensors")
    columns = ["a", "b", "c"]
    pd.DataFrame(samples().numpy(), columns=columns).to_csv("x.csv", index=False)
    for name in ("below", "above"):
        status = dtd_run(
            monkeypatch,
            "network=file", f"network.path={name}.safetensors", "network.output_activation=linear",
            "training=none", "inputs=csv", "inputs.path=x.csv", "inputs.domain=nonnegative",
            "+roots@compare_input_roots.near=random", "relevance.paths=true", "plots=none",
            "studies=[agreement,output_scaling,published_roots,nested_roots,summed_root,"
            "upper_relevance]",
            "region_map.coordinates=[0,1]", "progress=false", f"hydra.run.dir={name}",
        )  # fmt: skip
        assert status == 0
    for table, opposite in TABLES.items():
        got, want = (pd.read_csv(tmp_path / name / table) for name in ("below", "above"))
        free = [*opposite, "activation", "f", "gradient_i", "gradient_k", "negative_sum"]
        free += ["gradient_gap", "gradient_change"]
        rest = [name for name in got if name not in free]
        pd.testing.assert_frame_equal(got[rest], want[rest], check_exact=True)
        for name in opposite:
            np.testing.assert_allclose(got[name], -want[name], rtol=1e-12, atol=1e-13)
    inputs = pd.read_csv(tmp_path / "below" / "inputs.csv")
    assert (inputs["status"] == "explained").all()
    assert (inputs["f"] < 0).all()
