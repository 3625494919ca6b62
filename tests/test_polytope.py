"""The polytope search: against a second formulation, known answers, dense samples and the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, nnls

from cases import network, positive_input, random_network, recursion, relevances, spread, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.regions.gates import closed_passage, passage
from dtd.regions.region import Regions
from dtd.roots import ClosedForm, nearest_point
from dtd.roots.contract import RootProblem, Status
from dtd.roots.location import OnKink
from dtd.roots.polytope import PolytopeSearch
from dtd.rules import ZPlus
from dtd_cli.inputs.positive import Positive
from dtd_cli.networks.paper import Paper

METRICS = {"l2": 2, "l1": 1, "linf": math.inf}
WIDTHS = (4, 6, 5, 2)


def problem(net, start, a, domain):
    regions = Regions(net, start, start + 1, torch.arange(net.widths[start + 1]))
    return RootProblem(a, net.layers[start], None, domain, ZPlus(), torch.Generator(), regions)


def domains(a):
    """The three kinds; the box is tight for some anchors."""
    size = a.shape[1]
    low = torch.zeros(size, dtype=a.dtype)
    return {
        "real": Domain.real(size).to(a.dtype),
        "nonnegative": Domain.nonnegative(size).to(a.dtype),
        "box": Domain(low, a.amax(0) + 0.1),
    }


def distances(a, points, metric):
    return torch.linalg.vector_norm(points - a.unsqueeze(1), METRICS[metric], dim=-1)


# The second formulation: every constraint from the definition, at the origin of the layer and in
# its own coordinates, and solvers that share nothing with the program's.


def literal_region(net, start, a, j):
    """``rows p + offsets >= 0`` of all units but j, and ``row p + offset = 0`` of j."""
    slope, offset = np.eye(len(a)), np.zeros(len(a))
    rows, offsets, own = [], [], None
    for index, layer in enumerate(net.layers[start:]):
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
        slope, offset = weight @ slope, weight @ offset + bias
        is_open = slope @ a + offset > 0
        for unit in range(len(bias)):
            if index == 0 and unit == j:
                own = slope[unit].copy(), offset[unit]
            elif layer.relu:
                sign = 1 if is_open[unit] else -1
                rows.append(sign * slope[unit])
                offsets.append(sign * offset[unit])
        if layer.relu:
            slope, offset = is_open[:, None] * slope, is_open * offset
    return np.array(rows).reshape(-1, len(a)), np.array(offsets), *own


def second_distance(net, start, a, j, domain, metric):
    """The distance to the nearest root, infinite where there is none, by linprog or NNLS."""
    size = len(a)
    rows, offsets, row, offset = literal_region(net, start, a, j)
    low, high = domain.low.numpy(), domain.high.numpy()
    below, above = np.isfinite(low), np.isfinite(high)
    every = np.concatenate([rows, np.eye(size)[below], -np.eye(size)[above]])
    needed = -np.concatenate([offsets, -low[below], high[above]])
    if metric == "l2":
        # Least distance programming around the anchor (Lawson, Hanson, chapter 23).
        every = np.concatenate([every, row[None], -row[None]])
        needed = np.concatenate([needed, [-offset, offset]]) - every @ a
        scale = np.linalg.norm(every, axis=1)
        every, needed = every[scale > 0], needed[scale > 0]
        every, needed = every / scale[scale > 0, None], needed / scale[scale > 0]
        target = np.zeros(size + 1)
        target[-1] = 1
        matrix = np.concatenate([every.T, needed[None]])
        weights, _ = nnls(matrix, target, maxiter=1000)
        residual = matrix @ weights - target
        if np.abs(residual).max() < 1e-9:
            return math.inf
        return float(np.linalg.norm(residual[:-1] / residual[-1]))
    extra = 1 if metric == "linf" else size
    spread_out = np.ones((size, 1)) if metric == "linf" else np.eye(size)
    solution = linprog(
        np.concatenate([np.zeros(size), np.ones(extra)]),
        A_ub=np.block(
            [
                [-every, np.zeros((len(every), extra))],
                [np.eye(size), -spread_out],
                [-np.eye(size), -spread_out],
            ]
        ),
        b_ub=np.concatenate([-needed, a, -a]),
        A_eq=np.concatenate([row, np.zeros(extra)])[None],
        b_eq=[-offset],
        bounds=(None, None),
    )
    assert solution.status in (0, 2)
    return solution.fun if solution.status == 0 else math.inf


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bias", ["negative", "positive"])
@pytest.mark.parametrize(
    ("start", "networks"),
    [(0, 2), (1, 2), (2, 4), *(pytest.param(l, 4, marks=pytest.mark.exhaustive) for l in (0, 1))],
)
def test_a_second_formulation_has_the_same_distances(metric, bias, start, networks):
    compared, infinite = 0, 0
    for seed in range(networks):
        net = random_network(WIDTHS, seed, bias, output_relu=seed % 2 == 0)
        a = net.forward(positive_input(4, seed, n=4), stop=start)
        for domain in domains(a).values():
            got = PolytopeSearch(metric)(problem(net, start, a, domain))
            active = net.layers[start].preactivation(a) > 0
            assert torch.equal(got.status == Status.INACTIVE, ~active)
            assert torch.equal(got.certified, active)
            for b, j in active.nonzero().tolist():
                want = second_distance(net, start, a[b].numpy(), j, domain, metric)
                found = got.contributes[b, j].item()
                assert found == math.isfinite(want)
                compared, infinite = compared + 1, infinite + (not found)
                if found:
                    near = distances(a, got.points, metric)[b, j].item()
                    assert near == pytest.approx(want, rel=1e-9)
    assert compared > 20
    assert infinite > 5 or start > 0


# What a certified root is.


def in_closed_region(net, start, a, points):
    """For roots (B, J, d) of all units: all gates but the own are the anchor's."""
    units = points.shape[1]
    at_anchor = passage(net, start, a.repeat_interleave(units, 0))
    there = closed_passage(net, start, points.flatten(0, 1), at_anchor)
    regions = Regions(net, start, start + 1, torch.arange(units))
    own = torch.arange(units).repeat(len(a))
    return regions.same(there.gates, at_anchor.gates, own).view(len(a), units)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["real", "nonnegative", "box"])
