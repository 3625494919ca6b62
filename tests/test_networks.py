"""Networks against ``torch.nn``, literally; and the files that they come from."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from cases import random_network
from dtd.errors import InvalidSetting
from dtd_cli.config.typed import option
from dtd_cli.networks import NETWORKS, File, FullyConnected, Maximum, Notebook, Paper
from dtd_cli.records.columns import INPUT_TEXTS, INPUTS
from test_cli import dtd_run


def drawn_by_torch(seed, *widths):
    """What ``torch.manual_seed`` and ``torch.nn.Linear`` give, layer by layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        linears = [torch.nn.Linear(*sizes) for sizes in pairwise(widths)]
    return [(linear.weight.detach(), linear.bias.detach()) for linear in linears]


def assert_is(network, layers):
    assert network.depth == len(layers)
    for layer, (weight, bias) in zip(network.layers, layers, strict=True):
        assert layer.weight.dtype == weight.dtype
        assert torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)


def sequential(*widths, bias=True):
    """``Sequential(Linear, ReLU, Linear, ...)`` that ends with a Linear."""
    modules = []
    for index, sizes in enumerate(pairwise(widths)):
        modules += [torch.nn.ReLU()] * (index > 0) + [torch.nn.Linear(*sizes, bias=bias)]
    return torch.nn.Sequential(*modules)


def read(path, output_activation="linear"):
    return File(0, output_activation, str(path)).build((0,), 0)


@pytest.mark.parametrize("seed", [0, 2, 7])
def test_notebook(seed):
    (w1, b1), (w2, b2) = drawn_by_torch(seed, 3, 5, 1)
    network = Notebook(seed, "relu", None, 10.0).build((3,), 1)
    assert_is(network, [(w1, b1.clamp(max=0)), (10 * w2.abs(), b2.clamp(max=0))])
    assert all(layer.relu for layer in network.layers)


def test_notebook_in_its_later_form():
    (w1, b1), (w2, b2) = drawn_by_torch(2, 3, 5, 1)
    w2[:, :2] = 5 * w2[:, :2].abs()
    network = Notebook(2, "relu", 2, 5.0).build((3,), 1)
    assert_is(network, [(w1, b1.clamp(max=0)), (w2, b2.clamp(max=0))])


@pytest.mark.parametrize(
    ("enlarged", "factor", "setting"),
    [(6, 5.0, "network.enlarged"), (-1, 5.0, "network.enlarged"), (2, 0.0, "network.factor")],
)
def test_notebook_refuses(enlarged, factor, setting):
    with pytest.raises(InvalidSetting, match=setting):
        option(
            "network",
            NETWORKS,
            {"name": "notebook", "seed": 2, "output_activation": "relu"}
            | {"enlarged": enlarged, "factor": factor},
        )


def test_maximum():
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    f = Maximum(0, "relu").build((2,), 1).forward(x)
    torch.testing.assert_close(f[:, 0], x.amax(1), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("seed", "shape", "widths", "scale"),
    [
        (0, (), (10, 10, 10, 2), 1.4),
        (1, (), (10, 10, 10, 2), 1.4),
        (2, (10, [10, 10, 10]), (10, 10, 10, 10, 2), 1.4),
        (2, (2, [30, 30], 2, 1.2), (2, 30, 30, 2), 1.2),
    ],
    ids=str,
)
def test_paper_as_the_research_code_makes_it(seed, shape, widths, scale):
    """Three times: positive entries times the scale, then the biases negative."""
    layers = []
    for weight, bias in drawn_by_torch(seed, *widths):
        w, b = weight, bias
        for _ in range(3):
            w = torch.where(w > 0, scale * w, w)
            b = torch.where(b > 0, scale * b, b)
            b = -b.abs()
        layers.append((w, b))
    network = Paper(seed, "relu", *shape).build((10,), 2)
    assert network.widths == widths
    for layer, (weight, bias) in zip(network.layers, layers, strict=True):
        torch.testing.assert_close(layer.weight, weight, rtol=3e-7, atol=0)
        assert layer.relu
        assert (layer.bias <= 0).all()
        assert bias.shape == layer.bias.shape


@pytest.mark.parametrize("seed", [0, 1])
def test_paper_as_described(seed):
    """Positive weights × 2.744; biases -|b|, those drawn positive × 1.96 first."""
    layers = [
        (torch.where(w > 0, 2.744 * w, w), -torch.where(b > 0, 1.96 * b, b).abs())
        for w, b in drawn_by_torch(seed, 10, 10, 10, 2)
    ]
    assert_is(Paper(seed, "relu").build((10,), 2), layers)


@pytest.mark.parametrize(
    ("init", "bias_of"),
    [
        ("default", lambda b: b),
        ("nonpositive_bias", lambda b: -b.abs()),
        ("no_bias", torch.zeros_like),
    ],
)
@pytest.mark.parametrize("hidden", [[], [4], [5, 4, 3]])
def test_mlp(init, bias_of, hidden):
    network = FullyConnected(6, "linear", hidden, None, init).build((7,), 2)
    assert network.widths == (7, *hidden, 2)
    assert_is(network, [(w, bias_of(b)) for w, b in drawn_by_torch(6, 7, *hidden, 2)])
    assert [layer.relu for layer in network.layers] == [True] * len(hidden) + [False]


