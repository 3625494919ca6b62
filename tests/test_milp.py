"""The nearest root of f: closed forms, enumeration of all regions, dense grids, bounds, limits."""

from __future__ import annotations

from itertools import product
from time import monotonic

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from cases import network, positive_input, random_network, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer, Network
from dtd.regions.region import Regions
from dtd.roots import ROOT_FINDERS
from dtd.roots.contract import Outcome, RootProblem, Status, Zeros
from dtd.roots.location import OnKink
from dtd.roots.milp import Milp
from dtd.roots.nearest import Target, nearest_zero
from dtd.roots.nearest.bounds import bounds
from dtd.roots.nearest.model import ball
from dtd.roots.nearest.polish import nearest_in_region
from dtd.roots.nearest_point import METRICS
from dtd.rules import X

OPEN = (-np.inf, np.inf)
DOMAINS = [OPEN, (0.0, np.inf), (0.0, 1.5)]
MAXIMUM = network([[[1, -1], [-1, 1], [1, 1]], [[0.5, 0.5, 0.5]]], [[0, 0, 0], [0]])
TENT = network([[[1], [1]], [[-1, 2]]], [[0, -2], [1]])
"""``max(0, 1 - max(0, y) + 2 max(0, y - 2))``: zero on [1, 3] alone."""


def target(net, x, domain=OPEN, metric="l1"):
    low, high = (np.full(len(x), end) for end in domain)
    return Target(net, np.asarray(x, dtype=float), low, high, METRICS[metric])


def nearest(net, x, domain=OPEN, metric="l1", gap=1e-4, time_limit=20.0):
    return nearest_zero(target(net, x, domain, metric), gap, time_limit)


def positive(widths, seed, bias):
    """A network and a point where its only output is positive, if there is one."""
    net = random_network(widths, seed, bias)
    x = positive_input(widths[0], seed, n=50)
    x = x[net.forward(x)[:, 0] > 0]
    return (net, x[0].numpy()) if len(x) else None


def regions(goal):
    """Every region by its gates: the least distance of a zero in it, one linear program each."""
    size = len(goal.x)
    units = [len(bias) for _, bias in goal.hidden]
    shape = np.eye(size) if goal.metric.order == 1 else np.ones((size, 1))
    for bits in product([False, True], repeat=sum(units)):
        slope, offset, rows, values = np.eye(size), np.zeros(size), [], []
        for (weight, bias), gate in zip(
            goal.hidden, np.split(np.array(bits), np.cumsum(units)[:-1]), strict=True
        ):
            slope, offset = weight @ slope, weight @ offset + bias
            rows.append(np.where(gate, -1, 1)[:, None] * slope)
            values.append(np.where(gate, 1, -1) * offset)
            slope, offset = slope * gate[:, None], offset * gate
        weight, bias = goal.layers[-1]
        rows, values = [*rows, weight @ slope], [*values, -(weight @ offset + bias)]
        rows, values = np.vstack(rows), np.concatenate(values)
        far = np.zeros((len(rows), shape.shape[1]))
        answer = linprog(
            np.r_[np.zeros(size), np.ones(shape.shape[1])],
            np.block([[rows, far], [np.eye(size), -shape], [-np.eye(size), -shape]]),
            np.r_[values, goal.x, -goal.x],
            bounds=[*zip(goal.low, goal.high, strict=True), *[(0, None)] * shape.shape[1]],
        )
        yield answer.fun if answer.status == 0 else np.inf


@pytest.mark.parametrize(("metric", "distance"), [("l1", 3.0), ("linf", 2.0)])
def test_the_maximum_is_zero_on_the_quadrant(metric, distance):
    # max(x1, x2) as the seed has it: 0 where both are <= 0; the far quadrant is x1 = x2 = 0.
    answer = nearest(MAXIMUM, [2.0, 1.0], (0.0, np.inf), metric)
    np.testing.assert_allclose(answer.point, [0, 0], atol=1e-15)
    assert answer.objective == pytest.approx(distance, rel=1e-12)
    assert answer.outcome is Outcome.OPTIMAL


def test_in_l1_one_coordinate_moves_and_in_linf_all_alike():
    net = network([[[3.0, -2.0]]], [[-1.0]])
    x = [2.0, 0.5]  # z = 4
    np.testing.assert_allclose(nearest(net, x).point, [2 - 4 / 3, 0.5], rtol=1e-14)
    answer = nearest(net, x, metric="linf")
    np.testing.assert_allclose(answer.point, [2 - 0.8, 0.5 + 0.8], rtol=1e-14)
    assert answer.bound == pytest.approx(0.8, rel=1e-6)
    # In the box the cheaper coordinate ends at its bound and the other moves on.
    boxed = Target(net, np.array(x), np.array([1.0, 0.0]), np.array([3.0, 9.0]), METRICS["l1"])
    np.testing.assert_allclose(nearest_zero(boxed, 1e-4, 9.0).point, [1.0, 1.0], rtol=1e-14)


