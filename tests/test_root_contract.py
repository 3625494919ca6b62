"""Every root search on every problem of a list: one contract, whatever the strategy.

Strategies are taken from the configuration, so one that is added is tested from its first day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from omegaconf import OmegaConf

from cases import network, positive_input, random_network, recursion, rule_named, tensor
from dtd.domains import Domain
from dtd.networks.network import Network
from dtd.regions.region import Regions
from dtd.roots import ROOT_FINDERS
from dtd.roots.contract import RootProblem, Status
from dtd_cli.app.locations import CONF
from dtd_cli.config.typed import option

SETTINGS = {path.stem: OmegaConf.to_container(OmegaConf.load(path)) for path in
            sorted((CONF / "roots").glob("*.yaml"))}  # fmt: skip
MADE_FOR_A_SAMPLE = "prescribed"
"""It searches nothing: its roots follow from a target and a sample."""
SETTINGS.pop(MADE_FOR_A_SAMPLE)
FREE = {"closed_form", "line", "random"}
"""Strategies that do not look at the domain: their roots may be inadmissible, and tables say so."""
RESOLVED = (Status.FOUND, Status.APPROXIMATE)


@dataclass(frozen=True)
class Case:
    """A problem and what is known about it: the status of every unit (B, J), None where open."""

    net: Network
    a: torch.Tensor
    domain: Domain
    rootless: bool = False
    """No admissible point of the region has z_j = 0, for any unit."""
    inactive: bool = False
    """Every unit is dead at the anchor."""
    rule: str = "z+"

    def problem(self, anchors=None):
        a = self.a if anchors is None else anchors
        rec = recursion(self.net, self.rule)
        start, units = 0, torch.arange(self.net.widths[1])
        regions = Regions(self.net, start, start + 1, units)
        relevance = torch.no_grad()(lambda points: rec.upper(start, points))
        generator = torch.Generator().manual_seed(5)
        domain = self.domain.to(torch.float64)
        layer = self.net.layers[start]
        return RootProblem(a, layer, relevance, domain, rule_named(self.rule), generator, regions)


def box(low, high):
    return Domain(tensor(low), tensor(high))


PLANE = network([[[1.0, 2.0]]], [[-1.0]])
CASES = {
    "plane": Case(PLANE, tensor([[1.0, 1.0], [3.0, 0.5]]), Domain.real(2)),
    "plane in the orthant": Case(PLANE, tensor([[1.0, 1.0], [0.0, 2.0]]), Domain.nonnegative(2)),
    "plane with x": Case(PLANE, tensor([[1.0, 1.0]]), Domain.real(2), rule="x"),
    "plane with w2": Case(PLANE, tensor([[1.0, 1.0]]), Domain.real(2), rule="w2"),
    "positive on the whole domain": Case(
        network([[[1.0, 2.0]]], [[1.0]]), tensor([[1.0, 1.0]]), Domain.nonnegative(2), rootless=True
    ),
    "negative weights, no admissible root": Case(
        network([[[-1.0, -2.0]]], [[5.0]]),
        tensor([[0.5, 0.5]]),
        box([0.0, 0.0], [1.0, 1.0]),
        rootless=True,
    ),
    "dead": Case(PLANE, tensor([[0.1, 0.1]]), Domain.nonnegative(2), inactive=True),
    "origin": Case(PLANE, tensor([[0.0, 0.0]]), Domain.nonnegative(2), inactive=True),
    "dead network": Case(
        network([[[1.0, 1.0], [1.0, 0.0]], [[1.0, 1.0]]], [[-9.0, -9.0], [-1.0]]),
        tensor([[1.0, 1.0]]),
        Domain.nonnegative(2),
        inactive=True,
    ),
    "box of no width": Case(
        PLANE, tensor([[1.0, 1.0]]), box([1.0, 1.0], [1.0, 1.0]), rootless=True
    ),
    "box flat in one direction": Case(
        PLANE, tensor([[1.0, 1.0]]), box([0.0, 1.0], [2.0, 1.0]), rootless=True
    ),
    "unit without weights": Case(
        network([[[0.0, 0.0]]], [[1.0]]), tensor([[1.0, 1.0]]), Domain.nonnegative(2), rootless=True
    ),
    "hidden layer": Case(
        random_network((3, 5, 4, 1), 51), positive_input(3, 51, n=3), Domain.nonnegative(3)
    ),
    "hidden layer, gamma": Case(
        random_network((4, 6, 1), 9, "positive"),
        positive_input(4, 9, n=3),
        Domain.nonnegative(4),
        rule="gamma",
    ),
}


def finder(name):
    return option("roots", ROOT_FINDERS, SETTINGS[name])


def test_every_strategy_has_its_settings():
    assert set(SETTINGS) | {MADE_FOR_A_SAMPLE} == set(ROOT_FINDERS)


@pytest.fixture(params=SETTINGS)
def name(request):
    return request.param


@pytest.fixture(params=CASES)
def case(request):
    found = CASES[request.param]
    if "name" in request.fixturenames:
        needs_f(request.getfixturevalue("name"), found)
    return found


def needs_f(name, case):
    if finder(name).objection(case.net.depth):
        pytest.skip("searches roots of f alone")


def test_contract(name, case):
    problem = case.problem()
    before = problem.anchors.clone(), problem.generator.get_state(), torch.get_rng_state()
    weights = [layer.weight.clone() for layer in case.net.layers]
    roots = finder(name)(problem)

    anchors, units = problem.anchors, len(problem.layer.bias)
    assert roots.points.shape == (len(anchors), units, anchors.shape[1])
    assert roots.status.shape == roots.certified.shape == (len(anchors), units)
    assert set(roots.status.unique().tolist()) <= {int(status) for status in Status}
    assert (torch.as_tensor(roots.evaluations) >= 0).all()
    assert roots.points[roots.contributes].isfinite().all()

    after = problem.anchors, problem.generator.get_state(), torch.get_rng_state()
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    now = [layer.weight for layer in case.net.layers]
    assert all(torch.equal(x, y) for x, y in zip(weights, now, strict=True))

    again = finder(name)(case.problem())
    assert torch.equal(again.status, roots.status)
    assert torch.equal(again.points[roots.contributes], roots.points[roots.contributes])


def test_found_roots_are_roots(name, case):
    problem = case.problem()
    roots = finder(name)(problem)
    size = problem.relevance(problem.anchors).abs()
    for anchor, unit in (roots.status == Status.FOUND).nonzero().tolist():
        h = problem.relevance(roots.points[anchor, unit : unit + 1])[0, unit]
        assert h.abs() <= 1e-5 * size[anchor, unit]


def test_roots_of_strategies_that_know_the_domain_are_admissible(name, case):
    problem = case.problem()
    roots = finder(name)(problem)
    if name in FREE:
        pytest.skip("looks at the ray, not at the domain")
    scale = problem.anchors.abs().amax()
    assert problem.domain.contains(roots.points[roots.contributes], 1e-13 * scale).all()


def test_known_answers(name, case):
    roots = finder(name)(case.problem())
    statuses = set(roots.status.flatten().tolist())
    if case.inactive:
        assert statuses == {Status.INACTIVE}
    elif case.rootless and name not in FREE:
        assert not statuses & {Status.FOUND, Status.INACTIVE}
    elif not case.rootless:
        assert statuses & set(RESOLVED)


def test_the_polytope_is_certain(case):
    roots = finder("polytope")(case.problem())
    if case.rootless:
        assert (roots.status == Status.NOT_FOUND).all()
        assert roots.certified.all()
    elif not case.inactive:
        assert roots.certified[roots.contributes].all()


def test_anchors_do_not_see_each_other(name):
    case = CASES["hidden layer"]
    needs_f(name, case)
    together = finder(name)(case.problem())
    for row in range(len(case.a)):
        single = finder(name)(case.problem(case.a[row : row + 1]))
        assert torch.equal(single.status[0], together.status[row])
        there = single.contributes[0]
        gap = (single.points[0] - together.points[row])[there].abs()
        assert not gap.numel() or gap.max() <= 1e-12


def test_seeds_matter_only_where_something_is_drawn(name):
    case = CASES["plane"]
    first = finder(name)(case.problem())
    other = replace(case.problem(), generator=torch.Generator().manual_seed(6))
    second = finder(name)(other)
    drawn = name in {"random", "interpolation", "metropolis", "hit_and_run"}
    assert torch.equal(first.points, second.points) != drawn
