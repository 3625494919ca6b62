"""Degree inf: the integral from the root to the anchor, which is complete through kinks."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import mpmath
import pytest
import torch
from captum.attr import IntegratedGradients
from mpmath import mp, mpf
from torch import nn

import dtd
from cases import (
    expansion,
    lists,
    network,
    positive_input,
    random_network,
    recursion,
    relevances,
    spread,
    tensor,
)
from dtd.networks.network import Layer, Network
from dtd.relevance.series.integral import _GAUSS, _KRONROD, _NODES, Integral
from dtd.relevance.series.segment import knots
from dtd.relevance.series.taylor import Taylor
from dtd.roots.random_search import RandomSearch
from literal import Literal


@pytest.mark.parametrize("bias", ["negative", "zero"])
@pytest.mark.parametrize("rule", ["z+", "gamma", "x", "zero"])
@pytest.mark.parametrize(
    ("widths", "seeds"),
    [
        ((3, 4, 1), range(8)),
        pytest.param((3, 4, 1), range(20), marks=pytest.mark.exhaustive),
        pytest.param((10, 10, 1), range(20), marks=pytest.mark.exhaustive),
    ],
)
def test_two_layers_keep_f(widths, seeds, rule, bias):
    seen = crossed = 0
    for seed in seeds:
        net, x = random_network(widths, seed, bias), positive_input(widths[0], seed, n=4)
        f = net.forward(x)[:, 0]
        rec = recursion(net, rule, series=Integral())
        for relevance in relevances(rec, x):
            assert ((relevance.sum(1) - f).abs() <= 1e-9 * f + 1e-14).all()
        seen += int((f > 0).sum())
        with torch.no_grad():
            found = expansion(rec, 0, x)
            points = rec.plans[0].finder(rec.problem(0, x)).points[found.anchor, found.unit]
            crossed += int(
                (knots(net, 0, points, x[found.anchor] - points) < 1).sum() > len(points)
            )
    assert seen >= 10
    assert crossed or rule == "zero" or bias == "zero"


@pytest.mark.parametrize(("rule", "seed"), [("z+", 7), ("gamma", 9), ("x", 13)])
@pytest.mark.parametrize("bias", ["negative", "zero"])
def test_three_layers_balance(rule, seed, bias):
    """What does not arrive is at the roots; nested roots' kinks are found by halving."""
    net, x = random_network((3, 4, 3, 1), seed, bias), positive_input(3, seed)
    path = net.activations(x)
    rec = recursion(net, rule, series=Integral())
    upper = path[-1].sum()
    for layer in (2, 1, 0):
        with torch.no_grad():
            found = expansion(rec, layer, path[layer])
        lower = found.shares.sum()
        assert abs(upper - lower - found.value.sum()) < 1e-6 * path[-1].sum()
        upper = lower


def test_against_quadrature_in_many_digits():
    """One function by hand: units max(0, x - 1) and max(0, x), z+ above, f = a_0 + a_1 - b."""
    for b in (0.5, 1.5):
        net = network([[[1.0], [1.0]], [[1.0, 1.0]]], [[-1.0, 0.0], [-b]])
        rec = recursion(net, "z+", series=Integral())
        got = relevances(rec, tensor([[3.0]]))[0].item()

        def h(x, b=b):
            first, second = max(x - 1, 0), max(x, 0)
            return mpmath.matrix([first, second]) * max(0, 1 - b / (first + second))

        with mp.workdps(50):
            kink = max(mpf(1), (1 + mpf(b)) / 2)

            def slope(x, j, h=h):
                return mpmath.diff(lambda y: h(y)[j], x)

            points = sorted({mpf(1), kink, mpf(3)})
            want = mpmath.quad(lambda x: slope(x, 0), points)
            points = sorted({mpf("1e-30"), mpf(b), mpf(1), kink, mpf(3)})
            want += mpmath.quad(lambda x: slope(x, 1), points)
        assert got == pytest.approx(float(want), rel=1e-9)


