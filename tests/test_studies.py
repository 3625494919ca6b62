"""The studies against literal computations, from runs of the program."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from dtd_cli.config.plots import Plots
from dtd_cli.networks.files import File
from dtd_cli.plots import Tables, draw
from dtd_cli.records.columns import INPUTS
from test_cli import dtd_run

PAPER = ["network=paper", "inputs=positive", "network.seed=1", "training=none", "progress=false"]
NAMES = (
    "agreement", "continuity", "output_scaling", "published_roots", "rank_collapse", "region_size",
    "nested_roots", "summed_root", "upper_relevance",
)  # fmt: skip
ALL = f"studies=[{','.join(NAMES)}]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("studies")
        monkeypatch.chdir(folder)
        run = folder / "run"
        assert (
            dtd_run(monkeypatch, *PAPER, "inputs.n=6", ALL, "plots=none", f"hydra.run.dir={run}")
            == 0
        )
        return run


@pytest.fixture(scope="module")
def net(folder):
    return File(0, "relu", str(folder / "network.safetensors")).build((0,), 0)


def read(folder, name):
    return pd.read_csv(folder / f"{name}.csv")


def inputs(folder):
    table = read(folder, "inputs")
    return (
        torch.tensor(table.iloc[:, len(INPUTS) :].to_numpy()),
        table["output"].tolist(),
        table["f"],
    )


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


@pytest.mark.parametrize("method", ["train_free", "recursive"])
def test_published_roots(folder, net, method):
    x, outputs, _ = inputs(folder)
    r1 = relevance(folder, method, layer=1)
    layer = net.layers[0]

    def output_and_gradient(point, output):
        point = point.clone().requires_grad_()
        f = net.to(x.dtype).forward(point[None])[0, output]
        (slope,) = torch.autograd.grad(f, point)
        return f.item(), slope

    table = read(folder, "published_roots").query("method == @method")
    assert 0 < table["another_gradient"].sum() < len(table) == 10 * len(x)
    for row in table.itertuples():
        a, w = x[row.sample], layer.weight[row.neuron].double()
        v = a * (w >= 0)
        f, here = output_and_gradient(a, outputs[row.sample])
        at_root, there = output_and_gradient(
            a - r1[row.sample, row.neuron] / (w @ v) * v, outputs[row.sample]
        )
        assert row.output_change == pytest.approx(at_root - f, abs=1e-12)
        gap = (there - here).abs().max().item()
        assert row.gradient_change == pytest.approx(gap, abs=1e-12)
        assert row.another_gradient == (gap > 1e-5)


def test_upper_relevance(folder, net):
    """With z+ both methods, written out; the exact one has its roots from the scaled activation."""
    x, outputs, _ = inputs(folder)
    (w2, b2), (w3, b3) = (
        (layer.weight.double().numpy(), layer.bias.double().numpy()) for layer in net.layers[1:]
    )
    table = read(folder, "upper_relevance").set_index(["method", "sample", "c"])["relevance"]

    def relevances(a, out):
        """The train-free R_1 and, unit by unit of layer 2, what it is exactly."""
        z2 = w2 @ a + b2
        a2 = np.maximum(z2, 0)
        kept = np.maximum(w3[out], 0)
        f = max(w3[out] @ a2 + b3[out], 0)
        r2 = kept * a2 * f / (kept @ a2) if kept @ a2 else 0 * a2
        shares = np.maximum(w2, 0) * a
        sums = shares.sum(1, keepdims=True)
        return (shares * np.divide(r2[:, None], sums, out=0 * sums, where=sums > 0)).sum(0)

    for sample in range(len(x)):
        a = net.to(x.dtype).activations(x[sample : sample + 1])[1][0].numpy()
        for c in (0.25, 1, 2):
            want = relevances(c * a, outputs[sample])
            np.testing.assert_allclose(table[("train_free", sample, c)], want, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            table[("recursive", sample, 1)], relevance(folder, "recursive", 1)[sample], atol=1e-12
        )


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


def test_nested_roots(folder, net):
    """Two levels of z+ roots, unit by unit."""
    x, outputs, _ = inputs(folder)
    layers = [
        (layer.weight.double().numpy(), layer.bias.double().numpy())
        for layer in net.explaining(outputs[0]).layers
    ]
    tree = read(folder, "nested_roots").set_index("node")

    def root(a, w, b):
        v = a * (w >= 0)
        return a - (w @ a + b) / (w @ v) * v

    def relevance_2(a):
        """R_2 as a function of the activation in layer 1."""
        a = np.maximum(layers[1][0] @ a + layers[1][1], 0)
        w, b = layers[2][0][0], layers[2][1][0]
        share = a * np.maximum(w, 0)
        return share * max(w @ a + b, 0) / share.sum() if share.any() else share

    a = x[0].numpy()
    first = tree[tree["layer"] == 0]
    assert list(first["neuron"]) == list(range(10))
    assert first["parent"].isna().all()
    nested = 0
    for node, unit in zip(first.index, first.itertuples(), strict=True):
        w, b = layers[0][0][unit.neuron], layers[0][1][unit.neuron]
        children = tree[tree["parent"] == node]
        assert (unit.status == "found") == (w @ a + b > 0) == (len(children) == 10)
        if len(children):
            there = root(a, w, b)
            assert unit.distance == pytest.approx(np.linalg.norm(a - there))
            anchor = np.maximum(layers[0][0] @ there + layers[0][1], 0)
            np.testing.assert_allclose(children["relevance"], relevance_2(anchor), atol=1e-12)
            nested += (children["relevance"] > 0).any()
    assert nested > 3


@pytest.mark.parametrize(
    ("search", "near"),
    [
        ([], 2e-4),
        (["input_roots=hit_and_run", "input_roots.chains=200", "input_roots.radius=99"], 2e-2),
    ],
    ids=["rays", "chains"],
)
def test_region_size_of_an_interval(monkeypatch, tmp_path, search, near):
    """With one input the box is the region itself, and chains fill it; found by a dense scan."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a\n0.1\n-0.4\n1.2\n")
    settings = ["network=mlp", "network.hidden=[5,4]", "network.outputs=2", "training=none",
                "inputs=csv", "inputs.path=x.csv", "inputs.domain=box", "inputs.low=-3",
                "inputs.high=3", "seed=5", "studies=[region_size]", "plots=none"]  # fmt: skip
    assert dtd_run(monkeypatch, *settings, *search, "hydra.run.dir=run") == 0
    net = File(0, "relu", "run/network.safetensors").build((0,), 0).to(torch.float64)
    scan = torch.linspace(-3, 3, 60_001, dtype=torch.float64)
    pattern = torch.cat([(a > 0) for a in net.activations(scan[:, None])[1:]], 1)
    table = read(tmp_path / "run", "region_size").query("layer == 0")
    assert len(table) > 1
    for row in table.itertuples():
        here = int((scan - row.activation).abs().argmin())
        other = (pattern != pattern[here]).any(1)
        low = scan[:here][other[:here]]
        high = scan[here:][other[here:]]
        assert row.low == pytest.approx(low[-1].item() if len(low) else -3, abs=near)
        assert row.high == pytest.approx(high[0].item() if len(high) else 3, abs=near)


