"""The studies against literal computations, from runs of the program."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from dtd_cli.networks.files import File
from test_cli import dtd_run

PAPER = ["network=paper", "inputs=positive", "network.seed=1", "training=none", "progress=false"]
ALL = "studies=[agreement,continuity,output_scaling,published_roots,rank_collapse]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("studies")
        monkeypatch.chdir(folder)
        run = folder / "run"
        assert dtd_run(monkeypatch, *PAPER, "inputs.n=6", ALL, f"hydra.run.dir={run}") == 0
        return run


@pytest.fixture(scope="module")
def net(folder):
    return File(0, "relu", str(folder / "network.safetensors")).build(0, 0)


def read(folder, name):
    return pd.read_csv(folder / f"{name}.csv")


def inputs(folder):
    table = read(folder, "inputs")
    return torch.tensor(table.iloc[:, 4:].to_numpy()), table["output"].tolist(), table["f"]


def relevance(folder, method, layer=0):
    rows = read(folder, "relevance").query("method == @method and layer == @layer")
    return rows.pivot(index="sample", columns="neuron", values="relevance").to_numpy()


def test_agreement(folder):
    _, _, f = inputs(folder)
    reference = relevance(folder, "gradient_x_input")
    for method, rows in read(folder, "agreement").groupby("method"):
        r = relevance(folder, method)
        np.testing.assert_allclose(rows["conserved"], r.sum(1) / f, rtol=1e-12)
        for cosine, one, two in zip(rows["cosine"], r, reference, strict=True):
            want = one @ two / np.sqrt((one @ one) * (two @ two))
            assert cosine == pytest.approx(want, rel=1e-12)


def test_continuity(folder):
    x, _, _ = inputs(folder)
    for row in read(folder, "continuity").itertuples():
        r = relevance(folder, row.method)
        ratios = {
            (i, k): np.abs(r[i] - r[k]).sum() / np.sqrt(((x[i] - x[k]) ** 2).sum().item())
            for i, k in combinations(range(len(x)), 2)
        }
        assert row.score == pytest.approx(max(ratios.values()), rel=1e-12)
        assert ratios[row.sample, row.other_sample] == max(ratios.values())


def test_output_scaling(folder, net):
    x, outputs, _ = inputs(folder)
    table = read(folder, "output_scaling")
    for sample, rows in table.groupby("sample"):
        assert rows["c"].iloc[0] == 0
        assert rows["c"].iloc[-1] == 1
        assert rows["ratio"].iloc[-1] == pytest.approx(1, rel=1e-12)
        f = [net.forward(c * x[sample : sample + 1])[0, outputs[sample]] for c in rows["c"]]
        np.testing.assert_allclose(rows["ratio"], np.array(f) / f[-1].item(), atol=1e-6)


def test_published_roots(folder, net):
    x, outputs, _ = inputs(folder)
    r1 = relevance(folder, "recursive", layer=1)
    layer = net.layers[0]

    def gradient(point, output):
        point = point.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net.to(x.dtype).forward(point[None])[0, output], point)
        return slope

    table = read(folder, "published_roots")
    assert table["points_with_another_gradient"].between(1, 9).any()
    for row in table.itertuples():
        a, output = x[row.sample], outputs[row.sample]
        away = 0
        for w, r in zip(layer.weight.double(), r1[row.sample], strict=True):
            v = a * (w >= 0)
            root = a - r / (w @ v) * v
            away += bool(((gradient(root, output) - gradient(a, output)).abs() > 1e-5).any())
        assert row.points == 10
        assert row.points_with_another_gradient == away
        assert row.any_with_another_gradient == (away > 0)


def test_rank_collapse(folder, net):
    x, _, _ = inputs(folder)
    table = read(folder, "rank_collapse").set_index(["sample", "layers"])
    for sample in range(len(x)):
        product = np.eye(10)
        path = net.to(x.dtype).activations(x[sample : sample + 1])
        for length, (layer, (a, _)) in enumerate(
            zip(net.layers, pairwise(path), strict=True), start=1
        ):
            positive = layer.weight.double().clamp(min=0).numpy() * a.numpy()
            product = product @ (positive / positive.sum(1, keepdims=True)).T
            cosines = [
                one @ two / np.sqrt((one @ one) * (two @ two))
                for one, two in combinations(product.T, 2)
            ]
            row = table.loc[(sample, length)]
            assert row["least_cosine"] == pytest.approx(min(cosines), rel=1e-9)
            assert row["mean_cosine"] == pytest.approx(np.mean(cosines), rel=1e-9)


def test_each_has_its_picture(folder):
    pictures = {path.stem for path in (folder / "plots").iterdir()}
    assert pictures >= set(ALL.removeprefix("studies=[").removesuffix("]").split(","))


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (["studies=[nothing]"], "agreement, continuity"),
        (["studies=[agreement,agreement]"], "each once"),
        (["studies=[published_roots]", "relevance.methods=[train_free]"], "needs recursive"),
    ],
)
def test_refused(monkeypatch, tmp_path, capsys, settings, allowed):
    monkeypatch.chdir(tmp_path)
    assert dtd_run(monkeypatch, *PAPER, *settings) == 2
    error = capsys.readouterr().err
    assert error.startswith("dtd-run: studies=")
    assert allowed in error
    assert error.count("\n") == 1
