"""``network=cnn``: what it draws, how it is trained, kept in files, and explained."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

import dtd
from dtd.errors import InvalidSetting
from dtd.networks.files.checkpoints import DESCRIPTION, description_in
from dtd.networks.files.state_dicts import load, save
from dtd.networks.layers.maximum import Maximum
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.windows import Windows
from dtd.networks.network import Layer, Network
from dtd_cli.config.typed import option
from dtd_cli.networks import NETWORKS
from test_cli import dtd_run

POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


def spec(seed=3, **settings):
    defaults = {"channels": [6, 16], "kernel": 5, "padding": None, "pooling": "max"}
    defaults |= {"hidden": [120, 84], "outputs": None, "init": "default"}
    given = {"name": "cnn", "seed": seed, "output_activation": "relu", **defaults, **settings}
    return option("network", NETWORKS, given)


def drawn_by_torch(seed, image, channels, kernel, padding, pool, widths):
    """The module with the same seed."""
    torch.manual_seed(seed)
    layers = []
    for below, above in pairwise([image[0], *channels]):
        layers += [nn.Conv2d(below, above, kernel, padding=padding), nn.ReLU(), pool(2)]
    inputs = nn.Sequential(*layers)(torch.zeros(1, *image)).numel()
    layers.append(nn.Flatten())
    for below, above in pairwise([inputs, *widths]):
        layers += [nn.Linear(below, above), nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize(
    ("image", "padding", "kept"), [((1, 28, 28), None, 0), ((3, 8, 8), None, 2), ((1, 9, 8), 3, 3)]
)
def test_it_is_what_torch_draws(image, padding, kept, pooling):
    network = spec(padding=padding, pooling=pooling).build(image, 10)
    module = drawn_by_torch(3, image, (6, 16), 5, kept, POOLS[pooling], (120, 84, 10))
    assert network.shapes[0] == image
    weights = [layer.weight for layer in network.layers if layer.learns]
    for mine, theirs in zip(weights, [m for m in module if hasattr(m, "weight")], strict=True):
        assert torch.equal(mine, theirs.weight)
    x = torch.rand(5, *image)
    with torch.no_grad():
        assert torch.allclose(network.forward(x.flatten(1)), module(x), rtol=1e-5, atol=1e-6)


def test_lenet():
    shapes = spec().build((1, 28, 28), 10).shapes
    assert shapes[1:5] == ((6, 24, 24), (6, 12, 12), (16, 8, 8), (16, 4, 4))
    assert shapes[5:] == ((120,), (84,), (10,))


def test_what_is_no_image_or_too_small_is_refused():
    with pytest.raises(InvalidSetting, match=r"^network=cnn: .*no images.*network=mlp"):
        spec().build((64,), 10)
    with pytest.raises(InvalidSetting, match=r"^network.channels=\[2,2,2,2\]: nothing is left"):
        spec(channels=[2, 2, 2, 2]).build((1, 8, 8), 10)
    with pytest.raises(InvalidSetting, match=r"8x8 pixels after 2 convolutions"):
        spec(padding=0).build((1, 8, 8), 10)


def zoo():
    """A network with every kind of layer, in double precision."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    convolution = Convolution((2, 9, 8), (1, 2), (1, 1), (2, 1), groups=2)
    pool = Windows((7, 4), (3, 2), (2, 1), (1, 0), (1, 1))
    mean = Windows((4, 3), (2, 2), (1, 1), (0, 0), (1, 1))
    layers = (
        Layer(draw(4, 1, 3, 3), draw(4 * 28), form=convolution),
        Maximum(Averaging((4, 7, 4), pool), torch.ones(1, dtype=torch.float64)),
        Layer(
            torch.full((1,), 0.25, dtype=torch.float64),
            torch.zeros(24, dtype=torch.float64),
            form=Averaging((4, 4, 3), mean),
        ),
        Layer(draw(5, 24), draw(5)),
        Layer(draw(2, 5), draw(2), relu=False),
    )
    return Network(layers)


def same(one, other):
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        assert (mine.kind, mine.relu, mine.form) == (theirs.kind, theirs.relu, theirs.form)
        assert mine.dtype is theirs.dtype