def test_summed_root(monkeypatch, tmp_path):
    """The later notebook, one candidate after the other; with z+ the summed relevance is f."""
    monkeypatch.chdir(tmp_path)
    settings = ["network=notebook", "network.enlarged=2", "network.factor=5", "training=none",
                "inputs=notebook", "seed=3", "studies=[summed_root]", "plots=none"]  # fmt: skip
    assert dtd_run(monkeypatch, *settings, "hydra.run.dir=run") == 0
    net = File(0, "relu", "run/network.safetensors").build((0,), 0).to(torch.float64)
    generator = torch.Generator().manual_seed(3)
    x = (0.25 * torch.randn(1, 3, generator=generator) + 3).double()
    length = 3 * torch.randn(10_000, 1, generator=generator) + 5
    candidates = x + (torch.randn(10_000, 3, generator=generator) * length).double()
    walk = torch.linspace(-0.3, 1.05, 100, dtype=torch.float64).unsqueeze(1)
    roots = []
    for candidate in candidates[net.forward(candidates).squeeze(1) <= 1e-2]:
        line = candidate + walk * (x - candidate)
        roots.append(line[(net.forward(line).squeeze(1) <= 1e-2).nonzero().max()])
    root = min(roots, key=lambda point: float((point - x).norm())).requires_grad_()
    (slope,) = torch.autograd.grad(net.forward(root[None]).sum(), root)
    table = read(tmp_path / "run", "summed_root")
    np.testing.assert_allclose(table["root"], root.detach().repeat(5), rtol=1e-9)
    np.testing.assert_allclose(table.groupby("index")["gradient"].sum(), slope, rtol=1e-9)
    units = table.drop_duplicates("neuron")
    assert units["relevance"].sum() == pytest.approx(net.forward(x).item())
    assert units["relevance_at_root"].sum() == pytest.approx(net.forward(root[None]).item())


