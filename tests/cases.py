"""Networks and recursions for the tests, in as few words as possible."""

from __future__ import annotations

from itertools import pairwise

import torch

from dtd.domains import Domain
from dtd.networks.network import Layer, Network
from dtd.regions.region import Regions
from dtd.relevance.plan import Plan
from dtd.relevance.recursion import Recursion
from dtd.roots import ClosedForm
from dtd.rules import RULES, Gamma

MANY = 10**6
"""More root points than any test has: everything is processed at once."""


def tensor(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def network(weights, biases, output_relu=True):
    """A network from nested lists."""
    last = len(weights) - 1
    return Network(
        tuple(
            Layer(tensor(w), tensor(b), relu=index < last or output_relu)
            for index, (w, b) in enumerate(zip(weights, biases, strict=True))
        )
    )


def lists(net):
    """The weights and biases of a network as nested lists."""
    return [layer.weight.tolist() for layer in net.layers], [
        layer.bias.tolist() for layer in net.layers
    ]


def random_network(widths, seed, bias="negative", output_relu=True):
    """Normal weights; biases negative, zero, or negative but for one positive one a layer."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for inputs, units in pairwise(widths):
        weight = torch.randn(units, inputs, generator=generator, dtype=torch.float64)
        size = 0.1 + 0.3 * torch.rand(units, generator=generator, dtype=torch.float64)
        signs = torch.full_like(size, {"negative": -1.0, "zero": 0.0, "positive": -1.0}[bias])
        if bias == "positive":
            signs[0] = 1
        layers.append(Layer(weight, signs * size))
    layers[-1] = Layer(layers[-1].weight, layers[-1].bias, output_relu)
    return Network(tuple(layers))


def positive_input(width, seed, n=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + torch.rand(n, width, generator=generator, dtype=torch.float64)


def alone(layer):
    """The regions of a network of one layer, all of whose units are decomposed."""
    return Regions(Network((layer,)), 0, 1, torch.arange(len(layer.bias)))


def box(width, low=0.0, high=1.0):
    return Domain(
        torch.full((width,), low, dtype=torch.float64),
        torch.full((width,), high, dtype=torch.float64),
    )


def rule_named(name, gamma=1.0):
    return Gamma(gamma) if name == "gamma" else RULES[name]()


def recursion(
    net, rules, finders=None, gamma=1.0, bounds=(0.0, 1.0), seed=0, max_points=MANY, series=None
):
    """The recursion of a network with one output; ``rules`` and ``finders`` from the input up."""
    if isinstance(rules, str):
        rules = [rules] * net.depth
    finders = finders or [ClosedForm()] * net.depth
    steps = tuple(
        Plan(
            rule_named(rule, gamma),
            finder,
            Domain.nonnegative(width).to(torch.float64) if layer else box(width, *bounds),
            torch.Generator().manual_seed(seed + layer),
        )
        for layer, (rule, finder, width) in enumerate(
            zip(rules, finders, net.widths[:-1], strict=True)
        )
    )
    return Recursion(net, steps, max_points, series=series)


def relevances(rec, x):
    """R_0, ..., R_{L-1} at the activations of ``x``, without a graph."""
    with torch.no_grad():
        path = rec.network.activations(x)
        return [rec.relevance(layer, a) for layer, a in enumerate(path[:-1])]


def gradient_x_input(net, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.forward(x).sum(), x)
    return (gradient * x).detach()


def spread(got, want):
    """The largest difference, relative to the largest number wanted, if there is one."""
    got, want = torch.as_tensor(got), torch.as_tensor(want, dtype=torch.float64)
    assert got.shape == want.shape
    assert got.isfinite().all()
    scale = want.abs().max()
    return ((got - want).abs().max() / (scale if scale > 1e-18 else 1)).item()


def terms(rec, x):
    """What each degree contributes to R_0, ..., R_{L-1}, each (B, K, d)."""
    with torch.no_grad():
        path = rec.network.activations(x)[:-1]
        return [expansion(rec, layer, a).terms(a) for layer, a in enumerate(path)]


def expansion(rec, layer, a):
    """The expansion of one layer at its anchors ``a`` (B, d)."""
    return rec.expand(layer, a, rec.plans[layer].finder(rec.problem(layer, a)))