@pytest.mark.parametrize("seeds", [(7,), pytest.param((7, 28), marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("rule", ["z+", "gamma", "x"])
def test_components_against_quadrature_of_the_literal(rule, seeds):
    for seed in seeds:
        net, x = random_network((3, 4, 1), seed), positive_input(3, seed)
        with torch.no_grad():
            rec = recursion(net, rule, series=Integral())
            found = expansion(rec, 0, x)
            points = rec.plans[0].finder(rec.problem(0, x)).points[0, found.unit]
            kinks = knots(net, 0, points, x - points)
        literal = Literal(*lists(net), [rule] * 2, gamma=1.0, number=mpf)
        for row, unit in enumerate(found.unit.tolist()):
            with mp.workdps(literal.digits):
                a = [mpf(v) for v in x[0].tolist()]
                root = literal.root(0, a, unit)
                delta = [p - r for p, r in zip(a, root, strict=True)]
                s_kinks = sorted({mpf(s) for s in kinks[row].tolist()})
                for i in range(3):

                    def partial(s, i=i, root=root, delta=delta, unit=unit, literal=literal):
                        point = [r + s * d for r, d in zip(root, delta, strict=True)]
                        step = mpf("1e-30")
                        up = [p + step * (k == i) for k, p in enumerate(point)]
                        down = [p - step * (k == i) for k, p in enumerate(point)]
                        return (literal.h(0, up, unit) - literal.h(0, down, unit)) / (2 * step)

                    with mp.workdps(60):
                        want = delta[i] * mpmath.quad(
                            partial, s_kinks, method="gauss-legendre", maxdegree=4
                        )
                    assert found.shares[row, 0, i].item() == pytest.approx(
                        float(want), rel=1e-8, abs=1e-9
                    )


def test_the_derivative_of_the_integral_follows_its_kinks():
    """∂R_1/∂a of a three-layer network against finite differences of R_1."""
    for seed in (7, 9, 13):
        net, x = random_network((3, 4, 3, 1), seed), positive_input(3, seed)
        rec = recursion(net, "gamma", series=Integral())
        a = net.activations(x)[1] + 0.1
        grown = a.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(rec.relevance(1, grown, graph=True)[0, 0], grown)
        step = 1e-5
        for i in range(a.shape[1]):
            shift = step * torch.eye(a.shape[1], dtype=a.dtype)[i]
            with torch.no_grad():
                up, down = (rec.relevance(1, a + sign * shift)[0, 0] for sign in (1, -1))
            assert gradient[0, i].item() == pytest.approx((up - down).item() / (2 * step), abs=1e-7)


def test_the_series_converges_to_the_integral_on_a_smooth_segment():
    """And its terms fall by a constant ratio: h has one pole on the line of the segment.

    h_0 = d (2d + 1/2) / (2d + 1) for d = x - 1, as in test_degrees.py; the pole is at d = -1/2,
    and Δ = d, so that terms fall by 2d.
    """
    net = network([[[1.0], [1.0]], [[1.0, 1.0]]], [[-1.0, 0.0], [-0.5]])
    x = tensor([[1.2]])
    with torch.no_grad():
        whole = expansion(recursion(net, "z+", series=Integral()), 0, x)
        parts = expansion(recursion(net, "z+", series=Taylor(7)), 0, x)
    assert whole.unit.tolist() == parts.unit.tolist() == [0, 1]
    shares = parts.shares[0, :, 0]
    ratios = shares[2:] / shares[1:-1]
    print("ratio of each term to the one before:", ratios.tolist())
    assert spread(ratios, torch.full_like(ratios, -0.4)) < 1e-6
    left = whole.shares[0, 0, 0] - shares.cumsum(0)
    assert (left.abs()[1:] < 0.41 * left.abs()[:-1]).all()
    # What is left is the geometric rest of the series.
    assert left[-1].item() == pytest.approx((shares[-1] * -0.4 / 1.4).item(), rel=1e-4)


def test_knots_are_all_the_kinks():
    """A dense scan of the gates changes where the knots say, and nowhere else."""
    net = random_network((4, 6, 5, 1), 3, "positive")
    roots, anchors = positive_input(4, 1, n=20) - 1.5, positive_input(4, 2, n=20) + 0.5
    s = knots(net, 0, roots, anchors - roots)
    assert (s.diff(dim=1) >= 0).all()
    assert (s[:, 0] == 0).all()
    assert (s[:, -1] == 1).all()
    grid = torch.linspace(0, 1, 20001, dtype=torch.float64)
    for row in range(20):
        points = roots[row] + grid.unsqueeze(1) * (anchors[row] - roots[row])
        pattern = torch.cat([a > 0 for a in net.activations(points)[1:]], 1)
        seen = grid[1:][(pattern[1:] != pattern[:-1]).any(1)]
        kinks = s[row][(s[row] > 0) & (s[row] < 1)]
        assert all((kinks - v).abs().min() < 1e-4 for v in seen)
        # Two kinks may lie in one cell of the scan, and a kink of a dead path changes its gate.
        assert len(seen) <= len(kinks) <= len(seen) + 2
    assert s.shape[1] > 4


@pytest.mark.parametrize("max_points", [7, 50, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_searched_roots_and_chunks(max_points):
    net, x = random_network((3, 4, 1), 9), positive_input(3, 9, n=2)
    finders = [RandomSearch(candidates=4, steps=4), recursion(net, "z+").plans[1].finder]
    whole = relevances(recursion(net, "z+", finders, series=Integral()), x)[0]
    assert whole.any(1).all()
    rec = recursion(net, "z+", finders, max_points=max_points, series=Integral())
    assert spread(relevances(rec, x)[0], whole) < 1e-11


def test_a_network_without_hidden_layer():
    net = Network(random_network((3, 1), 4).layers)
    x = positive_input(3, 4, n=5)
    f = net.forward(x)
    for rule in ("z+", "w2", "zero"):
        (r_0,) = relevances(recursion(net, rule, series=Integral()), x)
        assert spread(r_0.sum(1, keepdim=True), f) < 1e-14


def test_the_quadrature_rules_are_exact_for_polynomials():
    for weights, degree in ((_KRONROD, 22), (_GAUSS, 13)):
        for power in range(degree + 1):
            integral = sum(w * x**power for w, x in zip(weights, _NODES, strict=True))
            assert integral == pytest.approx(1 / (power + 1), rel=1e-14)


def test_a_pole_on_the_way_is_marked():
    """By hand: below the unit of -u_0 + 2 u_1 + 1 the step is (3 x + 2) / (3 x + 1), and the root
    of the first hidden unit is -1."""
    net = network([[[1.0], [2.0]], [[-1.0, 2.0]]], [[1.0, 1.0], [1.0]])
    result = dtd.DTD(net, rule="x", degree=math.inf).explain(tensor([[1.0]]), target=0)
    assert result.limits == [["unbounded"], ["none"]]
    # Inside another expansion it is known as well.
    inside = recursion(net, "x", series=Integral()).relevance_and_limits(0, tensor([[1.0]]), True)
    assert inside.limit_error.isinf().all()


def test_a_kink_that_is_not_found_is_marked():
    """Found by search: what is missed of R_0 shows in the ledger."""
    weights = [
        [[0.85, 2.09, 0.73], [-0.47, -0.32, -0.27], [0.03, 1.27, -0.57]],
        [[-1.05, 1.43, 2.36], [0.58, 0.12, 0.37], [1.0, -0.53, -0.64]],
        [[0.99, -0.87, 0.88]],
    ]
    net = network(weights, [[0.33, -0.06, -0.12], [0.33, 0.06, -0.19], [0.07]])
    x = tensor([[0.27, 0.37, 0.66]])
    result = dtd.DTD(net, rule="w2", degree="inf").explain(x, target=0)
    assert abs(result.ledger[0].remainder.item()) > 1e-6 * result.f.item()
    assert result.limits == [["unsettled"], ["none"], ["none"]]
    inside = recursion(net, "w2", series=Integral()).relevance_and_limits(0, x, graph=True)
    assert inside.limit_error.tolist() == [1.0]


def test_what_is_not_converged_above_is_not_converged_below(monkeypatch):
    """The integrals of layer 1 are inside those of layer 0."""
    net, x = random_network((3, 4, 3, 1), 7), positive_input(3, 7)
    shares = Integral.shares

    def doubtful(self, segments, graph):
        found = shares(self, segments, graph)
        if segments.start != 1:
            return found
        return found._replace(limit_error=torch.full_like(found.limit_error, 0.25))

    monkeypatch.setattr(Integral, "shares", doubtful)
    found = recursion(net, "z+", series=Integral()).relevance_and_limits(0, x, graph=True)
    assert found.relevance.any()
    assert found.limit_error.tolist() == [0.25]


@pytest.mark.parametrize("rule", ["z+", "w2", "x", "zero"])
def test_one_layer_is_integrated_gradients_from_the_root(rule):
    """Of a bare unit; ``zero`` starts at the origin, and its segment has a kink."""
    net = Network((Layer(torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([-0.4])),)).to(
        torch.float64
    )
    x = torch.tensor([[0.9, 0.3, 0.6]], dtype=torch.float64)
    result = dtd.DTD(net, rule=rule, degree="inf").explain(x, 0)
    baseline = result.parts[0].explanation.evidence[0][0].points[:, 0]
    # A rule of midpoints is off by one step where the gradient jumps.
    steps = 500
    integrated = IntegratedGradients(net.forward).attribute(
        x, baseline, 0, n_steps=steps, method="riemann_middle"
    )
    assert integrated.abs().max() > 0.1
    torch.testing.assert_close(result.attribution, integrated, rtol=3 / steps, atol=1e-9)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    ("rule", "bias"),
    [*product(["z+", "gamma", "x"], ["negative", "zero"]), ("z+", "positive")],
)
def test_gradients_below_the_output_are_those_of_differentiation(rule, bias, relu):
    formula = recursion(
        random_network((3, 5, 1), 12, bias).with_output_relu(relu), rule, series=Integral()
    )
    _check_gradients(formula, positive_input(3, 12, n=3))


def _check_gradients(formula, x):
    differentiated = replace(formula, forward_passes=False)
    seen = 0
    for l, a in enumerate(formula.explained.activations(x)[:-1]):
        a.requires_grad_()
        got, want = (rec.relevance_and_limits(l, a, True) for rec in (formula, differentiated))
        # Where a pole is on the way, the integral is infinite and its numbers mean nothing.
        rows = want.limit_error.isnan()
        assert torch.equal(rows, got.limit_error.isnan())
        slopes = [torch.autograd.grad(r.relevance[rows].square().sum(), a)[0] for r in (got, want)]
        assert spread(got.relevance[rows].detach(), want.relevance[rows].detach()) < 1e-12
        assert spread(*slopes) < 1e-12
        seen += int(slopes[1].any())
    assert seen, "there is something to decompose"


def test_gradients_below_the_output_of_a_convolution():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 1)
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.copy_(-0.3 * parameter.abs())
    x = torch.rand(2, 1, 3, 3, dtype=torch.float64)
    formula, differentiated = (
        dtd.DTD(
            model,
            rule="z+",
            degree=math.inf,
            input_shape=(1, 3, 3),
            domain=dtd.Domain.nonnegative(9),
            forward_passes=forward,
        )
        .explain(x)
        .attribution
        for forward in (True, False)
    )
    assert differentiated.abs().max() > 1e-3
    assert spread(formula, differentiated) < 1e-12
