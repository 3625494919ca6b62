"""The random search: the seed notebook's own, the contract, and refinement to the boundary."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from cases import alone, positive_input, random_network, recursion, relevances, spread, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Layer, Network
from dtd.relevance.plan import Plan
from dtd.relevance.recursion import Recursion
from dtd.roots import ClosedForm
from dtd.roots.contract import RootProblem, Status
from dtd.roots.location import OnBoundary
from dtd.roots.random_search import RandomSearch
from dtd.rules import X, ZPlus

# The seed notebook, word for word where it computes something.


def notebook_layers():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        layer1, layer2 = nn.Linear(3, 5), nn.Linear(5, 1)
    for layer in (layer1, layer2):
        layer.bias.data.clamp_(max=0)
    layer2.weight.data = 10 * layer2.weight.data.abs()
    return layer1, layer2


def notebook_relevance(layers, x):
    """R_1 at the batch x: gradient at the z+ root of the output, times the distance to it."""
    layer1, layer2 = layers
    hidden = layer1(x).relu()
    weight = layer2.weight[0]
    direction = hidden * (weight >= 0)
    output = layer2(hidden)
    step = output / (direction @ weight).unsqueeze(1)
    hidden_root = (hidden - step * direction).detach().requires_grad_()
    output_root = layer2(hidden_root)
    (gradient,) = torch.autograd.grad(output_root.sum(), hidden_root)
    # Where the output is zero there is nothing to decompose (and 0/0 in the step).
    return torch.where(output > 0, gradient * (hidden - hidden_root), 0).detach()


def notebook_search(layers, x, j, generator):
    assert x.size(0) == 1
    x_search = x + torch.randn(1000, x.size(1), generator=generator)
    rel_hidden_search = notebook_relevance(layers, x_search)
    zeros = (rel_hidden_search[:, j] == 0.0).sum().item()
    idx = rel_hidden_search[:, j].abs().argmin()
    steps = torch.linspace(0, 1, 100).view(-1, 1)
    x_line_search = x_search[idx] + steps * (x[0] - x_search[idx]).unsqueeze(0)
    rel_hidden_line_search = notebook_relevance(layers, x_line_search)
    hits = (rel_hidden_line_search[:, j] <= 1e-5).nonzero()
    return zeros, (x_line_search[hits.max()] if len(hits) else None)


@pytest.fixture
def notebook():
    """The layers, the input, and the generator that has drawn it."""
    generator = torch.Generator().manual_seed(3)
    x = (0.25 * torch.randn(1, 3, generator=generator) + 3).clamp(min=0)
    return notebook_layers(), x, generator


def notebook_recursion(layers, finder, generator):
    net = Network(tuple(Layer(linear.weight.detach(), linear.bias.detach()) for linear in layers))
    steps = tuple(
        Plan(ZPlus(), each, Domain.real(width), generator)
        for each, width in ((finder, 3), (ClosedForm(), 5))
    )
    return Recursion(net, steps, 10**6)


def search(rec, a, start=0):
    return rec.plans[start].finder(rec.problem(start, a))


def test_notebook_numbers(notebook):
    layers, x, generator = notebook
    rec = notebook_recursion(layers, RandomSearch(refine=False), generator)
    assert rec.network.forward(x).item() == pytest.approx(2.9342537, rel=1e-7)
    want = torch.tensor([[2.1210673, 0.3255214, 0, 0, 0.4876651]])
    torch.testing.assert_close(notebook_relevance(layers, x), want, rtol=1e-6, atol=0)
    with torch.no_grad():
        hidden = rec.relevance(1, rec.network.forward(x, 0, 1))
    torch.testing.assert_close(hidden, want, rtol=1e-6, atol=0)


def test_notebook_roots(notebook):
    layers, x, generator = notebook
    got = search(notebook_recursion(layers, RandomSearch(refine=False), generator), x)
    nothing = Status.INACTIVE
    status = [Status.FOUND, Status.NOT_FOUND, nothing, nothing, Status.FOUND]
    assert got.status.tolist() == [status]
    assert got.points.dtype == torch.float32
    for j in (0, 1, 4):
        zeros, root = notebook_search(layers, x, j, generator.clone_state())
        assert zeros == {0: 18, 1: 0, 4: 4}[j]
        if root is None:
            assert status[j] is Status.NOT_FOUND
        else:
            assert torch.equal(got.points[0, j], root)


def test_the_search_sees_eighteen_candidates_without_relevance(notebook):
    layers, x, generator = notebook
    rec = notebook_recursion(layers, RandomSearch(refine=False), generator)
    problem = rec.problem(0, x)
    candidates = x + problem.draw_normal(1000, 3)
    assert (problem.relevance(candidates) == 0).sum(0)[[0, 1, 4]].tolist() == [18, 0, 4]


def test_notebook_roots_distribute_nothing_until_they_are_refined(notebook):
    """The notebook's points lie strictly inside the zero set of h_j."""
    layers, x, generator = notebook
    with torch.no_grad():
        coarse = notebook_recursion(layers, RandomSearch(refine=False), generator).relevance(0, x)
        fine = notebook_recursion(layers, RandomSearch(), generator).relevance(0, x)
    assert (coarse == 0).all()
    assert (fine != 0).any()


