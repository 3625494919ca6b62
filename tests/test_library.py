"""``import dtd``: what a notebook uses, beside the command line and beside ``torch.nn``."""

from __future__ import annotations

import csv
import math
import re
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

import dtd
from cases import box, network, positive_input, random_network, tensor
from dtd.networks.files.state_dicts import save
from dtd.networks.network import Layer
from dtd.roots import ROOT_FINDERS
from dtd.rules import RULES
from dtd_cli.app.locations import CONF
from dtd_cli.records.columns import INPUTS
from test_cli import dtd_run

WIDTHS = (4, 6, 5, 3)
SEED = 86
"""Of a network whose output 1 is positive at four of five samples, and half of its units too."""


def sequential(widths=WIDTHS, seed=0, dtype=torch.float32, **settings):
    """Linear, ReLU, ..., Linear with weights of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        modules = []
        for inputs, units in pairwise(widths):
            modules += [nn.Linear(inputs, units, **settings), nn.ReLU()]
    return nn.Sequential(*modules[:-1]).to(dtype)


@pytest.fixture(scope="module")
def net():
    return random_network(WIDTHS, SEED, "positive", output_relu=False)


@pytest.fixture(scope="module")
def x():
    return positive_input(4, 3, n=5)


@pytest.fixture(scope="module")
def result(net, x):
    return dtd.DTD(net, rule="gamma").explain(x, target=1)


def refused(argument, value=None):
    """A context that asks for the refusal of an argument, and of its value where one is given."""
    shown = "" if value is None else f"={value}"
    return pytest.raises(dtd.InvalidSetting, match=rf"^{argument}{shown}.*(allowed|;|\w)")


# What there is


def test_slow_packages_are_imported_when_they_are_used():
    code = (
        "import sys, torch; before = set(sys.modules); import dtd; dtd.DTD, dtd.load, dtd.roots\n"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    slow = {"pandas", "matplotlib", "hydra", "omegaconf", "tqdm", "safetensors", "onnx", "dtd_cli"}
    assert "dtd" in answer.stdout.split()
    assert not slow & set(answer.stdout.split())


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="nothing"):
        dtd.nothing  # noqa: B018
    assert set(dtd.__all__) <= set(dir(dtd))


@pytest.mark.parametrize("group", ["rule", "roots"])
def test_defaults_are_those_of_the_command_line(group):
    options = RULES if group == "rule" else ROOT_FINDERS
    for path in (CONF / group).glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        kind = options[settings.pop("name")]
        if kind is not dtd.roots.Prescribed:
            assert {field.name: getattr(kind(), field.name) for field in fields(kind)} == settings


def test_defaults_of_the_explainer():
    config = yaml.safe_load((CONF / "config.yaml").read_text())
    relevance = config["relevance"]
    names = ("root_dependence", "degree", "interactions", "max_points", "max_visits", "estimator")
    default = {field.name: field.default for field in fields(dtd.DTD)}
    assert {name: relevance[name] for name in names} == {name: default[name] for name in names}
    chosen = {key: value for group in config["defaults"] if group != "_self_"
              for key, value in group.items()}  # fmt: skip
    for name in ("rule", "input_rule", "roots", "taylor_roots"):
        assert default[name] == chosen[name]
    assert dtd.MonteCarlo().paths == relevance["sampled_paths"]
    assert default["seed"] == config["seed"]
    assert str(default["dtype"]) == f"torch.{config['dtype']}"


# The result


def test_shapes_and_sums(net, x, result):
    shapes = [tuple(relevance.shape) for relevance in result.relevance]
    assert shapes == [(5, width) for width in WIDTHS]
    y = net.forward(x)
    assert (y[:, 1] > 0).any()
    torch.testing.assert_close(result.f, y[:, 1], rtol=0, atol=0)
    assert (result.relevance[3][:, [0, 2]] == 0).all()
    torch.testing.assert_close(result.relevance[3][:, 1], result.f, rtol=0, atol=0)
    assert len(result.ledger) == len(result.limits) == 3
    for lower, ledger in zip(result.relevance, result.ledger, strict=False):
        torch.testing.assert_close(lower.sum(1), ledger.relevance_sum)
        torch.testing.assert_close(
            ledger.upper_sum,
            ledger.relevance_sum + ledger.zero_order + ledger.unresolved + ledger.remainder,
        )
    assert result.stderr is None


def test_a_closed_output_is_not_explained(net, x):
    *hidden, last = net.layers
    net = dtd.Network((*hidden, replace(last, relu=True)))
    y = net.forward(x)
    outputs = y.argmin(1)
    assert (y.amin(1) == 0).all()
    mixed = outputs.clone()
    mixed[2] = y[2].argmax()
    result = dtd.DTD(net).explain(x, mixed)
    assert result.explained.tolist() == [False, False, True, False, False]
    others = [0, 1, 3, 4]
    for layer in range(3):
        assert (result.relevance[layer][others] == 0).all()
        assert (result.ledger[layer].upper_sum[others] == 0).all()
        assert all(result.limits[layer][sample] == "none" for sample in others)
    assert (result.relevance[2][2] != 0).any()
    assert set(result.to_frame()["sample"]) == {2}
    nothing = dtd.DTD(net).explain(x, outputs)
    assert (nothing.attribution == 0).all()
    for frame in (nothing.to_frame(), nothing.ledger_frame(), nothing.roots_frame()):
        assert frame.empty
    assert list(nothing.to_frame().columns) == list(result.to_frame().columns)
    assert list(nothing.ledger_frame().columns) == list(result.ledger_frame().columns)
    assert list(nothing.roots_frame().columns) == list(result.roots_frame().columns)


def test_each_sample_has_its_own_target(net, x):
    explainer = dtd.DTD(net)
    targets = [0, 1, 2, 1, 0]
    together = explainer.explain(x, targets)
    for given in (torch.tensor(targets), np.array(targets, dtype=np.int32)):
        assert torch.equal(explainer.attribute(x, given), together.attribution)
    for sample, target in enumerate(targets):
        alone = explainer.explain(x[sample : sample + 1], target)
        assert torch.equal(alone.attribution[0], together.attribution[sample])
    predicted = explainer.explain(x)
    assert torch.equal(predicted.f, net.forward(x).amax(1))


def test_attribute_is_the_relevance_of_the_input(net, x, result):
    explainer = dtd.DTD(net, rule="gamma")
    assert torch.equal(explainer.attribute(x, 1), result.relevance[0])
    assert torch.equal(result.attribution, result.relevance[0])


def test_a_pair_is_a_difference_of_outputs(net, x):
    *hidden, last = net.layers
    weight = (last.weight[2] - last.weight[0]).unsqueeze(0)
    bias = (last.bias[2] - last.bias[0]).unsqueeze(0)
    alone = dtd.Network((*hidden, type(last)(weight, bias, relu=False)))
    pair = dtd.DTD(net, rule="gamma").explain(x, (2, 0))
    want = dtd.DTD(alone, rule="gamma").explain(x, 0)
    assert pair.explained.any()
    torch.testing.assert_close(pair.f, want.f, rtol=1e-12, atol=1e-12)
    for got, expected in zip(pair.relevance[:3], want.relevance, strict=False):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    y = net.forward(x)
    torch.testing.assert_close(pair.relevance[3], torch.stack([-y[:, 0], 0 * y[:, 0], y[:, 2]], 1))


def test_arrays_and_lists_are_samples_too(net, x):
    explainer = dtd.DTD(net)
    want = explainer.attribute(x)
    assert torch.equal(explainer.attribute(x.numpy()), want)
    assert torch.equal(explainer.attribute(x.tolist()), want)
    reversed_twice = x.numpy()[:, ::-1].copy()[:, ::-1]
    assert torch.equal(explainer.attribute(reversed_twice), want)
    assert torch.equal(explainer.attribute(pd.DataFrame(x.numpy())), want)
    assert torch.equal(explainer.attribute(x.clone().requires_grad_()), want)
    single = x.float()
    assert torch.equal(explainer.attribute(single), explainer.attribute(single.double()))


def test_limits_say_where_one_was_taken():
    net = random_network(WIDTHS, 1, "positive")
    x = positive_input(4, 3, n=5)
    result = dtd.DTD(net, rule="gamma").explain(x)
    roots = result.parts
    said = {limit for layer in result.limits for limit in layer}
    assert said <= {"none", "taken"}
    for part in roots:
        for layer in range(3):
            taken = part.explanation.evidence[layer][0].limit_error
            taken = (~taken.isnan()).any(1).tolist()
            words = [result.limits[layer][sample] for sample in part.samples.tolist()]
            assert [word == "taken" for word in words] == taken


@pytest.mark.parametrize("method", ["train_free", "gradient_x_input", "simple_taylor"])
def test_other_methods(net, x, method):
    result = dtd.DTD(net, method=method, domain=dtd.Domain.nonnegative()).explain(x, 1)
    assert result.attribution.shape == x.shape
    assert set(result.to_frame()["method"]) == {method}
    assert set(map(len, result.limits)) == {5}
    if method == "simple_taylor":
        assert (result.relevance[1] == 0).all()
        assert set(result.roots_frame()["method"]) == {method}
    if method == "gradient_x_input":
        points = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net.forward(points)[:, 1].sum(), points)
        want = torch.where(result.explained.unsqueeze(1), slope * x, 0)
        torch.testing.assert_close(result.attribution, want)


def test_estimates_have_errors(x):
    # More paths than can all be visited.
    net = random_network((4, 20, 20, 3), SEED, "positive", output_relu=False)
    explainer = dtd.DTD(net, rule="x", estimator=dtd.MonteCarlo(paths=10), seed=4)
    result = explainer.explain(x, 1)
    assert [error.shape for error in result.stderr] == [r.shape for r in result.relevance]
    exact = dtd.DTD(net, rule="x").explain(x, 1)
    for got, want, error in zip(result.relevance, exact.relevance, result.stderr, strict=True):
        assert ((got - want).abs() <= 6 * error + 1e-9).all()
    assert any((error > 0).any() for error in result.stderr)
    assert "stderr" in result.to_frame()
    with refused("layer"):
        result.root_point(0, 0)


def test_a_rule_for_each_layer(net, x):
    mixed = dtd.DTD(net, rule=["w2", dtd.rules.Gamma(0.25), "z+"])
    same = dtd.DTD(net, rule=[dtd.rules.WSquared(), "gamma", "z+"])
    assert [type(rule).__name__ for rule in mixed.scheme.rules] == ["WSquared", "Gamma", "ZPlus"]
    assert not torch.equal(mixed.attribute(x, 1), same.attribute(x, 1))
    two = dtd.DTD(net, rule="gamma", input_rule="w2").attribute(x, 1)
    assert torch.equal(two, dtd.DTD(net, rule=["w2", "gamma", "gamma"]).attribute(x, 1))


@pytest.mark.parametrize(
    "domain", [dtd.Domain.box(0, 2), dtd.Domain.box([0] * 4, np.full(4, 2.0)), box(4, 0.0, 2.0)]
)
def test_bounds_for_one_and_for_all(net, x, domain):
    want = dtd.DTD(net, input_rule="zB", domain=box(4, 0.0, 2.0)).attribute(x, 1)
    assert torch.equal(dtd.DTD(net, input_rule="zB", domain=domain).attribute(x, 1), want)


# Roots and relevance functions


SEARCHES = [
    dtd.roots.ClosedForm(),
    dtd.roots.Random(candidates=100, steps=20, sigma=0.5),
    dtd.roots.Line(samples=4),
]


@pytest.mark.parametrize("roots", SEARCHES, ids=lambda roots: roots.name)
def test_a_root_point_is_that_of_the_frame(net, x, roots):
    explainer = dtd.DTD(net, rule="z+", input_roots=roots)
    found = explainer.explain(x, 1)
    frame = found.roots_frame()
    frame = frame[(frame["layer"] == 0) & (frame["finder"] == roots.name)]
    statuses = set()
    for unit in range(WIDTHS[1]):
        root = found.root_point(0, unit)
        statuses |= set(root.status)
        rows = frame[frame["neuron"] == unit]
        samples = rows["sample"].tolist()
        assert [root.status[sample] for sample in samples] == rows["status"].tolist()
        for column in ("relevance", "residual", "distance"):
            np.testing.assert_array_equal(getattr(root, column)[samples], rows[column])
        np.testing.assert_array_equal(root.certified[samples], rows["certified"])
        rooted = torch.tensor([status in ("found", "approximate") for status in root.status])
        assert root.point[rooted].isfinite().all()
        assert root.point[~rooted].isnan().all()
        distance = (x - root.point).norm(dim=1)
        torch.testing.assert_close(distance[rooted], root.distance[rooted])
    assert "found" in statuses
    asked = explainer.root_point(x, layer=0, unit=WIDTHS[1] - 1, target=1)
    assert torch.equal(asked.point[rooted], root.point[rooted])
    assert asked.status == root.status


def test_a_closed_form_root_lies_on_the_kink_of_its_unit(net, x):
    root = dtd.DTD(net).root_point(x, layer=1, unit=2, target=1)
    rooted = [status == "found" for status in root.status]
    assert any(rooted)
    z = net.layers[1].preactivation(root.point[rooted])[:, 2]
    assert z.abs().max() < 1e-12


def test_the_root_of_an_output(net, x):
    root = dtd.DTD(net).root_point(x, layer=2, unit=1, target=1)
    assert "found" in root.status


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("rule", ["z+", "w2"])
def test_a_relevance_function_is_the_relevance(net, x, layer, rule):
    explainer = dtd.DTD(net, rule=rule)
    result = explainer.explain(x, 1)
    function = explainer.relevance_function(layer, 1)
    a, want = net.activations(x)[layer], result.relevance[layer]
    torch.testing.assert_close(function(a), want, rtol=1e-12, atol=1e-14)
    moving = a.clone().requires_grad_()
    value = function(moving)
    torch.testing.assert_close(value, want, rtol=1e-12, atol=1e-14)
    (slope,) = torch.autograd.grad(value[:, 0].sum(), moving)
    step = 1e-6 * torch.randn(a.shape, generator=torch.Generator().manual_seed(0)).double()
    change = (function(a + step) - function(a - step))[:, 0] / 2
    torch.testing.assert_close((slope * step).sum(1), change, rtol=1e-4, atol=1e-12)


def test_a_relevance_function_of_a_pair(net, x):
    explainer = dtd.DTD(net)
    result = explainer.explain(x, (2, 0))
    value = explainer.relevance_function(1, (2, 0))(net.activations(x)[1])
    torch.testing.assert_close(value, result.relevance[1], rtol=1e-12, atol=1e-14)


# Modules and files


def test_a_module_is_read_and_not_changed(x):
    module = sequential()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    explainer = dtd.DTD(module)
    explainer.explain(x)
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    want = module.double()(x)
    torch.testing.assert_close(explainer.network.forward(x), want)
    with torch.no_grad():
        module[0].weight.zero_()
    torch.testing.assert_close(explainer.network.forward(x), want)


def test_modules_of_every_form(x):
    plain = sequential()
    first, second, third = (plain[index] for index in (0, 2, 4))
    relu = nn.ReLU()
    nested = nn.Sequential(
        nn.Identity(), nn.Flatten(), nn.Sequential(first, relu, nn.Dropout(0.5)),
        nn.Sequential(nn.Sequential(second, nn.ReLU(inplace=True)), nn.Identity(), third),
    ).eval()  # fmt: skip
    assert torch.equal(dtd.DTD(nested).attribute(x, 0), dtd.DTD(plain).attribute(x, 0))
    again = nn.Sequential(first, relu, second, relu, third)
    assert torch.equal(dtd.DTD(again).attribute(x, 0), dtd.DTD(plain).attribute(x, 0))
    alone = dtd.DTD(nn.Linear(4, 2)).network
    assert (alone.depth, alone.layers[0].relu) == (1, False)


def test_samples_have_the_shape_that_a_module_flattens(x):
    module = nn.Sequential(nn.Flatten(), *sequential()).eval()
    square = x.view(5, 2, 2)
    got = dtd.DTD(module).explain(square, 1)
    assert got.attribution.shape == (5, 2, 2)
    assert torch.equal(got.attribution.flatten(1), dtd.DTD(module).attribute(x, 1))
    with refused("x"):
        dtd.DTD(sequential()).explain(square)


def test_a_module_without_biases(x):
    module = sequential(bias=False)
    explainer = dtd.DTD(module)
    assert all((layer.bias == 0).all() for layer in explainer.network.layers)
    torch.testing.assert_close(explainer.network.forward(x), module.double()(x))


def test_affine_maps_in_a_row_are_composed(x):
    first, second = nn.Linear(4, 7).double(), nn.Linear(7, 3).double()
    explainer = dtd.DTD(nn.Sequential(first, nn.Identity(), second))
    assert explainer.network.depth == 1
    torch.testing.assert_close(explainer.network.forward(x), second(first(x)))


class Unusual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = sequential()

    def forward(self, x):
        return self.layers(x) + 1


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class Shifted(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 1


def with_hook():
    module = sequential()
    module[2].register_forward_hook(lambda module, inputs, output: 2 * output)
    return module


def with_nan():
    module = sequential()
    with torch.no_grad():
        module[2].weight[0, 0] = math.nan
    return module


def with_forward():
    module = sequential()
    module[0].forward = lambda x: x
    return module


class Squashed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x).log_softmax(1)


NO_CHAINS = {
    "Unusual": (Unusual, "Unusual"),
    "Doubled": (lambda: Doubled(*sequential()), "Doubled"),
    "Shifted": (lambda: nn.Sequential(Shifted(4, 2)), r"0 \(Shifted\)"),
    "Tanh": (lambda: nn.Sequential(nn.Linear(4, 2), nn.Tanh()), r"1 \(Tanh\)"),
    "Softmax": (lambda: nn.Sequential(nn.Linear(4, 2), nn.Softmax(1)), r"1 \(Softmax\): .*logits"),
    "softmax": (Squashed, "Squashed: it calls log_softmax: .*; if it is the output, leave it out, "
                "so that the logits are explained; allowed are nn.Linear"),
    "Conv3d": (lambda: nn.Sequential(nn.Conv3d(1, 1, 2)), r"0 \(Conv3d\)"),
    "LayerNorm": (lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), r"1 \(LayerNorm\)"),
    "training": (lambda: nn.Sequential(nn.Linear(4, 2), nn.Dropout()), r"1 \(Dropout\).*eval"),
    "hook": (with_hook, r"2 \(Linear\).*hooks"),
    "forward": (with_forward, r"0 \(Linear\)"),
    "nan": (with_nan, r"2 \(Linear\).*NaN"),
    "chain": (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(2, 1)), r"2 \(Linear\)"),
    "relu": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(4, 3)), r"0 \(ReLU\).*first"),
    "flatten": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Flatten(0)), r"1 \(Flatten\)"),
    "empty": (nn.Sequential, "Sequential.*no layer with weights"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3)), r"0 \(LazyLinear\)"),
    "meta": (lambda: nn.Linear(4, 3, device="meta"), "Linear"),
    "complex": (lambda: nn.Linear(4, 3, dtype=torch.complex64), "Linear"),
    "nested": (
        lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.GELU())), r"0\.1 \(GELU\)"
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(("make", "named"), NO_CHAINS.values(), ids=NO_CHAINS)
def test_what_is_no_chain_is_refused_by_name(make, named):
    with pytest.raises(dtd.InvalidSetting, match=f"^model={named}") as caught:
        dtd.DTD(make())
    assert caught.value.argument == "model"


class Drifting(nn.Module):
    """A weight that is another one each time it is read."""

    def forward(self, weight):
        return weight + torch.randn_like(weight)


def test_an_output_that_is_not_the_networks_is_refused():
    module = sequential()
    nn.utils.parametrize.register_parametrization(module[2], "weight", Drifting(), unsafe=True)
    with pytest.raises(dtd.InvalidSetting, match=r"^model=.*output"):
        dtd.DTD(module)


def test_a_file(net, x, tmp_path):
    path = tmp_path / "net.safetensors"
    save(net, path)
    loaded = dtd.load(path, output_relu=False)
    assert torch.equal(dtd.DTD(loaded).attribute(x, 1), dtd.DTD(net).attribute(x, 1))
    assert dtd.load(str(path)).layers[-1].relu
    module = sequential(dtype=torch.float64)
    torch.save(module.state_dict(), tmp_path / "net.pt")
    read = dtd.load(tmp_path / "net.pt", output_relu=False)
    assert torch.equal(dtd.DTD(read).attribute(x), dtd.DTD(module).attribute(x))
    for name, content in (("missing.pt", None), ("garbage.pt", b"no weights")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with refused("path"):
            dtd.load(tmp_path / name)


# The same numbers as the command line's


NOTEBOOK = ["network=notebook", "training=none", "inputs=notebook"]
SMALL = ["network=mlp", "network.hidden=[5,4]", "network.outputs=2", "network.seed=4",
         "training=none", "inputs=grid", "inputs.points=3"]  # fmt: skip
GRID = {"domain": dtd.Domain.box(0, 1)}


def after_the_inputs(seed, samples, features):
    """A generator that the notebook's inputs were drawn from."""
    generator = torch.Generator().manual_seed(seed)
    torch.randn(samples, features, generator=generator)
    return generator


