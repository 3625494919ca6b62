"""The rules' directions and the closed-form root, against loops written from the table."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from cases import alone, box, positive_input, random_network, recursion, rule_named, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer
from dtd.roots import ClosedForm
from dtd.roots.contract import RootProblem, Status
from dtd.roots.line import LineSearch
from dtd.roots.location import Anywhere, OnKink
from dtd.roots.random_search import RandomSearch
from dtd.rules import RULES
from dtd.rules.rule import Divisor, FactorRule, direction
from literal import Literal

DIRECTIONS = ["z+", "w2", "zB", "gamma", "x"]
LOW, HIGH = -0.5, 2.0
EXACT = 1e-13


def layer_of(units=6, inputs=4, seed=0, bias="negative"):
    """One layer, with some weights zero: the table treats them as w >= 0, and neither side."""
    layer = random_network((inputs, units), seed, bias).layers[0]
    weight = layer.weight.clone()
    weight[0, 0] = weight[1, 2] = 0
    return Layer(weight, layer.bias)


def roots(layer, rule, a, gamma=0.5, domain=None):
    rule = rule_named(rule, gamma) if isinstance(rule, str) else rule
    domain = domain or box(a.shape[1], LOW, HIGH)

    def no_relevance(points):
        raise AssertionError("the closed form needs no relevance function")

    return ClosedForm()(
        RootProblem(a, layer, no_relevance, domain, rule, torch.Generator(), alone(layer))
    )


def literal(layer, rule, gamma=0.5):
    """All units of the layer: two layers, so that the lower one keeps all its rows."""
    above = [[1.0] * len(layer.bias)]
    return Literal(
        [layer.weight.tolist(), above],
        [layer.bias.tolist(), [0.0]],
        [rule, "x"],
        gamma=gamma,
        box=(LOW, HIGH),
    )


@pytest.mark.parametrize("name", RULES)
def test_products_are_those_of_weights_and_masks(name):
    layer, domain, a = layer_of(bias="positive"), box(4, LOW, HIGH), positive_input(4, 1, 3)
    rule = rule_named(name, 0.5)
    products = rule.products(a, layer, domain)
    for (factor, product), term in zip(products, rule.terms(a, layer, domain), strict=True):
        assert torch.equal(factor, term.factor)
        assert torch.equal(product.dense(), layer.weight * term.mask.dense())


def test_all_rules_are_here():
    assert set(RULES) == {*DIRECTIONS, "zero", "pinv"}


@pytest.mark.parametrize("rule", [*DIRECTIONS, "zero", "pinv"])
def test_directions_and_projections(rule):
    layer, a = layer_of(), positive_input(4, 1, n=5)
    terms = rule_named(rule, 0.5).terms(a, layer, box(4, LOW, HIGH))
    divisor = Divisor(terms)
    v, along, size = direction(terms), divisor.value, divisor.size
    assert v.shape == (5, 6, 4)
    reference = literal(layer, rule)
    for b, anchor in enumerate(a.tolist()):
        for j, w in enumerate(layer.weight.tolist()):
            want = [float(x) for x in reference.direction(0, reference.activations(anchor)[0], j)]
            parts = [p * q for p, q in zip(w, want, strict=True)]
            assert v[b, j].tolist() == pytest.approx(want, rel=EXACT, abs=EXACT)
            assert along[b, j].item() == pytest.approx(math.fsum(parts), rel=EXACT, abs=EXACT)
            sizes = math.fsum(abs(part) for part in parts)
            assert size[b, j].item() == pytest.approx(sizes, rel=EXACT, abs=EXACT)


@pytest.mark.parametrize("rule", [*DIRECTIONS, "zero", "pinv"])
def test_a_rules_terms_have_disjoint_supports(rule):
    """So that |w v| is the sum of the terms' sizes."""
    terms = rule_named(rule).terms(positive_input(4, 1), layer_of(), box(4, LOW, HIGH))
    assert (sum((term.mask.dense() != 0).int() for term in terms) <= 1).all()