def test_mlp_with_outputs_of_its_own():
    network = FullyConnected(0, "relu", [4], 3, "default").build((7,), 10)
    assert network.widths == (7, 4, 3)
    assert network.layers[-1].relu


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    Notebook(2, "relu", None, 10.0).build((3,), 1)
    Paper(1, "relu").build((10,), 2)
    FullyConnected(0, "relu", [4], None, "default").build((7,), 10)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("widths", [(3, 1), (3, 5, 4, 2), tuple(range(2, 16))], ids=str)
def test_file(tmp_path, widths, bias, suffix):
    """More than ten layers: 10 comes after 9, also where names were sorted as text."""
    model = sequential(*widths, bias=bias)
    path = tmp_path / f"net.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(model.state_dict(), path)
    network = read(path)
    assert network.widths == widths
    assert File(0, "relu", str(path)).input_size == widths[0]
    x = torch.randn(9, widths[0])
    for layer, linear in zip(network.layers, model[::2], strict=True):
        assert torch.equal(layer.weight, linear.weight)
        assert torch.equal(layer.bias, linear.bias if bias else torch.zeros(len(layer.bias)))
    # The bias is added after the products, and PyTorch's kernel begins with it.
    torch.testing.assert_close(network.forward(x), model(x).detach())
    torch.testing.assert_close(read(path, "relu").forward(x), model(x).relu().detach())


def test_names_of_a_torch_file_do_not_matter(tmp_path):
    """Its order does; a bias belongs to the weight before it."""
    torch.save({"z": torch.ones(2, 3), "a": torch.ones(1, 2), "b": torch.full((1,), 5.0)},
               tmp_path / "net.pt")  # fmt: skip
    network = read(tmp_path / "net.pt")
    assert network.widths == (3, 2, 1)
    assert network.layers[0].bias.tolist() == [0, 0]
    assert network.layers[1].bias.tolist() == [5]


@pytest.mark.parametrize("output", [0, 2])
def test_explaining_one_output(output):
    network = random_network((3, 4, 3), 1)
    x = torch.randn(9, 3, dtype=torch.float64)
    alone = network.explaining(output)
    assert alone.widths == (3, 4, 1)
    torch.testing.assert_close(
        alone.forward(x), network.forward(x)[:, [output]], rtol=1e-14, atol=1e-15
    )
    assert network.widths == (3, 4, 3)


def test_a_forward_pass_starts_and_stops_anywhere():
    network = random_network((3, 5, 4, 2), 1, output_relu=False)
    x = torch.randn(9, 3, dtype=torch.float64)
    path = [x]
    for index, layer in enumerate(network.layers):
        z = path[-1] @ layer.weight.T + layer.bias
        path.append(z if index == 2 else z.clamp(min=0))
    for start in range(4):
        for stop in range(start, 4):
            got = network.forward(path[start], start, stop)
            torch.testing.assert_close(got, path[stop], rtol=1e-13, atol=1e-14)
    for got, want in zip(network.activations(x), path, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-14)
    assert torch.equal(network.forward(x), network.activations(x)[-1])


def test_the_network_of_a_run_explains_the_same_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["plots=none", "progress=false", "explain.output=0"]
    drawn = ["training=none", "inputs=positive", "inputs.n=3"]
    assert dtd_run(monkeypatch, "network=paper", "seed=1", *drawn, *tiny, "hydra.run.dir=a") == 0
    again = ["network=file", "network.path=a/network.safetensors", "seed=1"]
    assert dtd_run(monkeypatch, *again, *drawn, *tiny, "hydra.run.dir=b") == 0
    for name in ("relevance.csv", "inputs.csv", "layers.csv", "roots.csv"):
        pd.testing.assert_frame_equal(
            pd.read_csv(f"a/{name}"), pd.read_csv(f"b/{name}"), rtol=1e-12
        )
    kept, read_back = load_file("a/network.safetensors"), load_file("b/network.safetensors")
    assert list(kept) == list(read_back)
    assert Path("a/network.safetensors").stat().st_mode == Path("a/inputs.csv").stat().st_mode
    for key, value in kept.items():
        assert torch.equal(value, read_back[key])


def test_a_trained_network_explains_the_same_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["plots=none", "progress=false"]
    trained = ["network.hidden=[8]", "training.epochs=2", "inputs.n=3"]
    assert dtd_run(monkeypatch, *trained, *tiny, "hydra.run.dir=a") == 0
    inputs = pd.read_csv("a/inputs.csv")
    inputs.iloc[:, len(INPUTS) :].to_csv("rows.csv", index=False)
    again = ["network=file", "network.path=a/network.safetensors", "training=none", "inputs=csv",
             "inputs.path=rows.csv"]  # fmt: skip
    assert dtd_run(monkeypatch, *again, *tiny, "hydra.run.dir=b") == 0
    for name in ("relevance.csv", "inputs.csv"):
        # The rows are those of another file, which has no labels.
        first, second = (
            pd.read_csv(f"{run}/{name}").drop(columns=[*INPUT_TEXTS], errors="ignore")
            for run in "ab"
        )
        pd.testing.assert_frame_equal(first, second, rtol=1e-9, atol=1e-12)