COMMANDS = {
    "default": (SMALL, GRID),
    "gamma": ([*SMALL, "rule=gamma", "rule.gamma=0.5"], GRID | {"rule": dtd.rules.Gamma(0.5)}),
    "zB": ([*SMALL, "input_rule=zB"], GRID | {"input_rule": "zB"}),
    "seed": (
        [*SMALL, "input_roots=random", "seed=3"],
        GRID | {"input_roots": "random", "seed": 3},
    ),
    "hidden": (
        [*SMALL, "roots=hit_and_run", "roots.chains=2", "roots.steps=5", "rule=w2", "seed=5"],
        GRID | {"roots": dtd.roots.HitAndRun(chains=2, steps=5), "rule": "w2", "seed": 5},
    ),
    "drawn": (
        [*NOTEBOOK, "roots=random", "seed=3", "inputs.n=1"],
        {"roots": "random", "seed": after_the_inputs(3, 1, 3), "domain": dtd.Domain.nonnegative()},
    ),
    "train_free": ([*SMALL, "relevance.methods=[train_free]"], GRID | {"method": "train_free"}),
    "taylor": (
        [*SMALL, "relevance.methods=[simple_taylor]"], GRID | {"method": "simple_taylor"}
    ),
    "degree": ([*SMALL, "relevance.degree=2"], GRID | {"degree": 2}),
    "integral": (
        [*NOTEBOOK, "relevance.degree=inf"],
        {"degree": math.inf, "domain": dtd.Domain.nonnegative()},
    ),
    "constant": (
        [*SMALL, "relevance.root_dependence=constant", "rule=w2"],
        GRID | {"root_dependence": "constant", "rule": "w2"},
    ),
    "paths": (
        [*SMALL, "relevance.estimator=monte_carlo", "relevance.sampled_paths=50", "seed=2"],
        GRID | {"estimator": dtd.MonteCarlo(50), "seed": 2},
    ),
    "float32": ([*SMALL, "dtype=float32"], GRID | {"dtype": torch.float32}),
    "max_points": ([*SMALL, "relevance.max_points=7"], GRID | {"max_points": 7}),
}  # fmt: skip