@pytest.mark.parametrize("start", [0, 1, 2])
def test_certified_roots_are_admissible_and_in_the_region_and_on_the_hinge(metric, kind, start):
    net = Paper(seed=3, output_activation="relu").build((10,), 2).to(torch.float64)
    a = net.forward(positive_input(10, 3, n=20), stop=start)
    domain = domains(a)[kind]
    got = PolytopeSearch(metric)(problem(net, start, a, domain))
    rooted = got.contributes & got.certified
    assert rooted.sum() > 10
    assert torch.equal(rooted, got.contributes)
    assert domain.contains(got.points)[rooted].all()
    assert in_closed_region(net, start, a, got.points)[rooted].all()
    layer = net.layers[start]
    z = layer.preactivation(got.points.flatten(0, 1)).view(*rooted.shape, -1)
    z = z.diagonal(dim1=1, dim2=2).abs()
    assert (z <= 1e-13 * layer.magnitude(a))[rooted].all()


@pytest.mark.parametrize("metric", METRICS)
def test_no_sampled_root_is_nearer(metric):
    """Random points of the hyperplane z_j = 0 that lie in the domain and in the region."""
    generator = torch.Generator().manual_seed(0)
    seen = 0
    for seed in range(5):
        net = random_network((3, 5, 2), seed, "negative")
        a = positive_input(3, seed, n=3)
        for domain in domains(a).values():
            got = PolytopeSearch(metric)(problem(net, 0, a, domain))
            near = distances(a, got.points, metric)
            size = torch.rand(3, 5000, 1, generator=generator, dtype=torch.float64) ** 2
            cloud = torch.randn(3, 5000, 3, generator=generator, dtype=torch.float64)
            cloud = a.unsqueeze(1) + 3 * size * cloud
            for j, (w, b) in enumerate(zip(net.layers[0].weight, net.layers[0].bias, strict=True)):
                on_plane = cloud - ((cloud @ w + b) / (w @ w)).unsqueeze(2) * w
                at_anchor = passage(net, 0, a.repeat_interleave(5000, 0))
                there = closed_passage(net, 0, on_plane.flatten(0, 1), at_anchor)
                regions = Regions(net, 0, 1, torch.arange(5))
                own = torch.full((15000,), j)
                same = regions.same(there.gates, at_anchor.gates, own).view(3, -1)
                valid = same & domain.contains(on_plane)
                away = torch.where(valid, distances(a, on_plane, metric), torch.inf).amin(1)
                active = got.status[:, j] != Status.INACTIVE
                found = got.contributes[:, j]
                assert away[active & ~found].isinf().all()
                assert (near[:, j] <= away * (1 + 1e-12))[found].all()
                seen += (active & away.isfinite()).sum().item()
    assert seen > 50


