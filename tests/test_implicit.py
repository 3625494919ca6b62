"""How searched roots move with their anchors, against the search itself at displaced anchors.

The far end of a search line is held fixed: :class:`Pinned` makes the candidates of a search be
one given point, whatever the anchor. The refined search finds s down to rounding, so a central
difference with step 1e-5 is good to about 1e-10, and a second one with step 1e-3, by a stencil
of fourth order, to about 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from cases import alone, positive_input, random_network, recursion, relevances, tensor
from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.relevance.recursion import Recursion
from dtd.roots import ClosedForm
from dtd.roots.contract import RootFinder, RootProblem
from dtd.roots.implicit import moving_roots
from dtd.roots.moving_lines import MovingSegments
from dtd.roots.random_search import RandomSearch
from dtd.rules import X

ONE_CANDIDATE = RandomSearch(candidates=1, steps=20)


@dataclass(frozen=True)
class Pinned(RootProblem):
    """One candidate, the same point for every anchor."""

    far_end: Tensor

    def draw_normal(self, *shape):
        # Candidates are a + sigma * draw, with sigma 1.
        assert shape == (1, self.anchors.shape[1])
        return (self.far_end - self.anchors).unsqueeze(1)


def searched_root(h, far_end, anchor):
    """The refined roots of a scalar function between ``far_end`` and the anchors (B, d)."""
    size = anchor.shape[1]
    layer = Layer(torch.zeros(1, size, dtype=anchor.dtype), torch.zeros(1, dtype=anchor.dtype))
    problem = Pinned(
        anchor, layer, h, Domain.real(size), X(), torch.Generator(), alone(layer), far_end
    )
    got = ONE_CANDIDATE(problem)
    assert got.contributes.all()
    far_ends = far_end.expand_as(anchor).unsqueeze(1)
    torch.testing.assert_close(got.line.far_ends, far_ends, rtol=0, atol=1e-15)
    return got.points[:, 0]


def slope_of(h):
    """The gradient on the side of the anchor: a little away from the kink, then exact."""

    def slope(anchors, roots, graph):
        with torch.enable_grad():
            where = roots + 2.0**-40 * (anchors - roots)
            (gradient,) = torch.autograd.grad(h(where).sum(), where, create_graph=True)
        return gradient

    return slope


def linear(a):
    """A kink on a plane, as of a pre-activation."""
    return (a @ tensor([[0.8], [0.6], [-0.3]]) - 0.3).relu()


def curved(a):
    """A kink on an ellipsoid."""
    return ((a**2) @ tensor([[1.0], [0.5], [2.0]]) + a[:, :1] * a[:, 1:2] - 1).relu()


def signed(a):
    """No kink: the relevance goes on below zero."""
    return (a[:, :1] * a[:, 1:2]).sin() + a[:, 2:] - 0.4


FUNCTIONS = [linear, curved, signed]
ANCHOR = tensor([[1.1, 0.9, 0.7]])
FAR_END = tensor([[-0.2, 0.3, -0.1]])


def segment(far_ends):
    """The lines with fixed far ends (N, d), as a search has them."""
    nothing = torch.empty(0)
    line = MovingSegments(nothing, far_ends.unsqueeze(1))
    pairs = torch.arange(len(far_ends))
    return line.curve(pairs, torch.zeros_like(pairs))


def moved(h, anchor):
    """The root as a differentiable function of the anchor."""
    with torch.no_grad():
        root = searched_root(h, FAR_END, anchor.detach())
        position = ((root - FAR_END)[:, 0] / (anchor - FAR_END)[:, 0]).detach()
    return moving_roots(anchor, position, segment(FAR_END), slope_of(h))


@pytest.mark.parametrize("h", FUNCTIONS)
def test_value_is_the_searched_root(h):
    root = searched_root(h, FAR_END, ANCHOR)
    torch.testing.assert_close(moved(h, ANCHOR.clone().requires_grad_()).detach(), root)
    assert h(root).abs().max() < 1e-14
    assert h(ANCHOR) > 0


@pytest.mark.parametrize("h", FUNCTIONS)
def test_first_derivative(h):
    got = torch.autograd.functional.jacobian(lambda a: moved(h, a), ANCHOR)[0, :, 0]
    step, columns = 1e-5, []
    for unit in torch.eye(3, dtype=torch.float64):
        plus = searched_root(h, FAR_END, ANCHOR + step * unit)
        minus = searched_root(h, FAR_END, ANCHOR - step * unit)
        columns.append((plus - minus)[0] / (2 * step))
    want = torch.stack(columns, dim=1)
    assert want.abs().max() > 0.1
    torch.testing.assert_close(got, want, rtol=0, atol=1e-9)


@pytest.mark.parametrize("h", FUNCTIONS)
def test_second_derivative(h):
    """Differentiating twice: the backward pass has a graph of its own."""
    weights = tensor([1.0, -2.0, 0.5])

    def along(a):
        return (moved(h, a)[0] * weights).sum()

    got = torch.autograd.functional.hessian(along, ANCHOR)[0, :, 0]
    step = 1e-3
    # f'(0) from f(-2s), f(-s), f(s), f(2s), in both directions.
    at, factor = tensor([-2, -1, 1, 2]), tensor([1, -8, 8, -1]) / 12
    along_axes = step * at[:, None, None] * torch.eye(3, dtype=torch.float64)
    places = ANCHOR + along_axes[:, None, :, None] + along_axes[None, :, None, :]
    values = searched_root(h, FAR_END, places.flatten(0, 3)) @ weights
    want = torch.einsum("m,n,mnik->ik", factor, factor, values.view(4, 4, 3, 3)) / step**2
    assert want.abs().max() > 0.05
    torch.testing.assert_close(got, want, rtol=0, atol=1e-7)


def test_third_derivatives_exist_and_are_symmetric():
    def third(a):
        return torch.autograd.functional.hessian(
            lambda b: moved(curved, b).sum(), a, create_graph=True
        )[0, :, 0]

    got = torch.autograd.functional.jacobian(third, ANCHOR)[:, :, 0]
    assert got.isfinite().all()
    assert got.abs().max() > 1e-3
    torch.testing.assert_close(got, got.transpose(0, 1))
    torch.testing.assert_close(got, got.transpose(1, 2))


def test_a_root_inside_the_zero_set_keeps_its_place_on_the_line():
    """g = 0 there: s is constant, and no NaN comes of the division."""
    anchor = ANCHOR.clone().requires_grad_()
    position = tensor([0.05])
    assert linear(FAR_END + 0.05 * (ANCHOR - FAR_END)) == 0
    jacobian = torch.autograd.functional.jacobian(
        lambda a: moving_roots(a, position, segment(FAR_END), slope_of(linear)), anchor
    )[0, :, 0]
    torch.testing.assert_close(jacobian, 0.05 * torch.eye(3, dtype=torch.float64))


def test_rows_are_independent():
    anchors = torch.cat([ANCHOR, ANCHOR + 0.2])
    far_ends, positions = FAR_END.expand(2, 3), tensor([0.4, 0.6])
    a = anchors.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        moving_roots(a, positions, segment(far_ends), slope_of(curved))[0].sum(), a
    )
    assert (gradient[0] != 0).any()
    assert (gradient[1] == 0).all()


# In the recursion. A finder whose far ends are fixed points makes the hidden relevance a plain
# function of its anchor, which finite differences may probe.


@dataclass(frozen=True)
class FixedFarEnds(RootFinder):
    """The refined random search, with one far end for all anchors and units."""

    far_end: tuple[float, ...] = ()
    name = "fixed"

    def __call__(self, problem):
        return ONE_CANDIDATE(
            Pinned(
                problem.anchors.detach(),
                problem.layer,
                problem.relevance,
                problem.domain,
                problem.rule,
                problem.generator,
                problem.regions,
                tensor([self.far_end]),
            )
        )

    def evaluations(self, units):
        return ONE_CANDIDATE.evaluations(units)


def central_jacobian(function, a, step=1e-5):
    """∂f_i/∂a_k at a (1, d), of a function of rows."""
    moves = step * torch.eye(a.shape[1], dtype=torch.float64)
    with torch.no_grad():
        plus, minus = function(torch.cat([a + moves, a - moves])).chunk(2)
    return (plus - minus).T / (2 * step)


def hidden_searched(rule, bias, seed):
    """3-4-3-1: the middle step is searched, the others are closed forms."""
    net = random_network((3, 4, 3, 1), seed, bias)
    # Near the origin, where the relevance of the layer above is zero or changes its sign.
    finders = [ClosedForm(), FixedFarEnds((-0.05, 0.02, -0.03, 0.04)), ClosedForm()]
    return recursion(net, rule, finders)


SEARCHED = [
    ("gamma", "positive", 38),
    ("x", "positive", 38),
    ("w2", "negative", 9),
    ("w2", "negative", 28),
    ("z+", "negative", 9),
]


@pytest.mark.parametrize(("rule", "bias", "seed"), SEARCHED)
def test_derivative_of_a_searched_hidden_relevance(rule, bias, seed):
    """∂R_1/∂a, with ∂ã/∂a through the search, against differences of R_1."""
    rec = hidden_searched(rule, bias, seed)
    a = rec.network.forward(positive_input(3, seed), 0, 1) + 0.1  # away from the kinks of a_1
    roots = rec.plans[1].finder(rec.problem(1, a))
    assert roots.contributes.any()
    got = torch.autograd.functional.jacobian(lambda p: rec.relevance(1, p, graph=True), a)[0, :, 0]
    want = central_jacobian(lambda p: rec.relevance(1, p), a)
    assert want.abs().max() > 0.1
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("rule", "bias", "seed"), SEARCHED)
def test_input_relevance_over_a_searched_hidden_layer(rule, bias, seed):
    """R_0 from closed-form roots of searched relevances, against differences of R_1."""
    rec = hidden_searched(rule, bias, seed)
    x = positive_input(3, seed)
    want = nested_by_differences(rec, x)
    assert want.abs().max() > 1e-2
    torch.testing.assert_close(relevances(rec, x)[0], want, rtol=1e-5, atol=1e-6)


def nested_by_differences(rec: Recursion, x: Tensor) -> Tensor:
    """R_0 with the closed-form root written out, and the gradient of h_j by differences.

    At x̃ + ε (x - x̃) with ε = 1e-4, far from the kink beside the step 1e-6; the two terms of
    Richardson's rule leave O(ε²).
    """
    roots = rec.plans[0].finder(rec.problem(0, x))
    total = torch.zeros_like(x)
    for j in roots.contributes[0].nonzero().flatten().tolist():
        root = roots.points[:, j]

        def gradient(epsilon, root=root, j=j):
            point = root + epsilon * (x - root)
            return central_jacobian(lambda p: rec.upper(0, p)[:, j : j + 1], point, 1e-6)

        total += (2 * gradient(1e-4) - gradient(2e-4)) * (x - root)
    return total


def test_far_ends_of_random_candidates_are_held_fixed():
    """What the recursion differentiates for ``RandomSearch`` itself: its candidates are a + σn,
    but a line's far end does not move with its anchor."""
    net = random_network((3, 4, 1), 39, "positive")
    finder = RandomSearch(candidates=30, steps=20)
    rec = recursion(net, "gamma", [ClosedForm(), finder], seed=2)
    a = net.forward(positive_input(3, 39), 0, 1) + 0.1
    roots = finder(rec.problem(1, a))
    assert roots.contributes.all()
    far_end = roots.line.far_ends[0, 0]
    pinned = recursion(net, "gamma", [ClosedForm(), FixedFarEnds(tuple(far_end.tolist()))])
    got = torch.autograd.functional.jacobian(lambda p: rec.relevance(1, p, graph=True), a)[0, :, 0]
    want = central_jacobian(lambda p: pinned.relevance(1, p), a)
    assert want.abs().max() > 0.1
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-7)