@pytest.mark.parametrize(("command", "arguments"), COMMANDS.values(), ids=COMMANDS)
def test_both_give_the_same_bytes(tmp_path, monkeypatch, command, arguments):
    monkeypatch.chdir(tmp_path)
    methods = (
        [] if any("methods" in part for part in command) else ["relevance.methods=[recursive]"]
    )
    shell = [*command, *methods, "plots=none", "progress=false", "hydra.run.dir=run"]
    assert dtd_run(monkeypatch, *shell) == 0
    with Path("run/inputs.csv").open() as file:
        _, *rows = csv.reader(file)
    x = np.array([row[len(INPUTS) :] for row in rows], dtype=np.float64)
    result = dtd.DTD(dtd.load("run/network.safetensors"), **arguments).explain(x)
    frames = {
        "relevance": result.to_frame(), "layers": result.ledger_frame(),
        "roots": result.roots_frame(),
    }  # fmt: skip
    for name, frame in frames.items():
        text = frame.to_csv(index=False, lineterminator="\n")
        assert text == Path(f"run/{name}.csv").read_text()
    assert result.explained.any()


# What cannot be


X = [[0.5, 0.5, 0.5, 0.5]]
"""One sample for a network of WIDTHS."""


def explain(net, x, target=None, **settings):
    return dtd.DTD(net, **settings).explain(x, target)


