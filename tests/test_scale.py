"""Shares of relevance do not depend on the scale of weights, down to the end of the range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import dtd
from cases import positive_input, random_network
from dtd.networks.network import Layer
from dtd.numerics.scale import norm, size_of
from dtd_cli.inputs.source import Scaling
from test_cli import dtd_run


def scaled(net, factors):
    """Layers with weights of another size, and biases that go with them: the same gates."""
    layers, product = [], 1.0
    for layer, factor in zip(net.layers, factors, strict=True):
        product *= factor
        layers.append(Layer(layer.weight * factor, layer.bias * product, layer.relu))
    return dtd.Network(tuple(layers)), product


SMALL = 2.0**-660
"""Its square is none in double precision; a power of two, which rounds nothing."""
FACTORS = [(SMALL, 1.0), (1.0, SMALL), (2.0**-250, 2.0**-250)]


@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.parametrize("rule", ["z+", "w2", "gamma", "x", "zero", "pinv"])
@pytest.mark.parametrize("method", ["recursive", "train_free"])
def test_shares_do_not_depend_on_the_scale(method, rule, factors):
    net = random_network((3, 4, 2), 27, "positive", output_relu=False)
    small, product = scaled(net, factors)
    settings = {"rule": rule, "method": method, "domain": dtd.Domain.nonnegative()}
    want = dtd.DTD(net, **settings).explain(positive_input(3, 38, n=3))
    got = dtd.DTD(small, **settings).explain(positive_input(3, 38, n=3))
    assert (want.relevance[1] != 0).any()
    for mine, other in zip(got.relevance, want.relevance, strict=True):
        torch.testing.assert_close(mine / product, other, rtol=1e-9, atol=1e-12)
    roots, others = got.roots_frame(), want.roots_frame()
    assert list(roots["status"]) == list(others["status"])
    first = roots["layer"] == 0
    for name, unit in (("gradient_norm", product), ("distance", 1.0)):
        mine, other = (table[name][first].astype(float) for table in (roots, others))
        np.testing.assert_allclose(mine / unit, other, rtol=1e-9)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_a_norm_has_no_range_of_its_own(size):
    values = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    assert norm(values * size).tolist() == pytest.approx([5 * size, 0], rel=1e-15)
    plain = torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(norm(plain), plain.norm(dim=1))
    power = size_of(plain).squeeze(1)
    assert torch.equal(power.log2(), plain.abs().amax(1).log2().floor())


RUNS = {"0": "float64", "-200": "float64", "-25": "float32"}


def test_small_weights_keep_f_under_w2(tmp_path, monkeypatch):
    """Squares of weights have the same shares, also where they are no numbers of the dtype."""
    monkeypatch.chdir(tmp_path)
    weight = torch.rand(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pd.DataFrame(np.random.default_rng(1).random((2, 4)), columns=list("abcd")).to_csv(
        "x.csv", index=False
    )
    for power, dtype in RUNS.items():
        torch.save({"weight": weight * float(f"1e{power}")}, "net.pt")
        status = dtd_run(
            monkeypatch, "training=none", "inputs=csv", "inputs.path=x.csv", "network=file",
            "network.path=net.pt", "rule=w2", f"dtype={dtype}", "plots=none", "progress=false",
            f"hydra.run.dir=run{power}",
        )  # fmt: skip
        assert status == 0
        layers = pd.read_csv(f"run{power}/layers.csv")
        np.testing.assert_allclose(layers["relevance_sum"], layers["upper_sum"], rtol=1e-6)
        assert (layers["unresolved"] == 0).all()
        relevance = pd.read_csv(f"run{power}/relevance.csv").query("layer == 0")["relevance"]
        wanted = pd.read_csv("run0/relevance.csv").query("layer == 0")["relevance"]
        np.testing.assert_allclose(relevance / float(f"1e{power}"), wanted, rtol=1e-6)


LARGE = {
    "f in float32": (
        1.0,
        "1e300,1",
        "float32",
        "column 'a' is 1e+300, which leaves the range of float32",
    ),
    "f in float64": (1e200, "1e200,1", "float64", "the activation of layer 1 leaves the range"),
    "squares": (1e154, "2,1", "float64", "activation of layer 1 leaves the range of float64"),
    "weights": (1e154, "2,1", "float32", "network=layer 1: its weights are not all finite"),
}


@pytest.mark.parametrize(("weight", "row", "dtype", "said"), LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("rule", ["z+", "w2"])
def test_what_leaves_the_range_is_refused_by_row_or_layer(
    tmp_path, monkeypatch, capfd, rule, weight, row, dtype, said
):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.full((1, 2), weight, dtype=torch.float64)}, "net.pt")
    (tmp_path / "x.csv").write_text(f"a,b\n1,1\n{row}\n")
    status = dtd_run(
        monkeypatch, "training=none", "inputs=csv", "inputs.path=x.csv", "network=file",
        "network.path=net.pt", f"rule={rule}", f"dtype={dtype}", "plots=none", "progress=false",
        "hydra.run.dir=run",
    )  # fmt: skip
    assert status == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "run" / "DONE").exists()


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1.0, 1e160, 1e299])
def test_standardised_features_do_not_depend_on_scale(size):
    rows = torch.tensor([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]], dtype=torch.float64)
    wanted, scaled = rows - rows.mean(0), rows * size
    wanted = wanted / torch.tensor([wanted[:, 0].square().mean().sqrt(), 1.0])
    assert torch.allclose(Scaling.of(scaled)(scaled), wanted, rtol=1e-12, atol=1e-12)
