"""Any relevance at all, from roots that are roots: the recursion gives what was named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cases import MANY, positive_input, random_network, recursion
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer, Network
from dtd.relevance import Problem, recursive
from dtd.relevance.plan import Scheme
from dtd.roots import Prescribed
from dtd.roots.contract import Status


def problem(net, x, target, rule="z+"):
    plans = recursion(net, rule).plans
    scheme = replace(Scheme.of(plans), roots=[Prescribed(target.tolist())] * net.depth)
    return Problem(net, 0, x, scheme, MANY, taylor_plan=plans[0])


def network(widths, seed, bias):
    """Of random networks the first from this seed on that is alive in every layer."""
    nets = (random_network(widths, seed + k, bias) for k in range(50))
    x = positive_input(widths[0], seed)

    def alive(net):
        path = net.activations(x)
        return path[-1][0, 0] > 0.1 and all((a > 0).sum() > 1 for a in path[1:-1])

    return next(net for net in nets if alive(net)), x


def targets(width):
    drawn = torch.randn(4, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn[1] -= drawn[1].mean()  # sums to zero
    drawn[2] *= 1000
    drawn[3, 1:] = 0  # one input alone
    return drawn.unbind()


CASES = [
    ((3, 6, 1), "negative"), ((4, 6, 2), "positive"), ((3, 6, 1), "zero"),
    ((3, 6, 5, 1), "negative"), ((3, 6, 5, 2), "positive"), ((5, 7, 6, 5, 1), "positive"),
]  # fmt: skip


@pytest.mark.parametrize("seed", [0, pytest.param(60, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(("widths", "bias"), CASES)
def test_the_recursion_yields_the_target(widths, bias, seed):
    net, x = network(widths, seed, bias)
    for target in targets(widths[0]):
        asked = problem(net, x, target)
        got = recursive(asked)
        torch.testing.assert_close(
            got.relevances[0][0], target, rtol=0, atol=1e-9 * max(1.0, target.abs().max().item())
        )
        f = net.forward(x)[0, 0]
        for searches in got.evidence.values():
            roots = searches[0]
            found = roots.status == Status.FOUND
            assert found.sum() == 1
            # All the relevance is in this unit, and its root is a root.
            torch.testing.assert_close(roots.relevance[found], f.reshape(1))
            assert (roots.residual[found].abs() <= 1e-12 * f).all()
            assert (roots.status[~found] == Status.INACTIVE).all()


def test_with_constant_roots_the_target_is_not_met():
    """What makes it possible is that the hidden roots depend on their anchors."""
    net, x = network((3, 6, 1), 0, "positive")
    target = targets(3)[0]
    got = recursive(replace(problem(net, x, target), moving_roots=False)).relevances[0][0]
    assert (got - target).abs().max() > 1e-2


def test_the_rule_does_not_matter():
    net, x = network((3, 6, 5, 1), 3, "negative")
    target = targets(3)[0]
    for rule in ("w2", "gamma", "zero"):
        got = recursive(problem(net, x, target, rule)).relevances[0][0]
        torch.testing.assert_close(got, target, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("net", "target", "words"),
    [
        (random_network((3, 6, 1), 0), [1.0, 2.0], "allowed are 3"),
        (random_network((3, 6, 1), 0), [0.0, 0.0, 0.0], "not all zero"),
        (random_network((3, 1), 0), [1.0, 0.0, 0.0], "hidden layer"),
        (
            Network((Layer(torch.ones(1, 3).double(), torch.ones(1).double()),) * 1
                + (Layer(torch.ones(1, 1).double(), torch.ones(1).double()),)),
            [1.0, 0.0, 0.0],
            "another beside it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(net, target, words):
    asked = problem(net, positive_input(3, 0), torch.tensor(target, dtype=torch.float64))
    with pytest.raises(InvalidSetting, match=words):
        recursive(asked)


@pytest.mark.parametrize("target", [[float("nan")], [1.0, float("inf")], ["a"], None, 3.0])
def test_a_target_that_is_no_list_of_finite_numbers_is_refused(target):
    with pytest.raises(InvalidSetting, match=r"target=.*: allowed is a list of finite numbers"):
        Prescribed(target)