CONSTRUCTED = {
    "model": ("model", {"model": "net"}),
    "rule": ("rule=z", {"rule": "z"}),
    "rules": ("rule=2 rules", {"rule": ["z+", "z+"]}),
    "rule_type": ("rule", {"rule": 3}),
    "input_rule": ("input_rule=zb", {"input_rule": "zb"}),
    "both": ("input_rule=w2", {"rule": ["z+"] * 3, "input_rule": "w2"}),
    "roots": ("roots=nearest", {"roots": "nearest"}),
    "input_roots": ("input_roots", {"input_roots": object()}),
    "target": ("roots=prescribed.*target", {"roots": "prescribed"}),
    "milp": ("roots=milp.*simple_taylor", {"roots": "milp"}),
    "input_milp": ("input_roots=milp", {"input_roots": dtd.roots.Milp()}),
    "prescribed": ("input_roots=prescribed", {"input_roots": dtd.roots.Prescribed([1.0] * 4)}),
    "taylor": ("taylor_roots=prescribed", {"taylor_roots": dtd.roots.Prescribed([1.0] * 4)}),
    "zB": ("input_rule=zB.*box", {"input_rule": "zB"}),
    "zB_hidden": ("rule=zB.*first layer", {"rule": "zB", "domain": dtd.Domain.box(0, 1)}),
    "zB_origin": ("input_rule=zB.*origin", {"input_rule": "zB", "domain": dtd.Domain.box(1, 2)}),
    "domain": ("domain", {"domain": (0, 1)}),
    "domain_size": ("domain=3 bounds", {"domain": dtd.Domain.box([0] * 3, 1)}),
    "method": ("method=lrp", {"method": "lrp"}),
    "estimator": ("estimator=walks", {"estimator": "walks"}),
    "degree": ("degree=0", {"degree": 0}),
    "degree_half": ("degree=1.5", {"degree": 1.5}),
    "dependence": ("root_dependence=some", {"root_dependence": "some"}),
    "seed": ("seed=-1", {"seed": -1}),
    "seed_type": ("seed=1.5", {"seed": 1.5}),
    "max_points": ("max_points=0", {"max_points": 0}),
    "max_visits": ("max_visits=1.5", {"max_visits": 1.5}),
    "dtype": ("dtype=torch.float16", {"dtype": torch.float16}),
    "device": ("device=gpu", {"device": "gpu"}),
    "interactions": ("interactions=True", {"interactions": True, "method": "train_free"}),
    "paths_rule": ("estimator.*z\\+, gamma, x", {"estimator": "monte_carlo", "rule": "w2"}),
    "paths_degree": ("estimator.*degree", {"estimator": "monte_carlo", "degree": 2}),
}  # fmt: skip


