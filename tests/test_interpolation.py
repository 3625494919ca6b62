"""Interpolation: edge points of random rays, against exact exits, a dense scan and known roots."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cases import alone, box, positive_input, random_network, recursion, relevances, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer
from dtd.regions.gates import closed_passage, gates, passage
from dtd.regions.region import Regions
from dtd.roots import Interpolation
from dtd.roots.contract import RootProblem, Status
from dtd.roots.location import OnBoundary
from dtd.rules import X

WIDTHS = (4, 6, 5, 2)
INFINITY = torch.inf


def problem(a, net, start=0, domain=None, relevance=None, seed=0):
    """The search for the units of the next layer; their pre-activation is the relevance."""
    layer = net.layers[start]
    regions = Regions(net, start, start + 1, torch.arange(len(layer.bias)))
    domain = domain or Domain.nonnegative(a.shape[1]).to(a.dtype)
    generator = torch.Generator().manual_seed(seed)
    return RootProblem(a, layer, relevance or layer, domain, X(), generator, regions)


def layer_problem(a, weight, bias, domain):
    layer = Layer(tensor(weight), tensor(bias))
    generator = torch.Generator().manual_seed(0)
    return RootProblem(a, layer, layer, domain, X(), generator, alone(layer))


# The exit from a domain, and directions that stay in it at first.


@pytest.mark.parametrize(
    "domain", [Domain.nonnegative(3).to(torch.float64), box(3, -0.5, 2), Domain.real(3)]
)
def test_exit_from_a_domain_against_a_dense_scan(domain):
    a = positive_input(3, 0, n=6).unsqueeze(1)
    rays = torch.randn(6, 40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rays[:, ::5, 1] = 0
    far = torch.linspace(0, 5, 5001, dtype=torch.float64)[:, None, None, None]
    inside = domain.contains(a + far * rays)
    scanned = torch.where(inside.all(0), torch.inf, (inside.sum(0) - 1) * 1e-3)
    exits = domain.exits(a, rays)
    within = exits < 5
    assert torch.equal(within, scanned.isfinite())
    gap = (exits - scanned)[within]
    assert (gap >= -1e-9).all()
    assert (gap <= 1e-3).all()


def test_directions_are_mirrored_only_where_they_leave_at_once():
    domain = Domain(tensor([0.0, 0.0, 0.0, 1.0]), tensor([1.0, INFINITY, 1.0, 1.0]))
    a = tensor([0.0, 0.5, 1.0, 1.0])
    rays = tensor([[-1.0, -1.0, -1.0, -1.0], [2.0, 2.0, 2.0, 2.0]])
    want = tensor([[1.0, -1.0, -1.0, 0.0], [2.0, 2.0, -2.0, 0.0]])
    assert torch.equal(domain.inward(a, rays), want)
    assert (domain.exits(a, want) > 0).all()


# Edge points.


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_edge_points_lie_on_the_edge(seed, start):
    net = random_network(WIDTHS, seed)
    a = net.forward(positive_input(4, seed, n=5), stop=start)
    given = problem(a, net, start)
    points, ends = Interpolation(200).edge_points(given)
    assert ends.any()
    assert given.domain.contains(points).all()
    anchors, points = a[ends.nonzero()[:, 0]], points[ends]
    at_anchor = passage(net, start, anchors)

    def agree(patterns):
        pairs = zip(patterns, at_anchor.gates, strict=True)
        return torch.stack([(p == q).all(1) for p, q in pairs]).all(0)

    def after(factor):
        return anchors + factor * (points - anchors)

    assert agree(closed_passage(net, start, points, at_anchor).gates).all()
    assert agree(gates(net, start, after(1 - 1e-7))).all()
    beyond = after(1 + 1e-7)
    assert not (agree(gates(net, start, beyond)) & given.domain.contains(beyond)).any()


def test_edge_points_against_a_dense_scan():
    net = random_network(WIDTHS, 4)
    a = positive_input(4, 4, n=2)
    points, ends = Interpolation(30).edge_points(problem(a, net))
    assert ends.any(1).all()
    for anchor, ray_ends, ended in zip(a, points, ends, strict=True):
        for end in ray_ends[ended]:
            s = torch.linspace(0, 2, 4001, dtype=torch.float64).unsqueeze(1)
            line = anchor + s * (end - anchor)
            here, there = gates(net, 0, anchor.expand_as(line)), gates(net, 0, line)
            same = torch.cat([p == q for p, q in zip(here, there, strict=True)], 1).all(1)
            left = (~same | (line < 0).any(1)).nonzero()[0].item()
            assert abs(s[left].item() - 1) <= 1.0001 * 5e-4


def test_rays_start_into_the_domain_however_many_activations_are_zero():
    """With 30 zeros of 32 a direction at random would leave at once but for one in 2^30."""
    net = random_network((32, 8, 1), 0)
    a = torch.zeros(3, 32, dtype=torch.float64)
    a[:, :2] = positive_input(2, 0, n=3)
    points, ends = Interpolation(50).edge_points(problem(a, net))
    assert ends.any(1).all()
    assert ((points - a.unsqueeze(1)).norm(dim=2)[ends] > 0).all()
    assert (points >= 0).all()


def test_rays_that_never_leave_have_no_edge():
    a = tensor([[1.0, 1.0]])
    quadrant = layer_problem(a, [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], Domain.real(2))
    points, ends = Interpolation(50).edge_points(quadrant)
    directions = quadrant.draw_normal(50, 2)
    assert torch.equal(ends[0], (directions < 0).any(1))
    assert (points[ends].amin(1).abs() < 1e-15).all()
    assert (Interpolation(50)(quadrant).status == Status.FOUND).all()
    plane = layer_problem(a, [[0.0, 0.0]], [1.0], Domain.real(2))
    got = Interpolation(50)(plane)
    assert got.status.tolist() == [[Status.NOT_FOUND]]
    assert got.points.isfinite().all()


def test_a_domain_without_width_is_a_status():
    given = layer_problem(tensor([[1.0, 1.0]]), [[1.0, 1.0]], [0.5], box(2, 1.0, 1.0))
    assert Interpolation(20)(given).status.tolist() == [[Status.NOT_FOUND]]


# Roots.


def test_the_best_edge_point_is_chosen():
    net = random_network(WIDTHS, 7)
    a = positive_input(4, 7, n=6)
    given = problem(a, net)
    finder = Interpolation(300)
    got = finder(given)
    points, ends = finder.edge_points(given)
    h = torch.where(ends.unsqueeze(2), net.layers[0](points), INFINITY)
    at_anchor = net.layers[0](a)
    for b in range(len(a)):
        for j in range(6):
            if at_anchor[b, j] == 0:
                assert got.status[b, j] == Status.INACTIVE
                continue
            zero = h[b, :, j] <= 1e-5 * at_anchor[b, j]
            distance = (points[b] - a[b]).norm(dim=1)
            score = torch.where(zero, distance, INFINITY) if zero.any() else h[b, :, j]
            assert torch.equal(got.points[b, j], points[b, score.argmin()])
            assert got.status[b, j] == (Status.FOUND if zero.any() else Status.APPROXIMATE)
    assert (got.status == Status.FOUND).any()
    assert (got.status == Status.APPROXIMATE).any()
    assert (got.status == Status.INACTIVE).any()
    assert got.location == OnBoundary()
    assert not got.certified.any()


def test_negative_relevance_has_the_roots_of_positive_relevance():
    net = random_network(WIDTHS, 7)
    a = positive_input(4, 7, n=6)
    signs = tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    want = Interpolation(100)(problem(a, net))
    got = Interpolation(100)(problem(a, net, relevance=lambda p: signs * net.layers[0](p)))
    assert torch.equal(got.points, want.points)
    assert torch.equal(got.status, want.status)


def test_the_derivative_is_that_of_the_anchors_side():
    """In the region h is affine, so at every edge its one-sided gradient is the anchor's own."""
    net = random_network((3, 4, 1), 2, output_relu=False)
    rec = recursion(net, "z+", [Interpolation(40)] * 2, bounds=(0.0, 3.0))
    a = net.forward(positive_input(3, 2, n=4), stop=1)
    with torch.no_grad():
        roots = rec.plans[1].finder(rec.problem(1, a))
        expansion = rec.expand(1, a, roots)
    assert len(expansion.unit)
    want = net.layers[1].weight.expand_as(expansion.slope)
    torch.testing.assert_close(expansion.slope, want, rtol=1e-12, atol=1e-12)