def test_a_file_gives_the_network_back(tmp_path):
    path, network = tmp_path / "net.safetensors", zoo()
    save(network, path)
    same(load(path), network)
    assert load(path, output_relu=True).layers[-1].relu
    x = torch.rand(3, 144, dtype=torch.float64)
    assert torch.equal(load(path).forward(x), network.forward(x))
    with pytest.raises(InvalidSetting, match=r"^layers=.*tells their order"):
        load(path, layers=["0", "2"])


def test_a_dense_file_says_nothing_more(tmp_path):
    path = tmp_path / "net.safetensors"
    network = Network((Layer(torch.ones(2, 3), torch.zeros(2)),))
    save(network, path)
    assert not description_in(path)
    assert path.read_bytes() == safetensors.torch.save(network.state_dict())
    assert load(path).layers[-1].relu
    assert not load(path, output_relu=False).layers[-1].relu


def changed(layer, **fields):
    def change(layers):
        layers[layer] |= fields

    return change


HUGE = [2, 2**19, 2**19]
LIES = {
    "another image": changed(0, image=[2, 8, 8]),
    "a huge image": changed(0, image=HUGE),
    "a huge pooling": changed(1, image=HUGE),
    "no stride": changed(0, stride=[0, 1]),
    "a stride of another dimension": changed(0, stride=[1]),
    "a fraction": changed(0, padding=[0.5, 1]),
    "true": changed(0, groups=True),
    "other groups": changed(0, groups=1),
    "windows on padding alone": changed(
        1,
        windows={
            "image": [7, 4], "size": [3, 2], "stride": [2, 1], "padding": [3, 0],
            "dilation": [1, 1],
        },
    ),
    "no such kind": changed(0, kind="recurrent"),
    "no kind": changed(0, kind=[]),
    "another field": changed(0, code="print()"),
    "a ReLU after a maximum": changed(1, relu=True),
    "a relu that is none": changed(0, relu="yes"),
    "a maximum of what may be negative": changed(0, relu=False),
    "a layer more": lambda layers: layers.append(layers[-1]),
    "a layer less": lambda layers: layers.pop(),
    "other pixels": changed(3, images=[24, 2]),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_file_that_lies_is_refused(tmp_path, lie):
    path, network = tmp_path / "net.safetensors", zoo()
    save(network, path)
    layers = json.loads(description_in(path))
    lie(layers)
    metadata = {DESCRIPTION: json.dumps(layers)}
    path.write_bytes(safetensors.torch.save(network.state_dict(), metadata))
    with pytest.raises(InvalidSetting, match=r"^path=.*it is not the network that it describes"):
        load(path)


@pytest.mark.parametrize("text", ["{", "[]", "3", "null", "[" * 10**5, '["a"]', " " * 2**23])
def test_a_description_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors.torch.save(zoo().state_dict(), {DESCRIPTION: text}))
    with pytest.raises(InvalidSetting, match=r"^path=.*it is not the network that it describes"):
        load(path)