@pytest.mark.parametrize(("said", "arguments"), CONSTRUCTED.values(), ids=CONSTRUCTED)
def test_explainers_that_cannot_be(net, said, arguments):
    with pytest.raises(dtd.InvalidSetting, match=f"^{said}") as caught:
        dtd.DTD(**{"model": net} | arguments)
    assert caught.value.argument == said.partition("=")[0].partition(".")[0]
    assert caught.value.allowed


ASKED = {
    "x_shape": ("x=shape", [0.5] * 4, None, {}),
    "x_size": ("x=shape", [[0.5] * 3], None, {}),
    "x_none": ("x=shape", np.empty((0, 4)), None, {}),
    "x_nan": (
        r"x=sample 1, feature 2: it is nan", [[1.0] * 4, [1, 1, math.nan, math.inf]], None, {}
    ),
    "x_large": (
        r"x=sample 0, feature 0: it is inf; .* in float32", [[1e300] * 4], None,
        {"dtype": torch.float32},
    ),
    "x_overflow": ("x=.*range", [[1e308] * 4], None, {}),
    "x_text": ("x=list", [["a"] * 4], None, {}),
    "x_ragged": ("x=list", [[1, 2], [3]], None, {}),
    "x_bool": ("x=ndarray", np.ones((1, 4), dtype=bool), None, {}),
    "x_complex": ("x=Tensor", torch.ones(1, 4, dtype=torch.complex64), None, {}),
    "x_object": ("x=object", object(), None, {}),
    "x_device": ("x=a tensor on meta", torch.ones(1, 4, device="meta"), None, {}),
    "x_domain": ("x=sample 0.*domain", X, None, {"domain": dtd.Domain.box(0, 0.25)}),
    "target_range": ("target=3", X, 3, {}),
    "target_negative": ("target=-1", X, -1, {}),
    "target_float": ("target=1.5", X, 1.5, {}),
    "target_bool": ("target", X, True, {}),
    "target_text": ("target", X, "cat", {}),
    "target_count": ("target=shape", X, [0, 1], {}),
    "pair_same": ("target", X, (1, 1), {}),
    "pair_three": ("target", X, (0, 1, 2), {}),
    "pair_range": ("target=3", X, (0, 3), {}),
    "visits": ("max_visits=10.*points", X, None, {"max_visits": 10}),
}  # fmt: skip


