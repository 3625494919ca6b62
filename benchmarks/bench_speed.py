"""Every figure that the program promises for its speed, against what it is compared with."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule

from dtd.domains import Domain
from dtd.networks.initial import initial
from dtd.networks.network import Network
from dtd.relevance import Problem
from dtd.relevance.methods.sampled import sampled, train_free_factors
from dtd.relevance.methods.train_free import propagate
from dtd.relevance.paths.budget import Budget
from dtd.relevance.paths.guess import Guess
from dtd.relevance.paths.sampled import SampledPaths
from dtd.relevance.plan import Plan, Scheme
from dtd.relevance.recursion import Recursion
from dtd.relevance.slopes.forward import ForwardSlopes
from dtd.roots import ClosedForm
from dtd.rules.z_plus import ZPlus
from dtd_cli.networks.paper import Paper

MAX_POINTS = 100_000


def drawn(widths):
    return initial(widths, torch.Generator().manual_seed(0)).to(torch.float64)


def uniform(n, width):
    return torch.rand(n, width, generator=torch.Generator().manual_seed(1)).double()


def problem(net, x, max_points=MAX_POINTS):
    steps = tuple(
        Plan(
            ZPlus(),
            ClosedForm(),
            Domain.nonnegative(width).to(torch.float64),
            torch.Generator(),
        )
        for width in net.widths[:-1]
    )
    return Problem(net, 0, x, Scheme.of(steps), max_points, taylor_plan=steps[0])


def recursion(net, max_points=MAX_POINTS):
    return Recursion(net, problem(net, net.layers[0].weight[:0]).plans, max_points)


def every_layer(rec, x):
    with torch.no_grad():
        path = rec.network.activations(x)
        return [rec.relevance(layer, a) for layer, a in enumerate(path[:-1])]


def module(net):
    layers = []
    for layer in net.layers:
        linear = torch.nn.Linear(*layer.weight.T.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = layer.weight.clone(), layer.bias.clone()
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)


def captum(net, x):
    model = copy.deepcopy(module(net))
    for layer in model[::2]:
        layer.rule = Alpha1_Beta0_Rule(set_bias_to_zero=True)
    return lambda: LRP(model).attribute(x.clone().requires_grad_(), target=0)


def gradient_x_input(net, x):
    model = module(net).requires_grad_(False)

    def floor():
        a = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(a)[:, 0].sum(), a)
        return gradient * a

    return floor


def forward_on_the_points_of(task, net, monkeypatch):
    """A plain forward pass, to the output, from every root that the task visits."""
    points, reach = [], ForwardSlopes.reach

    def noted(slopes, l, pairs, size):
        points.append((l, pairs.roots.clone()))
        return reach(slopes, l, pairs, size)

    with monkeypatch.context() as patch:
        patch.setattr(ForwardSlopes, "reach", noted)
        task()
    return lambda: [net.forward(roots, start) for start, roots in points]


@pytest.mark.parametrize(("n", "faster"), [(1, 8), (1000, 3)])
def test_train_free_and_captum(compare, n, faster):
    """Both targets are close to what the tensor operations alone allow, without any of our Python.

    For one sample, where Captum leaves the caches cold, these are about 8.3 times faster than it
    is; for 1000 their nine products of matrices alone, without all else, about 3.1 times.
    """
    net, x = drawn((100, 100, 100, 100, 2)), uniform(n, 100)
    what = problem(net, x)
    task = f"train-free z+, 100-100-100-100-2, {n} samples"
    compare(task, lambda: propagate(what), "Captum LRP", captum(net, x), at_least=faster)


@pytest.mark.parametrize("n", [1, 1000])
def test_train_free_and_gradient(compare, n):
    net, x = drawn((100, 100, 100, 100, 2)), uniform(n, 100)
    what = problem(net, x)
    task = f"train-free z+, 100-100-100-100-2, {n} samples"
    floor = gradient_x_input(net, x)
    compare(task, lambda: propagate(what), "gradient x input", floor, at_most=2 if n > 1 else None)


def papers():
    net = Paper(seed=1, output_activation="relu").build((10,), 2).to(torch.float64).explaining(0)
    x = torch.randn(6000, 10, generator=torch.Generator().manual_seed(0)).abs().double()
    return net, x[net.forward(x)[:, 0] > 0.1][:1000]


def test_recursion_and_general_path(compare):
    net, x = papers()
    rec = recursion(net)
    general = replace(rec, forward_passes=False)
    compare("exact recursion, 10-10-10-2, 1000 samples", lambda: every_layer(rec, x),
            "our general path", lambda: every_layer(general, x), at_least=8)  # fmt: skip


def test_recursion_and_forward_passes(compare, monkeypatch):
    net, x = papers()
    rec = recursion(net)
    passes = forward_on_the_points_of(lambda: every_layer(rec, x), net, monkeypatch)
    compare("exact recursion, 10-10-10-2, 1000 samples", lambda: every_layer(rec, x),
            "forward passes on its root points", passes, at_most=4)  # fmt: skip


def test_recursion_of_a_wider_network(compare):
    """Look at the memory: the target is below 1024 MiB."""
    net, x = drawn((64, 64, 64, 10)).explaining(0), uniform(64, 64)
    whole, chunked = recursion(net), recursion(net, max_points=5000)
    for one, other in zip(every_layer(whole, x), every_layer(chunked, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    compare("exact recursion, 64-64-64-10, 64 samples", lambda: every_layer(whole, x),
            "the same in chunks of 5000", lambda: every_layer(chunked, x), rounds=5)  # fmt: skip


def sampled_paths(net, x, number):
    rec = recursion(net)
    path = net.activations(x)
    forward = rec.slopes.forward
    guess = Guess.of(train_free_factors(forward, path))
    generator = torch.Generator().manual_seed(0)
    sampling = SampledPaths(forward, rec.limits, Budget(number), generator)
    return lambda: sampling.estimate(0, x, guess)


def test_sampled_paths_and_a_forward_pass(compare):
    net = drawn((784, 512, 512, 512, 512, 10)).explaining(0)
    x, points = uniform(1, 784), uniform(2000, 784)
    compare("2000 sampled paths to the input, 784-512-512-512-512-10", sampled_paths(net, x, 2000),
            "a forward pass on 2000 points", lambda: net.forward(points),
            at_most=5, rounds=7)  # fmt: skip


def test_sampled_paths_in_every_layer(compare):
    net = drawn((784, 512, 512, 512, 512, 10))
    what, points = problem(net, uniform(1, 784)), uniform(2000, 784)
    compare("2000 sampled paths to each layer, 784-512-512-512-512-10",
            lambda: sampled(what, Budget(2000), 0),
            "a forward pass on 2000 points", lambda: net.forward(points), rounds=5)  # fmt: skip


@pytest.mark.parametrize("depth", [2, 4, 8, 16, 32])
def test_sampled_paths_of_growing_depth(compare, depth):
    """Time must grow linearly with depth, as that of a forward pass does.

    No unit is drawn in the first layer and in the last, so the ratio is c (L - 2) / L: it grows
    towards c, and must not grow beyond.
    """
    layers = drawn((128, *[128] * (depth - 1), 1)).layers
    net = Network(tuple(replace(layer, weight=3 * layer.weight) for layer in layers))
    points = uniform(2000, 128)
    compare(f"2000 sampled paths to the input, {depth} layers of 128",
            sampled_paths(net, uniform(1, 128), 2000),
            "a forward pass on 2000 points", lambda: net.forward(points))  # fmt: skip


PROGRAM = Path(sys.executable).parent / "dtd-run"


@pytest.mark.parametrize(
    ("arguments", "seconds"), [(["--help"], 0.6), ([], 10)], ids=["help", "default"]
)
def test_the_command_line(compare, tmp_path, arguments, seconds):
    program = [PROGRAM, *arguments] if arguments else [PROGRAM, f"hydra.run.dir={tmp_path}/run"]
    floor = [sys.executable, "-c", "import torch"]

    def run(command):
        subprocess.run(command, check=True, capture_output=True)

    compare(f"dtd-run {' '.join(arguments)}".strip(), lambda: run(program),
            "python -c 'import torch'", lambda: run(floor), within=seconds, rounds=3)  # fmt: skip
