"""The first zero on the rule's ray, beside a dense scan of the same ray and the closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from cases import alone, positive_input, random_network, recursion, relevances, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer
from dtd.roots import ClosedForm
from dtd.roots.contract import RootProblem, Status
from dtd.roots.line import LineSearch
from dtd.roots.location import OnBoundary
from dtd.rules import RULES, X
from dtd.rules.rule import direction
from test_implicit import central_jacobian

SCAN, DENSE = {2: 10_001, 3: 501}, {2: 200_001, 3: 2_001}
"""Points of a scan, by the depth of the network: many beside those of the search."""
FAR = 4.0
"""How far the scan goes beyond the last root, or the end of the ray, in units of the ray."""


@dataclass(frozen=True)
class Scanned:
    """One unit's search beside the scan of its ray."""

    status: Status
    t: float
    first: float
    """The first t of the scan where the relevance has not the anchor's sign; infinite without."""
    step: float
    own: float
    """z_j at the root, relative to z_j at the anchor."""
    residual: float
    """|h_j| at the root, relative to h_j at the anchor."""


def scan(rec, start, a, samples=16, points=SCAN):
    """Search and scan for every unit that has relevance and a ray."""
    problem = rec.problem(start, a)
    with torch.no_grad():
        got = LineSearch(samples=samples)(problem)
        h = problem.relevance(a)[0]
    v = direction(problem.rule.terms(a, problem.layer, problem.domain)).expand_as(got.points)[0]
    z = problem.layer.preactivation(a)[0]
    for j in (got.status[0] != Status.INACTIVE).nonzero().flatten().tolist():
        t = got.line.positions[0, j].item()
        end = 1.5 * t if got.contributes[0, j] else FAR * (a.norm() / v[j].norm()).item()
        if not v[j].any():
            assert got.status[0, j] == Status.DEGENERATE
            continue
        steps = points[rec.network.depth]
        at = torch.linspace(0, end, steps, dtype=torch.float64)
        values = torch.cat(
            [problem.relevance(a - part[:, None] * v[j])[:, j] for part in at.split(20_000)]
        )
        below = (values * h[j].sign() <= 0).nonzero().flatten()
        own = problem.layer.preactivation(got.points[:, j])[0, j] / z[j].abs().clamp(min=1e-9)
        yield Scanned(
            Status(got.status[0, j].item()),
            t,
            at[below[0]].item() if len(below) else torch.inf,
            end / (steps - 1),
            own.item(),
            (problem.relevance(got.points[:, j])[0, j] / h[j]).abs().item(),
        )


def agrees(unit):
    """Whether the search and the scan say the same of a ray."""
    if unit.status > Status.APPROXIMATE:
        return unit.first == torch.inf
    # The scan sees a zero at its first point behind it, and none that is but touched.
    touched = unit.status is Status.FOUND and unit.residual <= 1e-13
    at_least = touched or unit.t >= unit.first - 1.001 * unit.step
    return at_least and unit.t <= unit.first * (1 + 1e-9)


NETWORKS = [
    ((3, 5, 1), 7, "negative"),
    ((3, 5, 1), 11, "positive"),
    ((3, 4, 3, 1), 2, "zero"),
    ((3, 4, 3, 1), 9, "negative"),
    ((3, 4, 3, 1), 3, "positive"),
]


@pytest.mark.parametrize("rule", [name for name in RULES if name != "zB"])
@pytest.mark.parametrize(("widths", "seed", "bias"), NETWORKS)
@pytest.mark.parametrize(
    "points", [SCAN, pytest.param(DENSE, marks=pytest.mark.exhaustive)], ids=["some", "dense"]
)
def test_no_zero_is_missed(widths, seed, bias, rule, points):
    rec = recursion(random_network(widths, seed, bias), rule)
    path = rec.explained.activations(positive_input(3, seed))[:-1]
    units = [unit for start, a in enumerate(path) for unit in scan(rec, start, a, points=points)]
    assert units
    assert all(map(agrees, units))
    if bias == "negative" and rule in ("z+", "gamma", "x", "w2"):
        # Another unit's death ends the relevance of a unit that is still alive.
        assert any(unit.status is Status.FOUND and unit.own > 1e-3 for unit in units)


def test_no_zero_is_missed_below_the_box_rule():
    rec = recursion(random_network((3, 5, 3, 1), 9, "positive"), ["zB", "z+", "z+"])
    units = list(scan(rec, 0, positive_input(3, 9) / 2))
    assert units
    assert all(map(agrees, units))


OWN = [
    ((3, 5, 1), 1, "z+"), ((3, 5, 1), 1, "gamma"), ((3, 5, 1), 1, "x"),
    ((3, 5, 1), 7, "z+"), ((3, 5, 1), 7, "gamma"), ((3, 5, 1), 4, "z+"),
]  # fmt: skip
"""Networks with positive biases in which h_j vanishes where z_j does, before anything else."""