@pytest.mark.parametrize(("said", "x", "target", "settings"), ASKED.values(), ids=ASKED)
def test_questions_that_cannot_be(net, said, x, target, settings):
    with pytest.raises(dtd.InvalidSetting, match=f"^{said}") as caught:
        explain(net, x, target, **settings)
    assert caught.value.argument == said.partition("=")[0]


def test_a_pair_needs_a_linear_output(x):
    with refused("target"):
        explain(random_network(WIDTHS, 1), x, (0, 1))


def test_weights_that_are_no_numbers():
    net = random_network(WIDTHS, 1)
    net.layers[1].weight[0, 0] = math.inf
    with refused("model", "layer 2"):
        dtd.DTD(net)


@pytest.mark.parametrize("paths", [0, -3, 9, 1.5])
def test_paths_that_cannot_be_counted(paths):
    with refused("paths"):
        dtd.MonteCarlo(paths)


@pytest.mark.parametrize(
    ("kind", "argument", "value"),
    [(dtd.roots.HitAndRun, "steps", 0), (dtd.roots.Metropolis, "chains", 0),
     (dtd.roots.Random, "steps", 1), (dtd.roots.Random, "sigma", 0.0),
     (dtd.roots.Polytope, "metric", "l3"), (dtd.rules.Gamma, "gamma", -1.0),
     (dtd.rules.Gamma, "gamma", math.nan)],
)  # fmt: skip
def test_settings_of_objects(kind, argument, value):
    with pytest.raises(dtd.InvalidSetting) as caught:
        kind(**{argument: value})
    assert caught.value.argument == argument
    assert str(caught.value).startswith(f"{argument}={value}: allowed")