# Known answers.

PLANE = network([[[3.0, -4.0]]], [[0.0]])
ANCHOR = tensor([[5.0, 2.0]])  # z = 7


@pytest.mark.parametrize(
    ("metric", "root"),
    [
        ("l2", [5 - 7 * 3 / 25, 2 + 7 * 4 / 25]),
        ("l1", [5.0, 2 + 7 / 4]),  # along the largest weight alone
        ("linf", [4.0, 3.0]),  # against the sign of every weight
    ],
)
def test_a_plane(metric, root):
    got = PolytopeSearch(metric)(problem(PLANE, 0, ANCHOR, Domain.real(2).to(torch.float64)))
    torch.testing.assert_close(got.points[0, 0], tensor(root), rtol=0, atol=1e-14)
    assert got.status.tolist() == [[Status.FOUND]]
    assert got.certified.all()
    assert got.location == OnKink()


@pytest.mark.parametrize(
    ("metric", "root"), [("l2", [8 / 3, 2.0]), ("l1", [8 / 3, 2.0]), ("linf", [8 / 3, 2.0])]
)
def test_a_plane_in_a_box(metric, root):
    """The box leaves one way only: up to its end in one coordinate, on in the other."""
    domain = Domain(tensor([0.0, 0.0]), tensor([6.0, 2.0]))
    got = PolytopeSearch(metric)(problem(PLANE, 0, ANCHOR, domain))
    torch.testing.assert_close(got.points[0, 0], tensor(root), rtol=0, atol=1e-14)
    assert got.certified.all()


def test_a_facet_between_the_anchor_and_the_plane():
    """Unit 1 is 0 at y = 1: the projection of (2, 2) onto x + y = 0 lies beyond it."""
    net = network([[[1.0, 1.0], [0.0, 1.0]]], [[0.0, -1.0]])
    got = PolytopeSearch()(problem(net, 0, tensor([[2.0, 2.0]]), Domain.real(2).to(torch.float64)))
    torch.testing.assert_close(got.points[0, 0], tensor([-1.0, 1.0]), rtol=0, atol=1e-14)
    torch.testing.assert_close(got.points[0, 1], tensor([2.0, 1.0]), rtol=0, atol=1e-14)
    in_orthant = PolytopeSearch()(
        problem(net, 0, tensor([[2.0, 2.0]]), domains(ANCHOR)["nonnegative"])
    )
    assert in_orthant.status.tolist() == [[Status.NOT_FOUND, Status.FOUND]]
    assert in_orthant.certified.all()


# Nothing is certified that is not so.


def test_a_wrong_solver_is_not_believed(monkeypatch):
    honest = nearest_point._minimise
    net = random_network(WIDTHS, 1, "negative")
    a = positive_input(4, 1, n=6)
    given = problem(net, 0, a, domains(a)["nonnegative"])
    want = PolytopeSearch()(given)
    assert (want.contributes & want.certified).sum() > 3
    assert ((want.status == Status.NOT_FOUND) & want.certified).sum() > 3

    def lies(change):
        def minimise(*arguments):
            solution = honest(*arguments)
            return None if solution is None else change(solution)

        monkeypatch.setattr(nearest_point, "_minimise", minimise)
        return PolytopeSearch()(given)

    sparse = lies(lambda s: s._replace(weights=np.where(s.weights == s.weights.max(), 1.0, 0.0)))
    certified = sparse.certified & sparse.contributes
    # What one bound alone proves is a projection onto one plane, which may be right.
    assert torch.equal(
        distances(a, sparse.points, "l2")[certified], distances(a, want.points, "l2")[certified]
    )
    assert not (sparse.certified & ~sparse.contributes).any()
    assert certified.sum() < (want.certified & want.contributes).sum()
    monkeypatch.setattr(nearest_point, "_minimise", lambda *arguments: None)
    silent = PolytopeSearch()(given)
    assert not silent.contributes.any()
    assert not silent.certified.any()