@pytest.mark.parametrize(("x", "root"), [(0.25, 1.0), (-5.0, 1.0), (3.5, 3.0), (90.0, 3.0)])
@pytest.mark.parametrize("metric", ["l1", "linf"])
def test_on_a_line_the_near_end_of_the_zero_set(x, root, metric):
    answer = nearest(TENT, [x], metric=metric)
    assert answer.point[0] == pytest.approx(root, rel=1e-12)
    assert answer.gap <= 1e-4


DEEP = (2, 4, 3, 1)
"""By far the most regions. Every domain and metric is there with one bias at least."""


def enumerated():
    """Seeds, widths, biases, domains and metrics; half of those of the deep network."""
    networks = product([0, 1], [(1, 4, 1), (2, 3, 1), DEEP, (3, 5, 1)])
    kinds = product(enumerate(["positive", "negative", "zero"]), enumerate(DOMAINS), ["l1", "linf"])
    for (seed, widths), ((b, bias), (d, domain), metric) in product(networks, [*kinds]):
        long = seed == 1 or (widths == DEEP and (b + d) % 2 == (metric == "l1"))
        yield pytest.param(
            seed, widths, bias, domain, metric, marks=[pytest.mark.exhaustive] * long
        )


@pytest.mark.parametrize(("seed", "widths", "bias", "domain", "metric"), [*enumerated()])
def test_against_every_region(seed, widths, bias, domain, metric):
    for case in filter(None, [positive(widths, seed, bias)]):
        goal = target(*case, domain, metric)
        answer = nearest_zero(goal, 1e-4, 20.0)
        least = min(regions(goal))
        if np.isinf(least):
            assert answer.point is None
            assert answer.outcome is Outcome.INFEASIBLE
            continue
        assert answer.outcome is Outcome.OPTIMAL
        assert answer.objective == pytest.approx(least, rel=1e-9)
        # What the solver proves is true to its own tolerance.
        assert answer.bound == pytest.approx(least, rel=1e-4)
        assert answer.gap <= 1e-4
        assert abs(goal.value(answer.point[None])[0]) <= 1e-13
        assert (answer.point >= goal.low).all()
        assert (answer.point <= goal.high).all()


@pytest.mark.parametrize("metric", ["l1", "linf"])
def test_the_point_of_a_region_is_as_exact_however_near(metric):
    """Without biases a region is a cone, and its nearest point scales with x."""
    net, x = positive((4, 6, 4, 1), 16, "zero")
    goal = target(net, x, metric=metric)
    pattern = goal.pattern(nearest_zero(goal, 1e-4, 20.0).point)
    point = nearest_in_region(goal, pattern)
    assert goal.distance(point[None])[0] < 0.2
    for scale in (1e-3, 1e-6, 1e-9):
        near = nearest_in_region(target(net, scale * x, metric=metric), pattern)
        np.testing.assert_allclose(near, scale * point, rtol=1e-12)


@pytest.mark.parametrize("metric", ["l1", "linf"])
@pytest.mark.parametrize("seed", [0, 2, 6, 7])
def test_no_point_of_a_dense_grid_is_nearer(seed, metric):
    net, x = positive((2, 6, 4, 1), seed, "positive")
    goal = target(net, x, (-1.0, 2.0), metric)
    answer = nearest_zero(goal, 1e-4, 20.0)
    line = np.linspace(-1, 2, 601)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    zeros = grid[goal.value(grid) <= 0]
    assert len(zeros)
    assert goal.distance(zeros).min() >= answer.objective
    assert goal.distance(zeros).min() <= answer.objective + 2 * 3 / 600


@pytest.mark.parametrize("metric", ["l1", "linf"])
def test_bounds_hold_and_are_tighter_than_intervals(metric):
    net, x = positive((4, 8, 8, 1), 3, "positive")
    goal, radius = target(net, x, (0.0, 2.0), metric), 1.0
    tight = bounds(goal, radius, monotonic() + 60)
    generator = np.random.default_rng(0)
    points = x + generator.uniform(-1, 1, (400_000, 4))
    points = points.clip(0, 2)
    points = points[goal.distance(points) <= radius]
    below = goal.value(points) <= 0
    assert below.sum() > 100
    model, a = ball(goal, radius), points[below]
    for (weight, bias), interval in zip(goal.hidden, tight, strict=True):
        rough = model.interval(weight, bias)
        z = a @ weight.T + bias
        assert (z >= interval.low).all()
        assert (z <= interval.high).all()
        assert (interval.low >= rough.low).all()
        assert (interval.high <= rough.high).all()
        gained = (rough.high - rough.low) - (interval.high - interval.low)
        assert gained[rough.unstable].mean() > 0.2
        model, a = model.with_layer(weight, bias, rough), np.maximum(z, 0)