@pytest.mark.parametrize("low", ["a", [[0, 1]], math.nan, 2, [0, 0, 0]])
def test_boxes_that_cannot_be(low):
    with pytest.raises(dtd.InvalidSetting, match=r"^(low|high)"):
        dtd.Domain.box(low, [1, 1])


@pytest.mark.parametrize(
    ("layer", "unit", "argument"),
    [(3, 0, "layer"), (-1, 0, "layer"), (0, 6, "unit"), (0, -1, "unit"), (2, 0, "unit"),
     ("0", 0, "layer"), (0, 1.0, "unit")],
)  # fmt: skip
def test_roots_that_there_are_not(net, x, layer, unit, argument):
    with refused(argument):
        dtd.DTD(net).root_point(x, layer, unit, target=1)


@pytest.mark.parametrize(
    ("argument", "settings", "layer", "target"),
    [("layer", {}, 3, 1), ("layer", {}, -1, 1), ("target", {}, 0, None), ("target", {}, 0, 3),
     ("target", {}, 0, [0, 1]), ("method", {"method": "train_free"}, 0, 1),
     ("roots", {"roots": dtd.roots.Prescribed([1.0] * 4)}, 0, 1)],
)  # fmt: skip
def test_functions_that_there_are_not(net, argument, settings, layer, target):
    with refused(argument):
        dtd.DTD(net, **settings).relevance_function(layer, target)