@pytest.mark.parametrize(("widths", "seed", "rule"), OWN)
def test_where_z_vanishes_first_it_is_the_closed_form(widths, seed, rule):
    net, x = random_network(widths, seed, "positive"), positive_input(3, seed)
    closed = recursion(net, rule)
    line = recursion(net, rule, [LineSearch()] * net.depth)
    assert relevances(closed, x)[0].abs().max() > 0.1
    for start, a in enumerate(net.activations(x)[:-1]):
        got, want = (rec.plans[start].finder(rec.problem(start, a)) for rec in (line, closed))
        both = got.contributes
        assert torch.equal(both, want.contributes & (line.problem(start, a).relevance(a) != 0))
        torch.testing.assert_close(got.points[both], want.points[both], rtol=0, atol=1e-13)
    for got, want in zip(relevances(line, x), relevances(closed, x), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ["z+", "gamma", "x", "w2"])
def test_the_root_moves_with_its_ray(rule):
    """∂R_1/∂a through the search, against differences of the search at displaced anchors."""
    # h_j vanishes with the output before z_j does; the step of a central difference is 1e-5.
    seed = 9
    rec = recursion(
        random_network((3, 4, 3, 1), seed, "negative"),
        rule,
        [ClosedForm(), LineSearch(), ClosedForm()],
    )
    a = rec.network.forward(positive_input(3, seed), 0, 1)
    a = torch.where(a > 0, a + 0.1, 0.05)  # away from the kinks of a_1
    assert any(unit.status is Status.FOUND and unit.own > 1e-3 for unit in scan(rec, 1, a))
    got = torch.autograd.functional.jacobian(lambda p: rec.relevance(1, p, graph=True), a)[0, :, 0]
    want = central_jacobian(lambda p: rec.relevance(1, p), a)
    assert want.abs().max() > 0.1
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
    constant = torch.autograd.functional.jacobian(
        lambda p: replace(rec, moving_roots=False).relevance(1, p), a
    )[0, :, 0]
    assert (constant - want).abs().max() > 1e-2


# On functions whose zeros are known.

RAY = tensor([[2.0, 1.0]])


def problem(relevance, a=RAY):
    layer = Layer(torch.ones(1, 2, dtype=a.dtype), torch.ones(1, dtype=a.dtype))
    return RootProblem(a, layer, relevance, Domain.real(2), X(), torch.Generator(), alone(layer))


def curved(a):
    """On the ray (2, 1)(1 - t) of x: zero at t = 0.5, and again beyond t = 1.5."""
    return (a[:, :1] - 1) * (a[:, :1] + 1)


def test_a_smooth_zero_is_found_to_rounding():
    got = LineSearch()(problem(curved))
    assert got.status.tolist() == [[Status.FOUND]]
    assert got.location == OnBoundary()
    assert got.line.positions.item() == pytest.approx(0.5, rel=1e-14)


def test_below_zero_the_search_is_for_the_other_sign():
    got = LineSearch()(problem(lambda a: -curved(a)))
    torch.testing.assert_close(got.points, LineSearch()(problem(curved)).points)


def test_statuses():
    a = tensor([[2.0, 1.0], [0.0, 0.0], [0.5, 3.0]])
    got = LineSearch()(problem(lambda p: p[:, :1] ** 2 + (p[:, 1:] < 2.5), a))
    # Never zero but at the origin; no ray at all; a jump that keeps the sign.
    assert got.status.flatten().tolist() == [
        Status.NOT_FOUND if any(row) else Status.DEGENERATE for row in a.tolist()
    ]
    jump = LineSearch()(problem(lambda p: torch.where(p[:, :1] < 0.5, -0.9, 1.0).to(p)))
    assert jump.status.tolist() == [[Status.APPROXIMATE]]
    assert jump.points[0, 0, 0].item() == pytest.approx(0.5, abs=1e-12)
    nothing = LineSearch()(problem(lambda p: 0 * p[:, :1]))
    assert nothing.status.tolist() == [[Status.INACTIVE]]


def test_evaluations_are_counted():
    points = 0

    def counting(a):
        nonlocal points
        points += len(a)
        return curved(a)

    got = LineSearch()(problem(counting))
    assert got.evaluations.tolist() == [[points]]


FINDERS = [LineSearch(), ClosedForm(), ClosedForm()]


def test_roots_do_not_depend_on_which_anchors_share_a_call():
    rec = recursion(random_network((3, 4, 3, 1), 9, "negative"), "z+", FINDERS)
    x = positive_input(3, 9, n=4)
    together = rec.plans[0].finder(rec.problem(0, x))
    for row, single in enumerate(x.split(1)):
        alone = rec.plans[0].finder(rec.problem(0, single))
        assert torch.equal(alone.status[0], together.status[row])
        torch.testing.assert_close(alone.points[0], together.points[row], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("settings", [{"samples": 0}, {"tol": -1.0}, {"tol": 1.0}])
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidSetting, match=next(iter(settings))):
        LineSearch(**settings)