def test_roots_do_not_depend_on_which_anchors_share_a_call():
    net = random_network(WIDTHS, 9)
    a = positive_input(4, 9, n=6)
    together = Interpolation(100)(problem(a, net))
    for row in range(len(a)):
        single = Interpolation(100)(problem(a[row : row + 1], net))
        assert torch.equal(single.status[0], together.status[row])
        torch.testing.assert_close(single.points[0], together.points[row], rtol=0, atol=1e-13)


@pytest.mark.parametrize("max_points", [1, 300])
def test_relevance_does_not_depend_on_the_chunks(max_points):
    net = random_network((3, 4, 1), 39, "positive")
    x = positive_input(3, 1, n=2)
    finders = [Interpolation(20)] * 2
    whole = relevances(recursion(net, "z+", finders), x)
    chunked = relevances(recursion(net, "z+", finders, max_points=max_points), x)
    assert all((relevance != 0).any() for relevance in whole)
    for got, want in zip(chunked, whole, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_nothing_of_the_callers_changes():
    net = random_network(WIDTHS, 1)
    a = positive_input(4, 1, n=2)
    kept, leaf = a.clone(), a.requires_grad_()
    given = problem(leaf, net)
    state, global_state = given.generator.get_state(), torch.get_rng_state()
    got, again = Interpolation(20)(given), Interpolation(20)(given)
    assert torch.equal(got.points, again.points)
    assert torch.equal(leaf.detach(), kept)
    assert torch.equal(given.generator.get_state(), state)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not got.points.requires_grad
    other = Interpolation(20)(replace(given, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(got.points, other.points)


def test_evaluations_are_counted():
    net = random_network(WIDTHS, 1)
    a = positive_input(4, 1, n=2)
    visited = []

    def relevance(points):
        visited.append(len(points))
        return net.layers[0](points)

    finder = Interpolation(20)
    got = finder(problem(a, net, relevance=relevance))
    assert sum(visited) == len(a) * finder.evaluations(6)
    assert got.evaluations == finder.evaluations(1)


@pytest.mark.parametrize("settings", [{"directions": 0}, {"tol": -1.0}, {"tol": 1.0}])
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidSetting, match=next(iter(settings))):
        Interpolation(**settings)