@pytest.mark.parametrize(
    ("rules", "finders", "status"),
    [
        (["w2", "z+"], [ClosedForm(), ClosedForm()], Status.FOUND),
        (["z+", "w2"], [ClosedForm(), ClosedForm()], Status.APPROXIMATE),
        (["z+", "z+"], [ClosedForm(), RandomSearch()], Status.APPROXIMATE),
        (["z+", "gamma"], [ClosedForm(), LineSearch()], Status.FOUND),
    ],
)
def test_the_layer_above_says_whether_a_zero_of_z_is_one_of_the_relevance(rules, finders, status):
    rec = recursion(random_network((3, 5, 1), 1, "positive"), rules, finders)
    a = positive_input(3, 1, n=3)
    got = rec.plans[0].finder(rec.problem(0, a))
    assert got.contributes.any()
    assert (got.status[got.contributes] == status).all()
    assert torch.equal(got.certified, got.status == Status.FOUND)
    residual = rec.problem(0, a).relevance(got.points[got.contributes])
    own = got.contributes.nonzero()[:, 1:]
    if status == Status.FOUND:
        assert residual.gather(1, own).abs().max() < 1e-12


@pytest.mark.parametrize("bias", ["negative", "positive", "zero"])
@pytest.mark.parametrize("rule", [*DIRECTIONS, "zero", "pinv"])
def test_roots_and_statuses(rule, bias):
    layer, a = layer_of(bias=bias), positive_input(4, 2, n=8)
    got = roots(layer, rule, a)
    reference = literal(layer, rule)
    expanded = Status.APPROXIMATE if rule in ("zero", "pinv") else Status.FOUND
    seen = set()
    for b, anchor in enumerate(a.tolist()):
        for j in range(len(layer.bias)):
            want = reference.root(0, reference.activations(anchor)[0], j)
            status = got.status[b, j].item()
            seen.add(status)
            if want is None:
                assert status in (Status.INACTIVE, Status.DEGENERATE)
            else:
                assert status == expanded
                assert got.points[b, j].tolist() == pytest.approx(
                    [float(x) for x in want], rel=1e-11, abs=1e-11
                )
    assert {Status.INACTIVE, expanded} <= seen
    assert (got.contributes == (got.status <= Status.APPROXIMATE)).all()
    assert got.points.isfinite().all()
    assert got.location == (Anywhere() if rule in ("zero", "pinv") else OnKink())


@pytest.mark.parametrize("bias", ["negative", "positive", "zero"])
@pytest.mark.parametrize("rule", DIRECTIONS)
def test_the_root_is_a_zero_of_the_pre_activation(rule, bias):
    layer, a = layer_of(units=20, bias=bias), positive_input(4, 3, n=20)
    got = roots(layer, rule, a)
    z = (got.points * layer.weight).sum(-1) + layer.bias
    # Rounding is relative to the largest numbers that meet in z, at the anchor or the root.
    size = (a.unsqueeze(1).abs() + got.points.abs()) * layer.weight.abs()
    tolerance = 1e-15 * (size.sum(-1) + layer.bias.abs())
    assert (z.abs() <= 8 * tolerance)[got.contributes].all()
    assert got.contributes.sum() > 50


def test_gamma_of_zero_is_x():
    layer, a = layer_of(), positive_input(4, 4, n=5)
    gamma, x = roots(layer, "gamma", a, gamma=0.0), roots(layer, "x", a)
    assert torch.equal(gamma.points, x.points)
    assert torch.equal(gamma.status, x.status)


def test_large_gamma_approaches_z_plus():
    layer, a = layer_of(), positive_input(4, 4, n=5)
    want = roots(layer, "z+", a)
    differences = []
    for gamma in (1e2, 1e4, 1e6):
        got = roots(layer, "gamma", a, gamma=gamma)
        differences.append((got.points - want.points)[want.contributes].abs().max().item())
    assert differences[0] > 1e-4
    for coarse, fine in pairwise(differences):
        assert fine == pytest.approx(coarse / 100, rel=0.05)  # the error is 1 / gamma


@pytest.mark.parametrize("gamma", [-0.1, math.inf, math.nan, 1e12, 1e300])
def test_gamma_that_is_not_a_number_from_zero_up(gamma):
    with pytest.raises(InvalidSetting, match="gamma"):
        rule_named("gamma", gamma)


# Statuses.


def test_inactive_units():
    layer = Layer(tensor([[1.0, 1.0]] * 3), tensor([-3.0, -2.0, -1.0]))
    for rule in [*DIRECTIONS, "zero", "pinv"]:
        status = roots(layer, rule, tensor([[1.0, 1.0]])).status
        # z = 0 is inactive: there is nothing to decompose.
        assert status[0, :2].tolist() == [Status.INACTIVE, Status.INACTIVE]
        assert status[0, 2] in (Status.FOUND, Status.APPROXIMATE)