def test_what_rounding_hides_is_not_certified():
    """Without biases, the layer above some anchors is dead: no rounding there counts as a tie."""
    net = random_network(WIDTHS, 2, "zero")
    a = positive_input(4, 2, n=4)
    got = PolytopeSearch("linf")(problem(net, 0, a, Domain.real(4).to(torch.float64)))
    certified = got.certified & got.contributes
    inside = in_closed_region(net, 0, a, got.points)
    assert certified.any()
    assert (got.contributes & ~inside).any()
    assert inside[certified].all()


def test_out_of_time_is_a_status():
    net = random_network(WIDTHS, 1, "negative")
    a = positive_input(4, 1, n=2)
    got = PolytopeSearch(time_limit=1e-9)(problem(net, 0, a, Domain.real(4).to(torch.float64)))
    active = net.layers[0].preactivation(a) > 0
    assert (got.status[active] == Status.NOT_FOUND).all()
    assert not got.certified.any()


@pytest.mark.parametrize("metric", METRICS)
def test_a_box_without_width(metric):
    found = 0
    for seed in range(10):
        net = random_network(WIDTHS, seed, "negative")
        a = positive_input(4, seed)
        active = net.layers[0].preactivation(a) > 0
        got = PolytopeSearch(metric)(problem(net, 0, a, Domain(a[0], a[0])))
        assert (got.status[active] == Status.NOT_FOUND).all()
        assert torch.equal(got.certified, active)
        # With one side that is not fixed there is one point on each hinge.
        low, high = a[0].clone(), a[0].clone()
        low[0], high[0] = -torch.inf, torch.inf
        got = PolytopeSearch(metric)(problem(net, 0, a, Domain(low, high)))
        assert torch.equal(got.certified, active)
        assert (got.points[..., 1:] == a[:, 1:].unsqueeze(1)).all()
        step = net.layers[0].preactivation(a) / net.layers[0].weight[:, 0]
        only = (a[:, :1] - step)[got.contributes]
        torch.testing.assert_close(got.points[..., 0][got.contributes], only, rtol=0, atol=1e-13)
        found += len(only)
    assert found >= 5


@pytest.mark.parametrize("metric", METRICS)
def test_units_without_a_dependence(metric):
    """Unit 0 is 1 everywhere, unit 2 is -1, and the output sees nothing."""
    net = network(
        [[[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0, 0.0]]], [[1.0, 0.0, -1.0], [0.0]]
    )
    got = PolytopeSearch(metric)(
        problem(net, 0, tensor([[1.0, 1.0]]), Domain.real(2).to(torch.float64))
    )
    status = [Status.NOT_FOUND, Status.FOUND, Status.INACTIVE]
    assert got.status.tolist() == [status]
    assert got.certified.tolist() == [[True, True, False]]
    assert distances(tensor([[1.0, 1.0]]), got.points, "l1")[0, 1].item() == pytest.approx(2)


@pytest.mark.parametrize(
    "settings", [{"metric": "l3"}, {"time_limit": 0.0}, {"time_limit": math.inf}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidSetting, match=next(iter(settings))):
        PolytopeSearch(**settings)


# The contract.


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-20, 2.0**20])
def test_the_scale_of_the_anchors_does_not_matter(metric, scale):
    """In a network without biases everything is proportional."""
    net = random_network(WIDTHS, 4, "zero")
    a = positive_input(4, 4, n=3)
    for domain in (Domain.real(4).to(torch.float64), Domain.nonnegative(4).to(torch.float64)):
        want = PolytopeSearch(metric)(problem(net, 0, a, domain))
        got = PolytopeSearch(metric)(problem(net, 0, scale * a, domain))
        assert torch.equal(got.status, want.status)
        assert torch.equal(got.certified, want.certified)
        torch.testing.assert_close(got.points / scale, want.points, rtol=0, atol=1e-13)