# The contract, on functions whose zero sets are known.

PLANE = tensor([[0.8, 0.6], [-0.6, 0.8], [1.0, 0.0]])
OFFSET = tensor([0.3, -0.2, 0.5])


def hinges(points):
    """Three units, zero beyond the planes n·a <= c."""
    return (points @ PLANE.T - OFFSET).relu()


def problem(a, relevance=hinges, seed=0):
    layer = Layer(torch.zeros(1, a.shape[1], dtype=a.dtype), torch.zeros(1, dtype=a.dtype))
    generator = torch.Generator().manual_seed(seed)
    return RootProblem(a, layer, relevance, Domain.real(a.shape[1]), X(), generator, alone(layer))


ANCHORS = tensor([[1.0, 1.5], [2.0, 1.2], [0.9, 0.9], [1.5, 2.5], [-3.0, -3.0]])
SEARCH = RandomSearch(candidates=200, sigma=2.0, steps=50)


def test_statuses_and_shapes():
    got = SEARCH(problem(ANCHORS))
    assert got.points.shape == (5, 3, 2)
    assert got.status.shape == (5, 3)
    assert got.location == OnBoundary()
    assert not got.certified.any()
    nothing = hinges(ANCHORS) == 0
    assert nothing.any()
    assert ((got.status == Status.INACTIVE) == nothing).all()
    assert (got.status == Status.FOUND)[~nothing].all()
    assert got.points.isfinite().all()


def test_a_search_without_success_is_a_status():
    got = SEARCH(problem(ANCHORS, lambda a: (a**2).sum(1, keepdim=True) + 1))
    assert (got.status == Status.NOT_FOUND).all()
    assert not got.contributes.any()


def test_a_jump_over_zero_is_approximate():
    """h is -0.9 on one side and 1 on the other: refinement ends at the jump, which is no root."""
    got = SEARCH(problem(ANCHORS[:1], lambda a: torch.where(a[:, :1] < 0.5, -0.9, 1.0)))
    assert got.status.tolist() == [[Status.APPROXIMATE]]
    assert got.points[0, 0, 0].item() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("refine", [False, True])
def test_the_root_is_the_last_zero_before_the_anchor(refine):
    """Two zero sets on the way: the one nearer to the anchor counts."""

    def two_valleys(a):
        return (a[:, :1].abs() - 1).abs().sub(0.5).relu()  # zero for 0.5 <= |a| <= 1.5

    finder = RandomSearch(candidates=500, sigma=3.0, steps=400, refine=refine)
    # Candidates on the far side first, so that the scan crosses both valleys.
    for seed in range(20):
        got = finder(problem(tensor([[3.0]]), two_valleys, seed))
        far = got.line.far_ends.item()
        assert two_valleys(tensor([[far]])).item() == 0
        root = got.points.item()
        if refine:
            assert root == pytest.approx(1.5, abs=1e-12)
        else:
            assert 1.5 - (3 - far) / 399 <= root <= 1.5


def test_evaluations_are_counted():
    class Counting:
        def __init__(self):
            self.points = 0

        def __call__(self, points):
            self.points += len(points)
            return hinges(points)

    for refine in (False, True):
        counting = Counting()
        finder = RandomSearch(candidates=30, steps=11, refine=refine)
        got = finder(problem(ANCHORS, counting))
        assert counting.points == len(ANCHORS) * finder.evaluations(3)
        assert got.evaluations == finder.evaluations(1)  # of one unit