@pytest.mark.parametrize(
    ("rule", "weight", "bias", "anchor"),
    [
        ("z+", [[-1.0, -2.0]], 9.0, [1.0, 1.0]),
        ("z+", [[1.0, -2.0]], 9.0, [0.0, 1.0]),
        ("x", [[1.0, -1.0]], 1.0, [2.0, 2.0]),
        ("x", [[0.1, 0.2, -0.3]], 1.0, [1.0, 1.0, 1.0]),  # not zero, but rounding
        ("x", [[1.0, 1.0]], 1.0, [0.0, 0.0]),
        ("gamma", [[1.0, -1.5]], 3.0, [2.0, 2.0]),
        ("w2", [[0.0, 0.0]], 1.0, [2.0, 2.0]),
        ("zB", [[1.0, -1.0]], 9.0, [LOW, HIGH]),
        ("zB", [[0.0, 0.0]], 1.0, [1.0, 1.0]),
    ],
)
def test_a_direction_parallel_to_the_hyperplane_is_degenerate(rule, weight, bias, anchor):
    layer = Layer(tensor(weight), tensor([bias]))
    a = tensor([anchor]).requires_grad_()
    got = roots(layer, rule, a)
    assert got.status.tolist() == [[Status.DEGENERATE]]
    assert not got.contributes.any()
    (gradient,) = torch.autograd.grad(got.points.sum(), a)
    assert gradient.isfinite().all()


def test_nearly_parallel_is_not_degenerate():
    layer = Layer(tensor([[1.0, -1.0]]), tensor([1.0]))
    a = tensor([[2.0, 2.0 - 1e-10]])
    assert roots(layer, "x", a).status.tolist() == [[Status.FOUND]]
    assert roots(layer, "x", 1e-9 * a).status.tolist() == [[Status.FOUND]]


def test_degeneracy_does_not_depend_on_the_scale_of_the_anchor():
    layer, a = layer_of(bias="zero"), positive_input(4, 5, n=5)
    for rule in ("z+", "gamma", "x"):
        want = roots(layer, rule, a)
        got = roots(layer, rule, 2.0**-300 * a)
        assert torch.equal(got.status, want.status)
        torch.testing.assert_close(got.points * 2.0**300, want.points, rtol=1e-12, atol=1e-12)


# What is special about each rule.


@pytest.mark.parametrize("bias", ["negative", "zero"])
def test_z_plus_roots_are_admissible(bias):
    """0 <= t <= 1 for b <= 0, because z_j <= w_j v_j: the root stays in the orthant, on the
    segments towards the axes."""
    layer, a = layer_of(units=20, bias=bias), positive_input(4, 6, n=30)
    got = roots(layer, "z+", a)
    points = got.points[got.contributes]
    slack = 1e-15
    assert len(points) > 50
    assert (points >= -slack).all()
    assert (points <= a.max() + slack).all()
    assert Domain.nonnegative(4).contains(points, slack).all()


def test_z_plus_roots_need_not_be_admissible_for_positive_bias():
    """f = x + 1 has no root at x >= 0."""
    got = roots(Layer(tensor([[1.0]]), tensor([1.0])), "z+", tensor([[2.0]]))
    assert got.points.item() == pytest.approx(-1.0)


def test_z_box_roots_stay_in_the_box():
    """If the corner that lowers z_j most has z_j <= 0, which b <= 0 with low <= 0 <= high
    guarantees, the segment to that corner has its zero at 0 <= t <= 1."""
    generator = torch.Generator().manual_seed(7)
    size = HIGH - LOW
    a = LOW + size * torch.rand(40, 4, generator=generator, dtype=torch.float64)
    layer = layer_of(units=20, bias="negative")
    domain = box(4, LOW, HIGH)
    got = roots(layer, "zB", a, domain=domain)
    # Coordinates without weight do not matter to z_j, and move towards zero, inside the box.
    assert got.contributes.sum() > 100
    assert domain.contains(got.points[got.contributes], 1e-14).all()


def test_z_box_roots_leave_the_box_only_where_z_has_no_zero_in_it():
    layer, domain = layer_of(units=20), box(4, LOW, HIGH)
    layer = Layer(layer.weight, layer.bias + 4)
    generator = torch.Generator().manual_seed(7)
    a = LOW + (HIGH - LOW) * torch.rand(40, 4, generator=generator, dtype=torch.float64)
    got = roots(layer, "zB", a, domain=domain)
    corner = torch.where(layer.weight > 0, LOW, HIGH)
    lowest = (layer.weight * corner).sum(1) + layer.bias
    assert 0 < (lowest > 0).sum() < 20
    inside = domain.contains(got.points, 1e-14)
    active = got.contributes
    assert torch.equal(inside[active], (lowest <= 0).expand_as(inside)[active])


