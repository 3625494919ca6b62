"""Regions as geometry: the polytope, exact exits along rays, and the gradient inside."""

from __future__ import annotations

import pytest
import torch

from cases import positive_input, random_network, tensor
from dtd.networks.network import Layer, Network
from dtd.regions.gates import closed_passage, gates, gradient, passage
from dtd.regions.region import Regions

WIDTHS = (4, 6, 5, 2)


def regions_of(seed, start=0, bias="negative"):
    net = random_network(WIDTHS, seed, bias)
    return net, Regions(net, start, start + 1, torch.arange(WIDTHS[start + 1]))


def directions(anchors, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(anchors), count, anchors.shape[1])
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def patterns_agree(net, start, first, second):
    pairs = zip(gates(net, start, first), gates(net, start, second), strict=True)
    return torch.stack([(a == b).all(1) for a, b in pairs]).all(0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("start", [0, 1])
def test_just_before_the_exit_all_gates_agree_and_just_after_one_differs(seed, start):
    net, regions = regions_of(seed, start)
    a = net.forward(positive_input(4, seed, n=6), stop=start)
    rays = directions(a, 50)
    t = regions.exits(a, rays)
    rays, t = rays[t.isfinite()], t[t.isfinite()].unsqueeze(1)
    anchors = a.repeat_interleave(50, 0)[regions.exits(a, directions(a, 50)).flatten().isfinite()]
    assert len(rays) > 100
    assert patterns_agree(net, start, anchors, anchors + (1 - 1e-9) * t * rays).all()
    assert not patterns_agree(net, start, anchors, anchors + (1 + 1e-9) * t * rays).any()


def test_exit_against_a_dense_scan():
    net, regions = regions_of(1)
    a = positive_input(4, 1, n=3)
    rays = directions(a, 20)
    t = regions.exits(a, rays)
    far = torch.linspace(0, 3, 30001, dtype=torch.float64)
    for anchor, fan, exits in zip(a, rays, t, strict=True):
        for ray, stop in zip(fan, exits, strict=True):
            line = anchor + far.unsqueeze(1) * ray
            inside = patterns_agree(net, 0, anchor.expand_as(line), line)
            left = far[~inside]
            if len(left) and stop < 3:
                assert left[0] - 1e-4 <= stop <= left[0]
            else:
                assert stop > 3 - 1e-4
                assert inside.all()


def test_rays_that_never_leave():
    net = random_network((2, 3, 1), 0, "zero")
    a = positive_input(2, 0)
    regions = Regions(net, 0, 1, torch.arange(3))
    assert regions.exits(a, a.unsqueeze(1)).isinf().all()


@pytest.mark.parametrize("upper", [1, 2, 3])
def test_kinks_are_the_preactivations_in_the_region(upper):
    net = random_network(WIDTHS, 5)
    own = torch.tensor([1, 0])
    regions = Regions(net, 0, upper, own)
    a = positive_input(4, 5, n=5)
    polytope = regions.polytope(a)
    rays = directions(a, 30)
    points = a.unsqueeze(1) + 0.99 * regions.exits(a, rays).clamp(max=5).unsqueeze(2) * rays
    z = net.layers[upper - 1].preactivation(net.forward(points.flatten(0, 1), stop=upper - 1))
    affine = points @ polytope.kink_normals.mT + polytope.kink_offsets.unsqueeze(1)
    torch.testing.assert_close(affine.flatten(0, 1), z[:, own], rtol=1e-12, atol=1e-12)
    rows = regions.own_rows
    sign = torch.where(polytope.normals[:, rows] == polytope.kink_normals, 1, -1)
    assert torch.equal(polytope.normals[:, rows], sign * polytope.kink_normals)


@pytest.mark.parametrize("seed", range(4))
def test_the_polytope_is_the_region(seed):
    net, regions = regions_of(seed)
    a = positive_input(4, seed, n=5)
    polytope = regions.polytope(a)
    assert polytope.normals.shape == (5, 13, 4)
    points = a.unsqueeze(1) + 0.3 * directions(a, 400, seed)
    inside = ((polytope.normals @ points.mT).mT + polytope.offsets.unsqueeze(1) >= 0).all(2)
    anchors = a.unsqueeze(1).expand_as(points).flatten(0, 1)
    agrees = patterns_agree(net, 0, anchors, points.flatten(0, 1)).view_as(inside)
    assert torch.equal(inside, agrees)
    assert inside.any()
    assert not inside.all()


def test_the_gradient_is_constant_inside():
    net, regions = regions_of(2)
    a = positive_input(4, 2, n=5)
    rays = directions(a, 30)
    t = regions.exits(a, rays).clamp(max=5)
    points = (a.unsqueeze(1) + 0.999 * t.unsqueeze(2) * rays).flatten(0, 1)
    anchors = a.repeat_interleave(30, 0)
    there, here = (gradient(net, 0, gates(net, 0, p)) for p in (points, anchors))
    assert torch.equal(there, here)
    leaf = points.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net.forward(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(there, slope, rtol=1e-12, atol=1e-14)


def patterns(net, points, anchors):
    at_anchor = passage(net, 0, anchors)
    return closed_passage(net, 0, points, at_anchor).gates, at_anchor.gates


def test_the_closed_region_contains_its_boundary():
    net, regions = regions_of(3)
    a = positive_input(4, 3, n=4)
    rays = directions(a, 6)
    t = regions.exits(a, rays)
    anchors = a.repeat_interleave(6, 0)
    for factor, inside in ((1, True), (1.001, False)):
        points = (a.unsqueeze(1) + factor * t.unsqueeze(2) * rays).flatten(0, 1)
        pairs = zip(*patterns(net, points, anchors), strict=True)
        same = torch.stack([(p == q).all(1) for p, q in pairs]).all(0)
        assert (same == inside).all()


def test_only_the_gate_of_the_decomposed_unit_may_differ():
    net = Network((Layer(tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0.0, 0.0])),))
    regions = Regions(net, 0, 1, torch.arange(2))
    both = patterns(net, tensor([[-1.0, 1.0], [-1.0, 1.0]]), tensor([[1.0, 1.0], [1.0, 1.0]]))
    assert regions.same(*both, torch.tensor([0, 1])).tolist() == [True, False]
    # With all outputs but one explained, that one alone is decomposed.
    last = Regions(net, 0, 1, torch.tensor([1]))
    assert last.same(*both, torch.tensor([0, 0])).tolist() == [False, False]