def test_the_degrees_of_a_series_count_together(monkeypatch, tmp_path):
    """Degree 2 with rule x in a network without biases adds nothing: the relevance is linear."""
    runs = {}
    for degree in (1, 2):
        where = tmp_path / str(degree)
        arguments = [
            *(
                "network=mlp",
                "network.hidden=[6]",
                "network.init=no_bias",
                "training=none",
                "rule=x",
            ),
            *("inputs=positive", "inputs.features=3", "inputs.n=3", "plots=none", "progress=false"),
            *("studies=[agreement,continuity,published_roots]", f"relevance.degree={degree}"),
        ]
        assert dtd_run(monkeypatch, *arguments, f"hydra.run.dir={where}") == 0
        runs[degree] = where
    for study in ("agreement", "continuity", "published_roots"):
        first, second = (read(where, study) for where in runs.values())
        pd.testing.assert_frame_equal(first, second, rtol=1e-6)


def test_prescribed_roots_are_nested_too(monkeypatch, tmp_path):
    arguments = ["network=paper", "network.seed=1", "training=none", "inputs=positive",
                 "inputs.n=2", "roots=prescribed", f"roots.target={[1] * 10}", "plots=none",
                 "progress=false", "studies=[nested_roots,summed_root]"]  # fmt: skip
    assert dtd_run(monkeypatch, *arguments, f"hydra.run.dir={tmp_path}") == 0
    tree, roots = read(tmp_path, "nested_roots"), pd.read_csv(tmp_path / "roots.csv")
    first = tree[tree["layer"] == 0].set_index("neuron")
    own = roots.query("sample == 0 and layer == 0 and finder == 'prescribed'").set_index("neuron")
    assert (first["status"] == own["status"]).all()
    np.testing.assert_allclose(first["distance"], own["distance"], rtol=1e-12)


def test_each_has_its_picture(folder, tmp_path):
    # That of nested roots is the tree of roots.
    names = {*NAMES, "root_tree"} - {"nested_roots"}
    drawn = draw(Tables.read(folder), tmp_path, Plots(dpi=50), sorted(names))
    assert {path.stem for path in drawn} == names


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (["studies=[nothing]"], "agreement, continuity"),
        (["studies=[agreement,agreement]"], "each once"),
        (["studies=[published_roots]", "relevance.methods=[recursive]"], "needs train_free"),
    ],
)
def test_refused(monkeypatch, tmp_path, capsys, settings, allowed):
    monkeypatch.chdir(tmp_path)
    assert dtd_run(monkeypatch, *PAPER, *settings) == 2
    error = capsys.readouterr().err
    assert error.startswith("dtd-run: studies=")
    assert allowed in error
    assert error.count("\n") == 1