SMALL = [
    "network=cnn", "network.channels=[4]", "network.kernel=3", "network.hidden=[16]",
    "network.output_activation=linear", "training.epochs=8",
    "training.validation_fraction=0", "inputs.n=2", "progress=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each pooling, with sampled paths as it comes."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for pooling in POOLS:
            plots = "all" if pooling == "max" else "none"
            settings = [f"network.pooling={pooling}", f"plots={plots}", f"hydra.run.dir={pooling}"]
            assert dtd_run(patch, *SMALL, *settings) == 0
    return folder


def test_a_convolution_has_one_bias_for_each_channel_and_pooling_does_not_learn(runs):
    convolution, pooling, *_ = load(runs / "avg" / "network.safetensors").layers
    biases = convolution.bias.view(2, -1)
    assert torch.equal(biases, biases[:, :1].expand_as(biases))
    assert (biases <= -0.999e-3).all()
    assert torch.equal(pooling.weight, torch.full((1,), 0.25, dtype=torch.float64))
    assert not pooling.bias.any()
    summary = json.loads((runs / "avg" / "summary.json").read_text())
    assert summary["training"]["test_accuracy"] > 0.7


def test_a_run_says_what_sampling_costs_and_draws_images(runs):
    log = (runs / "max" / "dtd-run.log").read_text()
    assert "sampling 2000 paths for each layer of each sample: about" in log
    assert (runs / "max" / "plots" / "heatmaps.png").exists()
    relevance = pd.read_csv(runs / "max" / "relevance.csv")
    assert relevance["stderr"].notna().any()


def test_the_network_of_a_run_is_explained_as_in_the_run(runs, monkeypatch):
    """The last layer has no ReLU, which the file says."""
    monkeypatch.chdir(runs)
    settings = ["network=file", "network.path=max/network.safetensors", "training=none"]
    settings += ["inputs.n=2", "relevance.estimator=monte_carlo", "hydra.run.dir=again"]
    assert dtd_run(monkeypatch, *settings, "plots=none", "progress=false") == 0
    same(load("again/network.safetensors"), load("max/network.safetensors"))
    assert "assumed" not in (runs / "again" / "dtd-run.log").read_text()


REFUSED = {
    "too many roots": (
        ["relevance.estimator=enumeration", "network.channels=[6,16]", "network.hidden=[99,99]"],
        r"relevance.max_visits=.*relevance.estimator=monte_carlo ",
    ),
    "too few paths": (
        ["relevance.sampled_paths=9"],
        "relevance.sampled_paths=9: allowed is any integer >= 10",
    ),
    "no image": (["inputs=notebook", "training=none"], "network=cnn: .*no images"),
    "rule": (["rule=w2"], r"rule=w2: it has no root for max pooling; allowed there are z\+"),
    "search": (["input_roots=line"], "input_roots=line: .*layer 2 is max pooling.*closed_form"),
    "f": (["relevance.methods=[simple_taylor]"], "taylor_roots=milp: .*layer 2 is max pooling"),
    "map": (["region_map.coordinates=[0,1]"], "region_map.coordinates=.*max pooling"),
    "study": (["studies=[region_size]"], "studies=.*max pooling"),
    "compared": (
        ["+roots@compare_input_roots.one=polytope"],
        "compare_input_roots.one=polytope: .*layer 2 is max pooling",
    ),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(settings, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    given = {setting.split("=")[0] for setting in settings}
    trained = "training" not in given
    small = [
        setting
        for setting in SMALL
        if setting.split("=")[0] not in given and (trained or "training" not in setting)
    ]
    assert dtd_run(monkeypatch, *small, *settings, "plots=none") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(f"^dtd-run: {message}", line), line


def test_a_rule_of_its_own_for_max_pooling():
    network = zoo()
    assert dtd.DTD(network, rule=["w2", "z+", "w2", "w2", "w2"]).network.depth == 5
    with pytest.raises(InvalidSetting, match=r"^rule=w2: it has no root for max pooling"):
        dtd.DTD(network, rule="w2")
    assert dtd.DTD(network, taylor_roots="milp").taylor_roots == "milp"


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize("rule", ["z+", "gamma"])
def test_pooling_by_forward_passes_and_by_limits(pooling, rule):
    """Where a window is zero its step is a limit, which many digits confirm."""
    settings = {"channels": [2], "kernel": 3, "padding": 1, "hidden": [4], "pooling": pooling}
    settings["output_activation"] = "linear"
    network = spec(1, init="nonpositive_bias", **settings).build((1, 4, 4), 2).to(torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(2, 16, generator=generator, dtype=torch.float64) - 0.4).relu()
    fast = dtd.DTD(network, rule=rule).explain(x, 1)
    slow = dtd.DTD(network, rule=rule, forward_passes=False).explain(x, 1)
    assert fast.explained.any()
    for mine, theirs in zip(fast.relevance, slow.relevance, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    estimated = dtd.DTD(network, rule=rule, estimator=dtd.MonteCarlo(4000)).explain(x, 1)
    assert estimated.limits[0] == ["none", "none"]
    for layer in range(network.depth):
        gap = (estimated.relevance[layer] - fast.relevance[layer]).abs()
        assert (gap <= 4 * estimated.stderr[layer] + 1e-12).all()