def test_no_root_in_the_box_is_proven():
    net = network([[[1.0, 1.0], [1.0, -1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-1.0]])
    answer = nearest(net, [2.0, 2.0], (1.0, 3.0))
    assert (answer.outcome, answer.point, answer.bound) == (Outcome.INFEASIBLE, None, np.inf)
    # In the open domain the same is not proven: only a ball was searched.
    constant = network([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [1.0]])
    answer = nearest(constant, [0.5])
    assert answer.outcome is Outcome.INFEASIBLE
    assert 0 < answer.bound < np.inf


def search(net, x, domain, output=0, **settings):
    """The finder's roots of one output."""
    own = net.explaining(output)
    size = x.shape[1]
    low, high = (torch.full((size,), end, dtype=x.dtype) for end in domain)
    problem = RootProblem(
        anchors=x,
        layer=Layer(torch.ones(1, size).to(x), torch.zeros(1).to(x)),
        relevance=own.forward,
        domain=Domain(low, high),
        rule=X(),
        generator=torch.Generator(),
        regions=Regions(net, 0, net.depth, torch.tensor([output])),
        zeros=Zeros.IN_REGION,
    )
    return ROOT_FINDERS["milp"](**settings)(problem)


def test_statuses_and_certificates():
    x = tensor([[2.0, 1.0], [-1.0, -1.0], [0.5, 3.0]])
    roots = search(MAXIMUM, x, OPEN)
    assert roots.status.flatten().tolist() == [Status.FOUND, Status.INACTIVE, Status.FOUND]
    assert roots.certified.flatten().tolist() == [True, False, True]
    assert roots.location == OnKink()
    torch.testing.assert_close(roots.solution.objective[[0, 2], 0], tensor([3.0, 3.5]))
    roots = search(MAXIMUM, x, (0.4, 3.0))
    assert roots.status.flatten().tolist() == [Status.NOT_FOUND, Status.INACTIVE, Status.NOT_FOUND]
    assert roots.certified.flatten().tolist() == [True, False, True]


def test_a_box_without_width_and_an_open_domain_without_zero():
    x = tensor([[1.0, 1.0]])
    roots = search(MAXIMUM, x, (1.0, 1.0))
    assert roots.status.item() == Status.NOT_FOUND
    assert roots.certified.item()
    dead = Network((Layer(tensor([[0.0, 0.0]]), tensor([1.0])),))
    roots = search(dead, x, OPEN)
    assert roots.status.item() == Status.NOT_FOUND
    assert not roots.certified.item()


def test_a_dead_network_has_nothing_to_search():
    dead = Network((Layer(tensor([[1.0, 1.0]]), tensor([-9.0])),))
    roots = search(dead, tensor([[1.0, 1.0]]), OPEN)
    assert roots.status.item() == Status.INACTIVE
    assert roots.solution.outcome.item() == Outcome.NOTHING


@pytest.mark.parametrize("output_relu", [True, False])
@pytest.mark.parametrize("output", [0, 2])
@pytest.mark.parametrize("compared", [1, pytest.param(3, marks=pytest.mark.exhaustive)])
def test_any_output_with_or_without_relu(output, output_relu, compared):
    net = random_network((3, 6, 3), 4, "positive", output_relu)
    x = positive_input(3, 4, n=30)
    x = x[net.forward(x)[:, output] > 0][:3]
    roots = search(net, x, OPEN, output)
    assert len(x)
    assert (roots.status == Status.FOUND).all()
    assert roots.certified.all()
    z = net.layers[-1].preactivation(net.forward(roots.points[:, 0], stop=1))[:, output]
    assert z.abs().max() < 1e-13
    pairs = list(zip(x, roots.solution.objective, strict=True))
    for anchor, objective in pairs[:compared]:
        goal = target(net.explaining(output), anchor.numpy())
        assert objective.item() == pytest.approx(min(regions(goal)), rel=1e-9)


def test_at_the_time_limit_what_is_known_stands():
    net, x = positive((8, 24, 24, 1), 0, "positive")
    roots = search(net, torch.from_numpy(x)[None], OPEN, time_limit=1e-3)
    assert roots.solution.outcome.item() == Outcome.TIME_LIMIT
    assert roots.status.item() == Status.FOUND
    assert not roots.certified.item()
    assert roots.solution.gap.item() > 1e-4
    assert roots.solution.bound.item() <= roots.solution.objective.item()


def test_single_precision_and_the_callers_tensors():
    net, x = positive((3, 6, 1), 1, "positive")
    x = torch.from_numpy(x)[None]
    before, state = x.clone(), torch.get_rng_state()
    exact = search(net, x, OPEN)
    assert torch.equal(before, x)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(exact.points, search(net, x, OPEN).points)
    single = search(net.to(torch.float32), x.float(), OPEN)
    assert single.points.dtype is torch.float32
    torch.testing.assert_close(single.points.double(), exact.points, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"metric": "l2"}, {"gap": -1.0}, {"gap": 1.0}, {"time_limit": 0.0}]
)
def test_refused(settings):
    with pytest.raises(InvalidSetting):
        Milp(**settings)


def test_a_hidden_layers_relevance_is_not_its_to_decompose():
    net = random_network((2, 3, 1), 0)
    problem = RootProblem(
        positive_input(2, 0), net.layers[0], net.layers[0], Domain(tensor([0, 0]), tensor([1, 1])),
        X(), torch.Generator(), Regions(net, 0, 1, torch.arange(3)),
    )  # fmt: skip
    with pytest.raises(ValueError, match="f alone"):
        Milp()(problem)