@pytest.mark.parametrize(
    "settings", [{"candidates": 0}, {"sigma": 0.0}, {"steps": 1}, {"tol": -1.0}, {"tol": 1.0}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidSetting, match=next(iter(settings))):
        RandomSearch(**settings)


def test_nothing_of_the_callers_changes():
    a = ANCHORS.clone().requires_grad_()
    given = problem(a)
    state, global_state = given.generator.get_state(), torch.get_rng_state()
    got = SEARCH(given)
    assert torch.equal(a.detach(), ANCHORS)
    assert a.grad is None
    assert torch.equal(given.generator.get_state(), state)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not got.points.requires_grad
    assert torch.is_grad_enabled()


def test_the_recursion_leaves_the_global_generator_alone():
    rec = recursion(random_network((3, 4, 1), 11, "positive"), "z+", [SEARCH] * 2)
    state = torch.get_rng_state()
    relevances(rec, positive_input(3, 11))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_generator_gives_the_same_roots():
    first, again = SEARCH(problem(ANCHORS)), SEARCH(problem(ANCHORS))
    other = SEARCH(problem(ANCHORS, seed=1))
    assert torch.equal(first.points, again.points)
    assert torch.equal(first.status, again.status)
    assert not torch.equal(first.line.far_ends, other.line.far_ends)


def test_roots_do_not_depend_on_which_anchors_share_a_call():
    together = SEARCH(problem(ANCHORS))
    for row in range(len(ANCHORS)):
        alone = SEARCH(problem(ANCHORS[row : row + 1]))
        assert torch.equal(alone.status[0], together.status[row])
        # Matrix products of other shapes may round differently.
        torch.testing.assert_close(alone.points[0], together.points[row], rtol=0, atol=1e-14)


def test_candidates_do_not_depend_on_the_dtype():
    """They are drawn in float32 and converted."""
    single, double = problem(ANCHORS.float()), problem(ANCHORS)
    drawn = double.draw_normal(10, 2)
    assert drawn.dtype == torch.float64
    assert torch.equal(single.draw_normal(10, 2).double(), drawn)


# Refinement.


def test_refined_roots_lie_on_the_boundary_of_the_zero_set():
    got = SEARCH(problem(ANCHORS))
    far = got.line.far_ends
    for j in range(3):
        rows = got.status[:, j] == Status.FOUND
        root = got.points[rows, j]
        s = got.line.positions[rows, j : j + 1]
        assert torch.equal(root, far[rows, j] + s * (ANCHORS[rows] - far[rows, j]))
        assert (hinges(root)[:, j] <= 1e-15).all()
        nearer = root + 1e-12 * (ANCHORS[rows] - root)
        assert (hinges(nearer)[:, j] > 0).all()


def test_unrefined_roots_lie_on_the_walk():
    got = RandomSearch(candidates=200, sigma=2.0, steps=50, refine=False)(problem(ANCHORS))
    scan = torch.linspace(0, 1, 50, dtype=torch.float64)
    assert torch.isin(got.line.positions, scan).all()


def test_walks_show_what_was_tried():
    got = SEARCH(problem(ANCHORS))
    far = got.line.far_ends
    for b in range(len(ANCHORS)):
        for j in range(3):
            scan = got.scan.positions.expand(*got.status.shape, -1)[b, j]
            assert scan[[0, -1]].tolist() == [0, 1]
            points = far[b, j] + scan.unsqueeze(1) * (ANCHORS[b] - far[b, j])
            torch.testing.assert_close(
                got.scan.relevance[b, j], hinges(points)[:, j], rtol=1e-12, atol=1e-14
            )


def test_negative_relevance_has_the_roots_of_positive_relevance():
    positive, negative = SEARCH(problem(ANCHORS)), SEARCH(problem(ANCHORS, lambda a: -hinges(a)))
    assert torch.equal(positive.points, negative.points)
    assert torch.equal(positive.status, negative.status)
    assert torch.equal(positive.scan.relevance, -negative.scan.relevance)


def test_relevance_of_both_signs_in_one_call():
    signs = tensor([1.0, -1.0, 1.0])
    mixed = SEARCH(problem(ANCHORS, lambda a: signs * hinges(a)))
    assert torch.equal(mixed.points, SEARCH(problem(ANCHORS)).points)


def test_a_tolerance_of_zero_asks_for_exact_zeros():
    got = RandomSearch(candidates=200, sigma=2.0, steps=50, tol=0.0)(problem(ANCHORS))
    want = SEARCH(problem(ANCHORS))
    assert torch.equal(got.status == Status.INACTIVE, want.status == Status.INACTIVE)
    assert not (got.status == Status.NOT_FOUND).any()
    torch.testing.assert_close(got.points, want.points, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("tol", "refine"), [(1e-5, True), (0.2, False)])
def test_tolerance_is_relative_to_the_relevance_of_the_anchor(tol, refine):
    finder = RandomSearch(candidates=200, sigma=2.0, steps=50, tol=tol, refine=refine)
    want = finder(problem(ANCHORS))
    for scale in (2.0**40, 2.0**-40):
        got = finder(problem(ANCHORS, lambda a, scale=scale: scale * hinges(a)))
        assert torch.equal(got.points, want.points)
        assert torch.equal(got.status, want.status)


def test_refinement_reaches_the_zero_set_whatever_the_tolerance():
    """Also where the last point of the scan that counts as zero is not quite zero."""
    for tol in (1e-5, 0.02, 0.2):
        finder = RandomSearch(candidates=200, sigma=2.0, steps=50, tol=tol)
        got = finder(problem(ANCHORS))
        found = got.status == Status.FOUND
        assert found.any()
        assert (
            hinges(got.points.flatten(0, 1)).view(5, 3, 3).diagonal(dim1=1, dim2=2)[found].max()
            < 1e-14
        )


# In the recursion.


def searched(max_points=10**6, refine=True, candidates=20, steps=11):
    net = random_network((3, 4, 1), 39, "positive")
    finder = RandomSearch(candidates=candidates, sigma=1.0, steps=steps, refine=refine)
    return recursion(net, "z+", [finder, finder], seed=5, max_points=max_points)


@pytest.mark.parametrize(
    ("max_points", "few"),
    [
        (700, {"candidates": 4, "steps": 5}),
        *(pytest.param(n, {"candidates": 8}, marks=pytest.mark.exhaustive)
          for n in (1, 7, 100, 400)),
    ],
)  # fmt: skip
def test_searched_relevance_depends_neither_on_chunks_nor_on_the_samples_beside_it(max_points, few):
    x = positive_input(3, 1, n=2)
    whole = relevances(searched(**few), x)
    assert all((relevance != 0).any() for relevance in whole)
    alone = [relevances(searched(**few), row) for row in x.split(1)]
    for want, *got in zip(whole, *alone, strict=True):
        assert spread(torch.cat(got), want) < 1e-9
    chunked = relevances(searched(max_points=max_points, **few), x)
    for want, got in zip(whole, chunked, strict=True):
        assert spread(got, want) < 1e-9


def test_found_means_found_at_every_depth():
    rec, x = searched(), positive_input(3, 1, n=3)
    for layer, a in enumerate(rec.network.activations(x)[:2]):
        got = search(rec, a, layer)
        with torch.no_grad():
            at_anchor = rec.upper(layer, a)
            at_root = rec.upper(layer, got.points.flatten(0, 1)).view(
                len(a), at_anchor.shape[1], -1
            )
        residual = at_root.diagonal(dim1=1, dim2=2)
        found = got.status == Status.FOUND
        assert found.any()
        assert (residual.abs() <= 1e-5 * at_anchor.abs())[found].all()
        assert ((at_anchor == 0) == (got.status == Status.INACTIVE)).all()


def test_refinement_steps_back_to_the_first_point_of_the_walk():
    """Only the far end is in the zero set, and all points up to the last are within tol."""
    layer = Layer(tensor([[1.0]]), tensor([0.0]))
    finder = RandomSearch(candidates=1, sigma=1.0, steps=3, tol=0.6)
    anchor = tensor([[1.0]])
    base = problem(anchor)
    got = finder(replace(base, layer=layer, relevance=lambda a: (a - far_end(base)).abs()))
    assert got.status.tolist() == [[Status.FOUND]]
    assert got.points.item() == pytest.approx(far_end(base), abs=1e-15)


def far_end(base):
    """The only candidate around the anchor 1."""
    return 1.0 + base.draw_normal(1, 1).item()
