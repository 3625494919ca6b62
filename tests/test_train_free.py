"""The train-free approximation: against Captum, published numbers and the literal formulas."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule

from cases import (
    box,
    lists,
    network,
    positive_input,
    random_network,
    rule_named,
    spread,
    tensor,
)
from dtd.domains import Domain
from dtd.networks.network import Network
from dtd.relevance import METHODS, Problem
from dtd.relevance.plan import Plan, Scheme
from dtd.roots import ClosedForm
from literal import Literal

CASES = json.loads((Path(__file__).parent / "data" / "recursion.json").read_text())


def train_free(net, rules, x, output=0, gamma=1.0, bounds=(0.0, 1.0)):
    steps = tuple(
        Plan(
            rule_named(rule, gamma),
            ClosedForm(),
            Domain.nonnegative(width).to(torch.float64) if layer else box(width, *bounds),
            torch.Generator(),
        )
        for layer, (rule, width) in enumerate(zip(rules, net.widths, strict=False))
    )
    return METHODS["train_free"](Problem(net, output, x, Scheme.of(steps), 10**6, steps[0]))


def in_thousandths(net):
    """The same network, its inputs and activations measured in units a thousandth as large."""
    return Network(tuple(replace(layer, bias=1000 * layer.bias) for layer in net.layers))


def captum_lrp(net, x, output):
    """Layer by layer: ``R_0`` with α = 1, β = 0, biases set to zero."""
    modules = []
    for layer in net.layers:
        linear = torch.nn.Linear(*layer.weight.T.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = layer.weight.clone(), layer.bias.clone()
        linear.rule = Alpha1_Beta0_Rule(set_bias_to_zero=True)
        modules += [linear, *[torch.nn.ReLU()] * layer.relu]
    # Captum changes weights in place.
    model = copy.deepcopy(torch.nn.Sequential(*modules))
    return LRP(model).attribute(x.clone().requires_grad_(), target=output).detach()


@pytest.mark.parametrize("widths", [(4, 1), (4, 6, 2), (5, 7, 6, 3), (3, 8, 7, 6, 2)], ids=str)
@pytest.mark.parametrize("bias", ["negative", "zero", "positive"])
def test_z_plus_is_captums_lrp(widths, bias):
    """Captum adds 1e-9 to every divisor, which is little beside activations of 1000."""
    compared = 0
    for seed in range(8):
        net = in_thousandths(random_network(widths, seed, bias))
        x = 1000 * positive_input(widths[0], seed, n=20)
        output = seed % widths[-1]
        x = x[net.forward(x)[:, output] > 0]
        if not len(x):
            continue
        got = train_free(net, ["z+"] * net.depth, x, output).relevances[0]
        want = captum_lrp(net, x, output)
        for row, wanted in zip(got, want, strict=True):
            assert spread(row, wanted) < 1e-8
        compared += len(x)
    assert compared > 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['input_rule']}-{case['rule']}")
def test_published_numbers_in_every_layer(case):
    net = network(case["weights"], case["biases"])
    rules = [case["input_rule"] or case["rule"], *[case["rule"]] * (net.depth - 1)]
    got = train_free(net, rules, tensor(case["inputs"]), case["output"], case["gamma"], case["box"])
    for layer, want in case["train_free"].items():
        relevance = got.relevances[int(layer)]
        if int(layer) == net.depth:
            assert spread(relevance.squeeze(1), case["f"]) < 1e-12
            continue
        torch.testing.assert_close(relevance, tensor(want), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("output_relu", [True, False], ids=["relu", "linear"])
@pytest.mark.parametrize("bias", ["negative", "positive"])
@pytest.mark.parametrize("rule", ["z+", "w2", "zB", "gamma", "x", "zero", "pinv"])
def test_literal_formulas(rule, bias, output_relu):
    rules = [rule, *["z+" if rule == "zB" else rule] * 2]
    compared = 0
    for seed in range(12):
        net = random_network((3, 4, 3, 2), seed, bias, output_relu)
        x = positive_input(3, seed)
        if net.forward(x)[0, 1] <= 0:
            continue
        got = train_free(net, rules, x, 1, gamma=0.5, bounds=(-0.5, 2.0))
        literal = Literal(
            *lists(net), rules, 1, gamma=0.5, box=(-0.5, 2.0), output_relu=output_relu
        )
        want = literal.train_free(x[0].tolist())
        for layer, wanted in enumerate(want[:-1]):
            relevance = got.relevances[layer]
            assert spread(relevance[0], wanted) < 1e-9
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_z_plus_conserves_f(depth):
    """As long as every unit that has relevance has a positive input to give it to."""
    net = random_network((6, *[9] * (depth - 1), 2), depth)
    x = positive_input(6, depth, n=50)
    x = x[net.forward(x)[:, 0] > 0]
    assert len(x)
    explanation = train_free(net, ["z+"] * depth, x)
    f = net.forward(x)[:, 0]
    for relevance in explanation.relevances.values():
        torch.testing.assert_close(relevance.sum(1), f, rtol=1e-12, atol=0)
    for ledger in explanation.ledgers.values():
        torch.testing.assert_close(ledger.upper_sum, f, rtol=1e-12, atol=0)
        assert (ledger.remainder.abs() < 1e-12 * f.abs().max()).all()
        assert not ledger.unresolved.any()


@pytest.mark.parametrize(("rule", "weights"), [("z+", [-1.0, -1.0]), ("x", [1.0, -1.0])])
def test_what_has_no_divisor_is_unresolved(rule, weights):
    """A unit that lives of its bias alone has nobody to give its relevance to."""
    net = network([[weights], [[1.0]]], [[3.0], [2.0]])
    x = tensor([[1.0, 1.0], [0.1, 0.1]])
    explanation = train_free(net, [rule, "z+"], x)
    f = net.forward(x)[:, 0]
    assert (f > 2).all()
    assert not explanation.relevances[0].any()
    assert torch.equal(explanation.relevances[1][:, 0], f)
    assert torch.equal(explanation.ledgers[0].unresolved, f)
    assert not explanation.ledgers[0].remainder.any()
    assert not explanation.ledgers[1].unresolved.any()