@pytest.mark.parametrize("a", [torch.ones(4), torch.ones(2, 3), torch.full((1, 4), math.nan), "a"])
def test_activations_that_cannot_be(net, a):
    function = dtd.DTD(net).relevance_function(0, 1)
    with refused("a"):
        function(a)


def test_the_share_that_is_kept(net, x):
    *hidden, last = net.layers
    result = dtd.DTD(dtd.Network((*hidden, last.with_relu(True)))).explain(x, target=1)
    explained = result.explained
    shares = result.attribution.sum(1) / result.f
    assert 0 < explained.sum() < len(x)
    assert torch.equal(result.kept[explained], shares[explained])
    assert result.kept[~explained].isnan().all()
    assert f"{int(explained.sum())} of {len(x)} samples" in repr(result)


def test_the_integral_has_the_name_that_it_has_on_the_command_line():
    net = tiny()
    named, number = (dtd.DTD(net, degree=degree).explain(TWO) for degree in ("inf", math.inf))
    assert torch.equal(named.attribution, number.attribution)
    assert named.degrees[0].shape == (len(TWO), 1, TWO.shape[1])
    with pytest.raises(dtd.InvalidSetting, match=r'^degree=infinite: .* or "inf"$'):
        dtd.DTD(net, degree="infinite")


def test_what_is_printed():
    """No function, and why there are no rows."""
    explainer = dtd.DTD(tiny())
    assert "function" not in repr(explainer)
    nothing = explainer.explain(0 * TWO)
    assert not nothing.explained.any()
    assert "all have f(x) = 0" in repr(nothing)
    assert nothing.to_frame().empty


def test_a_ledger_shows_the_columns_that_add_up():
    book = dtd.DTD(tiny(), rule="zero").explain(TWO).ledger[0]
    shown = re.findall(r"(\w+)=tensor", repr(book))
    first, *parts = shown[:5]
    assert (first, *parts) == (
        "upper_sum", "relevance_sum", "zero_order", "unresolved", "remainder"
    )  # fmt: skip
    assert shown[5:] == ["negative_sum"]
    total = sum(getattr(book, name) for name in parts)
    torch.testing.assert_close(total, getattr(book, first))


def test_frames_count_their_rows():
    result = dtd.DTD(tiny(), interactions=True).explain(TWO)
    frames = result.to_frame(), result.ledger_frame(), result.roots_frame()
    for frame in (*frames, result.interactions_frame()):
        assert len(frame)
        assert frame.index.tolist() == list(range(len(frame)))


TWO = torch.tensor([[1.0, 0.5], [0.25, 2.0]], dtype=torch.float64)


def tiny():
    """A network without biases that answers every positive input."""
    weights = [[[1.0, 0.5], [0.5, 2.0]], [[1.0, 0.25]]]
    return network(weights, [[0.0, 0.0], [0.0]])


def test_a_rule_for_other_inputs_is_noted():
    """Beside the result that it makes doubtful; what the note names helps."""
    net = random_network((3, 4, 2), 1, output_relu=False)
    x = tensor([[1.0, 0.5, 2.0], [1.0, -1.5, 2.0]])
    for rule, settings, noted in (
        ("z+", {}, True),
        (dtd.rules.Gamma(0.5), {}, True),
        ("z+", {"method": "train_free"}, True),
        ("z+", {"method": "gradient_x_input"}, False),
        ("z+", {"input_rule": "w2"}, False),
        ("z+", {"input_rule": "zB", "domain": dtd.Domain.box(-2, 2)}, False),
    ):
        result = dtd.DTD(net, rule=rule, **settings).explain(x, 0)
        assert bool(result.notes) == noted
        assert ("note: " in repr(result)) == noted
        assert not dtd.DTD(net, rule=rule, **settings).explain(x[:1], 0).notes
    (note,) = dtd.DTD(net, rule="gamma").explain(x, 0).notes
    assert "the rule gamma of the input" in note
    assert "down to -1.5" in note


def test_the_weights_of_a_network_are_constants():
    layers = random_network((3, 4, 1), 0).layers
    weights = [layer.weight.abs().requires_grad_() for layer in layers]
    net = dtd.Network(tuple(Layer(w, layer.bias) for w, layer in zip(weights, layers, strict=True)))
    a = positive_input(3, 0).requires_grad_()
    relevance = dtd.DTD(net).relevance_function(0, 0)(a).sum()
    (gradient,) = torch.autograd.grad(relevance, a, retain_graph=True)
    assert gradient.any()
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(relevance, weights)
    assert all(weight.requires_grad for weight in weights), "the network given is not changed"
