"""Roots that do not move with their anchors (RS): shared by all units they give the gradient."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from cases import positive_input, random_network, recursion, relevances
from dtd.relevance.recursion import Recursion
from dtd.roots.contract import RootFinder, Roots, Status
from dtd.roots.location import Anywhere


@dataclass(frozen=True)
class Shared(RootFinder):
    """One point for all units, a step from the anchor: it moves with it unless held constant."""

    name = "shared"
    point: tuple[float, ...]

    def __call__(self, problem):
        a = problem.anchors
        point = a.new_tensor(self.point).expand_as(a)
        moving = point + 0.5 * (a - a.detach())
        h = problem.relevance(a.detach())
        points = moving.unsqueeze(1).expand(*h.shape, -1)
        status = torch.full_like(h, Status.APPROXIMATE, dtype=torch.int8)
        return Roots(points, status, Anywhere(), torch.zeros_like(h, dtype=torch.bool))

    def evaluations(self, units):
        return 1


def gradient(net, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net.forward(x).sum(), x)[0]


def shared(net, x):
    """Roots on the path of a point in the region of x, and that point."""
    near = 0.98 * x
    path = net.activations(near)
    return [Shared(tuple(a[0].tolist())) for a in path[:-1]], near


DEEP = [((3, 5, 1), 0), ((3, 5, 1), 9), ((3, 6, 5, 1), 3), ((3, 5, 4, 1), 1), ((3, 5, 4, 4, 1), 1)]


@pytest.mark.parametrize(("widths", "seed"), DEEP)
def test_constant_shared_roots_give_the_gradient(widths, seed):
    net, x = random_network(widths, seed, "positive"), positive_input(3, seed)
    finders, near = shared(net, x)
    assert gradient(net, x).any()
    torch.testing.assert_close(gradient(net, near), gradient(net, x))
    exact = recursion(net, "x", finders)
    constant = replace(exact, moving_roots=False)
    want = (gradient(net, x) * (x - near)).detach()
    torch.testing.assert_close(relevances(constant, x)[0], want, rtol=1e-9, atol=1e-13)
    # Roots that move with their anchors give something else.
    assert (relevances(exact, x)[0] - want).abs().max() > 1e-2 * want.abs().max()


@pytest.mark.parametrize("rule", ["zero", "pinv"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shared_reference_points_of_a_network_without_biases(rule, seed):
    """All roots are the origin, or where the layer vanishes: the limit is in the region of x."""
    net, x = random_network((5, 4, 3, 1), seed, "zero"), positive_input(5, seed)
    rec = replace(recursion(net, rule), moving_roots=False)
    root = torch.zeros_like(x)
    if rule == "pinv":
        layer = net.layers[0]
        root = x - layer.preactivation(x) @ torch.linalg.pinv(layer.weight).T
    want = (gradient(net, x) * (x - root)).detach()
    if want.any():
        torch.testing.assert_close(relevances(rec, x)[0], want, rtol=1e-6, atol=1e-9)


def test_exact_is_the_default():
    assert Recursion(random_network((3, 1), 0), (), 1).moving_roots