def test_w2_is_the_nearest_root():
    layer, a = layer_of(units=20, bias="positive"), positive_input(4, 8, n=20)
    nearest = roots(layer, "w2", a)
    distance = (nearest.points - a.unsqueeze(1)).norm(dim=-1)
    z = layer.preactivation(a)
    expected = z / layer.weight.norm(dim=1)
    active = nearest.contributes
    torch.testing.assert_close(distance[active], expected[active], rtol=1e-12, atol=1e-12)
    for rule in ("z+", "gamma", "x", "zB"):
        other = roots(layer, rule, a)
        both = active & other.contributes
        farther = (other.points - a.unsqueeze(1)).norm(dim=-1)
        assert (farther >= distance * (1 - 1e-12))[both].all()


def test_pinv_of_a_wide_layer_is_the_nearest_common_zero():
    """It solves every row, and a move to any other solution is orthogonal to the one made."""
    layer, a = layer_of(units=3, inputs=5), positive_input(5, 9, n=6)
    points = roots(layer, "pinv", a).points
    assert (points - points[:, :1]).abs().max() == 0  # shared by the units
    root = points[:, 0]
    assert layer.preactivation(root).abs().max() < 1e-13
    *_, basis = torch.linalg.svd(layer.weight)
    null_space = basis[3:]
    assert ((a - root) @ null_space.T).abs().max() < 1e-13


def test_pinv_of_a_tall_layer_is_the_least_squares_point():
    layer, a = layer_of(units=7, inputs=3), positive_input(3, 9, n=6)
    root = roots(layer, "pinv", a).points[:, 0]
    z = layer.preactivation(root)
    assert z.abs().max() > 1e-3  # no common zero
    # The normal equations: the residual is orthogonal to the columns.
    assert (z @ layer.weight).abs().max() < 1e-12


def test_pinv_of_rows_that_depend_on_each_other():
    layer = Layer(tensor([[1.0, 2.0, 0.5], [2.0, 4.0, 1.0]]), tensor([-0.5, -1.0]))
    root = roots(layer, "pinv", tensor([[1.0, 1.0, 1.0]])).points[0, 0]
    assert layer.preactivation(root.unsqueeze(0)).abs().max() < 1e-13


class WrongMask(FactorRule):
    name = "wrong"
    given = None

    def mask(self, weight):
        return self.given(weight)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda w: w.sum(1), r"shape \(6,\)"),
        (lambda w: w.sum(), r"shape \(\)"),
        (lambda w: 1, "no tensor"),
    ],
)
def test_a_mask_that_is_none_is_refused(given, said):
    WrongMask.given = staticmethod(given)
    words = rf"WrongMask\.mask={said}: allowed is a number for each weight, shape \(6, 4\)"
    with pytest.raises(InvalidSetting, match=words):
        roots(layer_of(), WrongMask(), positive_input(4, 2, n=3))


def test_zero_expands_everything_at_the_origin():
    got = roots(layer_of(), "zero", positive_input(4, 2, n=3))
    assert (got.points == 0).all()


@pytest.mark.parametrize("rule", [*DIRECTIONS, "zero", "pinv"])
def test_roots_are_differentiable_in_the_anchor(rule):
    """The exact dependence of the root on its anchor, also of second order."""
    layer, a = layer_of(units=3, seed=1), positive_input(4, 10, n=2)

    def expanded(anchor):
        got = roots(layer, rule, anchor)
        return got.points[got.contributes]

    assert len(expanded(a)) > 0
    assert torch.autograd.gradcheck(expanded, a.requires_grad_(), atol=1e-8)
    assert torch.autograd.gradgradcheck(expanded, a, atol=1e-6)


def test_domains():
    assert box(3).is_box
    assert not Domain.real(3).is_box
    assert not Domain.nonnegative(3).is_box
    points = tensor([[0.0, 1.0], [-1e-9, 0.5], [0.5, 1.1]])
    assert box(2).contains(points).tolist() == [True, False, False]
    assert box(2).contains(points, 1e-8).tolist() == [True, True, False]
    assert Domain.nonnegative(2).contains(points).tolist() == [True, False, True]
    assert Domain.real(2).contains(points).all()