@pytest.mark.parametrize("metric", METRICS)
def test_roots_do_not_depend_on_which_anchors_share_a_call(metric):
    net = random_network(WIDTHS, 5, "negative")
    a = positive_input(4, 5, n=4)
    domain = domains(a)["nonnegative"]
    together = PolytopeSearch(metric)(problem(net, 0, a, domain))
    for row in range(len(a)):
        single = PolytopeSearch(metric)(problem(net, 0, a[row : row + 1], domain))
        assert torch.equal(single.status[0], together.status[row])
        torch.testing.assert_close(single.points[0], together.points[row], rtol=0, atol=1e-13)


def test_nothing_of_the_callers_changes():
    net = random_network(WIDTHS, 5, "negative")
    a = positive_input(4, 5, n=4).requires_grad_()
    before, global_state = a.detach().clone(), torch.get_rng_state()
    got = PolytopeSearch()(problem(net, 0, a, Domain.real(4).to(torch.float64)))
    assert torch.equal(a.detach(), before)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not got.points.requires_grad
    assert torch.is_grad_enabled()


def test_in_single_precision():
    net = random_network(WIDTHS, 5, "negative")
    a = positive_input(4, 5, n=4)
    want = PolytopeSearch()(problem(net, 0, a, domains(a)["nonnegative"]))
    single = problem(net.to(torch.float32), 0, a.float(), Domain.nonnegative(4))
    got = PolytopeSearch()(single)
    assert got.points.dtype == torch.float32
    assert torch.equal(got.status, want.status)
    assert torch.equal(got.certified, want.certified)
    torch.testing.assert_close(got.points, want.points.float(), rtol=1e-5, atol=1e-5)


def test_every_layer_of_the_recursion():
    """Nested roots are searched too, and chunks of anchors do not matter."""
    net = random_network((3, 4, 3, 1), 9, "negative")
    x = positive_input(3, 9, n=3)
    finders = [PolytopeSearch()] * 3
    whole = relevances(recursion(net, "z+", finders), x)
    chunked = relevances(recursion(net, "z+", finders, max_points=1), x)
    assert all((relevance != 0).any() for relevance in whole)
    for got, want in zip(chunked, whole, strict=True):
        assert spread(got, want) < 1e-9


# The paper.


@pytest.mark.parametrize("n", [300, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_share_of_units_with_an_admissible_root_in_the_region(n):
    """RS (roots): for how many of the active units of layer 1 does such a root exist at all?

    For 81 %, in the network with seed 1 and inputs that output 0 answers. The closed form finds
    15 % (gamma = 1), 21 % (z+), 28 % (w2, half of them inadmissible).
    """
    net = Paper(seed=1, output_activation="relu").build((10,), 2).to(torch.float64)
    inputs = Positive(n=n, threshold=0.1, features=None)
    generator = torch.Generator().manual_seed(1)
    x = inputs.open(10).draw(lambda drawn: net.forward(drawn.double())[:, 0], generator)
    x, domain = x.double(), Domain.nonnegative(10).to(torch.float64)
    given = problem(net, 0, x, domain)
    got, closed_form = PolytopeSearch()(given), ClosedForm()(given)
    active = got.status != Status.INACTIVE
    assert torch.equal(got.certified, active)
    rooted = got.contributes
    assert in_closed_region(net, 0, x, got.points)[rooted].all()
    assert domain.contains(got.points)[rooted].all()
    assert 0.79 < rooted.sum() / active.sum() < 0.82
    z_plus = in_closed_region(net, 0, x, closed_form.points) & closed_form.contributes
    assert 0.18 < z_plus.sum() / active.sum() < 0.22
    assert rooted[z_plus].all()
    nearer = distances(x, got.points, "l2") <= distances(x, closed_form.points, "l2") * (1 + 1e-12)
    assert nearer[z_plus].all()
    some = active.nonzero()[::50].tolist()
    exists = [second_distance(net, 0, x[b].numpy(), j, domain, "l1") < math.inf for b, j in some]
    assert [rooted[b, j].item() for b, j in some] == exists
