"""Markov chains: inside their cell, uniform, adapted in the warm-up only, and worth how much?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from cases import alone, box, positive_input, random_network, recursion, relevances, spread, tensor
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.explainer.explained import Explained
from dtd.explainer.output import Output
from dtd.networks.network import Layer
from dtd.regions.cell import Cell
from dtd.regions.gates import gates
from dtd.regions.region import Polytope, Regions
from dtd.relevance import Problem, recursive
from dtd.relevance.plan import Scheme
from dtd.roots import ClosedForm, HitAndRun, Metropolis
from dtd.roots.candidates import best_candidates
from dtd.roots.contract import RootProblem, Status
from dtd.roots.effective_sample_size import effective_sample_size
from dtd.roots.location import Anywhere
from dtd.rules import X
from dtd_cli.records.searches import chains_table
from test_cli import dtd_run

WIDTHS = (4, 6, 5, 2)
SAMPLERS = pytest.mark.parametrize("sampler", [HitAndRun, Metropolis])


def problem(a, net, start=0, domain=None, relevance=None, seed=0):
    """The search for the units of the next layer; their activation is the relevance."""
    layer = net.layers[start]
    regions = Regions(net, start, start + 1, torch.arange(len(layer.bias)))
    domain = domain or Domain.nonnegative(a.shape[1]).to(a.dtype)
    generator = torch.Generator().manual_seed(seed)
    return RootProblem(a, layer, relevance or layer, domain, X(), generator, regions)


def layer_problem(a, weight, bias, domain, seed=0):
    layer = Layer(tensor(weight), tensor(bias))
    generator = torch.Generator().manual_seed(seed)
    return RootProblem(a, layer, layer, domain, X(), generator, alone(layer))


def patterns_agree(net, start, points, anchors):
    pairs = zip(gates(net, start, points), gates(net, start, anchors), strict=True)
    return torch.cat([p == q for p, q in pairs], 1).all(1)


# The cell.


def test_chords_end_where_the_cell_ends():
    net = random_network(WIDTHS, 3)
    a = positive_input(4, 3, n=5)
    regions = Regions(net, 0, 1, torch.arange(6))
    cell = Cell(regions.polytope(a), box(4, 0.0, 2.0))
    rays = torch.randn(5, 60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = a.unsqueeze(1).expand_as(rays)
    backwards, forwards = cell.chord(points, rays)
    for sign, reach in ((-1, backwards), (1, forwards)):
        assert reach.isfinite().all()
        exact = torch.minimum(regions.exits(a, sign * rays), cell.bounds.exits(points, sign * rays))
        torch.testing.assert_close(reach, exact, rtol=1e-9, atol=0)
        way = sign * reach.unsqueeze(2) * rays
        assert cell.contains(points + (1 - 1e-7) * way).all()
        assert not cell.contains(points + (1 + 1e-7) * way).any()


def test_a_line_in_a_facet_ends_at_the_other_facets():
    region = Polytope(*(tensor(n) for n in ([[[1.0, 0.0], [0.0, -1.0]]], [[0.0, 3.0]], [], [])))
    cell = Cell(region, Domain(tensor([-1.0, -2.0]), tensor([5.0, 9.0])))
    backwards, forwards = cell.chord(tensor([[[0.0, 1.0]]]), tensor([[[0.0, 2.0]]]))
    assert (backwards.item(), forwards.item()) == (1.5, 1.0)


# Inside, always.


@SAMPLERS
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_every_state_lies_in_region_and_domain(sampler, seed, start):
    net = random_network(WIDTHS, seed)
    a = net.forward(positive_input(4, seed, n=5), stop=start)
    given = problem(a, net, start)
    states = sampler(chains=6, steps=60).sample(given).states
    assert states.shape == (5, 6, 60, a.shape[1])
    assert given.domain.contains(states).all()
    size = a.abs().amax(1)[:, None, None, None]
    reach = 2 * torch.where(size > 0, size, 1)
    assert ((states - a[:, None, None]).abs() <= reach).all()
    anchors = a[:, None, None].expand_as(states).flatten(0, 2)
    assert patterns_agree(net, start, states.flatten(0, 2), anchors).all()


@SAMPLERS
def test_chains_leave_a_facet_however_many_activations_are_zero(sampler):
    """At a vertex of 30 facets all but one proposal in 2^30 would leave the domain."""
    net = random_network((32, 8, 1), 0)
    a = torch.zeros(3, 32, dtype=torch.float64)
    a[:, :2] = positive_input(2, 0, n=3)
    chains = sampler(chains=4, steps=50, warmup=100).sample(problem(a, net))
    assert (chains.states >= 0).all()
    assert (chains.states[:, :, -1] > 0).all()
    assert (chains.states != chains.states[:, :, :1]).any(2).all()


@SAMPLERS
def test_chains_move_where_the_upper_layers_are_dead(sampler):
    net = random_network(WIDTHS, 1)
    dead = net.layers[1]
    net = replace(
        net, layers=(net.layers[0], replace(dead, weight=-dead.weight.abs()), net.layers[2])
    )
    a = positive_input(4, 1, n=3)
    chains = sampler(chains=4, steps=50).sample(problem(a, net))
    assert (net.forward(chains.states.flatten(0, 2), stop=2) == 0).all()
    assert (chains.states != chains.states[:, :, :1]).any(2).all()


@SAMPLERS
def test_at_the_origin_the_radius_is_absolute(sampler):
    given = layer_problem(tensor([[0.0, 0.0]]), [[0.0, 0.0]], [1.0], Domain.real(2))
    states = sampler(radius=3.0, steps=200).sample(given).states
    assert (states.abs() <= 3).all()
    assert (states.abs().amax((0, 1, 2)) > 2).all()


@SAMPLERS
def test_directions_without_width_stay_as_they_are(sampler):
    domain = Domain(tensor([0.0, 0.5, 0.0]), tensor([1.0, 0.5, 1.0]))
    a = tensor([[0.5, 0.5, 0.0]])
    chains = sampler().sample(layer_problem(a, [[0.0, 0.0, 0.0]], [1.0], domain))
    assert (chains.states[..., 1] == 0.5).all()
    assert (chains.states[..., [0, 2]] != a[0, [0, 2]]).all()
    assert (effective_sample_size(chains.states) > 0).all()


@SAMPLERS
def test_a_domain_of_one_point_is_a_status(sampler):
    got = sampler()(layer_problem(tensor([[1.0, 1.0]]), [[1.0, 1.0]], [0.5], box(2, 1.0, 1.0)))
    assert got.status.tolist() == [[Status.APPROXIMATE]]
    assert torch.equal(got.points, tensor([[[1.0, 1.0]]]))
    assert effective_sample_size(got.chains.states).tolist() == [[0, 0, 0, 0]]


# Uniform.


@dataclass(frozen=True)
class Clamping(Metropolis):
    """A wrong sampler: proposals outside the domain are moved to its boundary."""

    name = "clamping"

    def propose(self, cell, states, scale, moves, positions):
        proposal = super().propose(cell, states, scale, moves, positions)
        return proposal.clamp(cell.bounds.low, cell.bounds.high)


@dataclass(frozen=True)
class Rays(HitAndRun):
    """A wrong sampler: the next state is uniform on the ray ahead, not on the whole chord."""

    name = "rays"

    def propose(self, cell, states, scale, moves, positions):
        _, forwards = cell.chord(states, moves)
        return states + (positions * forwards).unsqueeze(2) * moves


def simplex(size, seed=1):
    """``p >= 0, Σ p <= 1`` as the region of a layer whose units are all open."""
    weight = [*torch.eye(size).tolist(), [-1.0] * size]
    a = torch.full((1, size), 0.5 / size, dtype=torch.float64)
    return layer_problem(a, weight, [0.0] * size + [1.0], Domain.real(size), seed)


def cube(size, seed=1):
    """The box from 0 to 1 as a domain, in a region without end."""
    a = torch.full((1, size), 0.25, dtype=torch.float64)
    return layer_problem(a, [[0.0] * size], [1.0], box(size), seed)


def cube_around(size, seed=1):
    """The truncation itself: a quadrant, and the cube of the radius 2 around the anchor."""
    a = torch.full((1, size), 0.25, dtype=torch.float64)
    return layer_problem(a, torch.eye(size).tolist(), [0.0] * size, Domain.real(size), seed)


SHAPES = {
    "triangle": (simplex(2), lambda p: 1 - (1 - p) ** 2),
    "simplex": (simplex(4), lambda p: 1 - (1 - p) ** 4),
    "box": (cube(3), lambda p: p),
    "cube around the anchor": (cube_around(2), lambda p: p / 0.75),
}
HIT_AND_RUN = HitAndRun(chains=400, steps=250, warmup=50, radius=20.0)
METROPOLIS = Metropolis(chains=400, steps=1000, warmup=200, radius=20.0)


def p_values(sampler, given, distribution, every):
    """Of each coordinate, with one state in so many: by then they are almost independent."""
    states = sampler.sample(given).states[0, :, every - 1 :: every].flatten(0, 1)
    return [kstest(column.numpy(), distribution).pvalue for column in states.T]


@pytest.mark.parametrize(("sampler", "every"), [(HIT_AND_RUN, 50), (METROPOLIS, 200)])
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform(sampler, every, shape):
    given, distribution = SHAPES[shape]
    if shape == "cube around the anchor":
        sampler = replace(sampler, radius=2.0)
    assert min(p_values(sampler, given, distribution, every)) > 0.005


@pytest.mark.parametrize(
    ("wrong", "every", "shape"),
    [
        (Clamping(chains=400, steps=1000, warmup=200, radius=20.0), 200, "box"),
        (Rays(chains=400, steps=250, warmup=50, radius=20.0), 50, "triangle"),
        (Rays(chains=400, steps=250, warmup=50, radius=20.0), 50, "box"),
    ],
)
def test_wrong_samplers_are_not_uniform(wrong, every, shape):
    given, distribution = SHAPES[shape]
    assert min(p_values(wrong, given, distribution, every)) < 1e-6


def test_joint_distribution_in_the_triangle():
    """The part of the simplex along its diagonal: Σ p has the distribution s^d."""
    states = HIT_AND_RUN.sample(simplex(4)).states[0, :, 49::50].flatten(0, 1)
    assert kstest(states.sum(1).numpy(), lambda s: s**4).pvalue > 0.005


# The warm-up.


def test_the_scale_is_adapted_in_the_warm_up_only():
    given = cube(5)
    scales = []

    @dataclass(frozen=True)
    class Watched(Metropolis):
        def propose(self, cell, states, scale, moves, positions):
            scales.append(scale.clone())
            return super().propose(cell, states, scale, moves, positions)

    chains = Watched(chains=50, steps=40, warmup=30).sample(given)
    adapted = torch.cat(scales).diff(dim=0) != 0
    assert adapted[:30].all()
    assert not adapted[30:].any()
    assert torch.equal(chains.scale, scales[-1])
    assert chains.warmup == 30


@pytest.mark.parametrize("acceptance", [0.2, 0.5])
def test_acceptance_after_the_warm_up_is_what_was_aimed_at(acceptance):
    net = random_network(WIDTHS, 2)
    a = positive_input(4, 2, n=4)
    sampler = Metropolis(chains=100, steps=200, warmup=300, acceptance=acceptance)
    accepted = sampler.sample(problem(a, net)).accepted.mean(1)
    torch.testing.assert_close(accepted, torch.full_like(accepted, acceptance), rtol=0, atol=0.05)


def test_without_a_warm_up_the_first_scale_stays():
    given = cube(5)
    chains = Metropolis(warmup=0).sample(given)
    assert torch.equal(chains.scale, Metropolis(warmup=0, steps=3).sample(given).scale)


def test_hit_and_run_has_no_scale_and_no_rejections():
    chains = HitAndRun().sample(cube(5))
    assert chains.scale.isnan().all()
    assert (chains.accepted == 1).all()


# What a chain is worth.


def autoregression(phi, length, count=40):
    noise = torch.randn(
        length, count, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    series = [noise[0] / (1 - phi**2) ** 0.5]
    for shock in noise[1:]:
        series.append(phi * series[-1] + shock)
    return torch.stack(series, 1)


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9])
def test_effective_sample_size_of_an_autoregression(phi):
    """The autocorrelations are φ^t, and S/τ is S (1 - φ)/(1 + φ)."""
    length = 10000
    got = effective_sample_size(autoregression(phi, length)).mean().item() / length
    assert got == pytest.approx((1 - phi) / (1 + phi), rel=0.05)


def literal_size(series):
    """Geyer's initial monotone sequence in loops, for one coordinate."""
    n = len(series)
    centred = [number - sum(series) / n for number in series]
    gamma = [sum(centred[i] * centred[i + t] for i in range(n - t)) / n for t in range(n)]
    tau, last = -1.0, float("inf")
    for m in range(n // 2):
        pair = (gamma[2 * m] + gamma[2 * m + 1]) / gamma[0]
        if pair <= 0:
            break
        last = min(last, pair)
        tau += 2 * last
    return n / max(tau, 1 / math.log10(n))


@pytest.mark.parametrize("length", [2, 7, 40])
def test_effective_sample_size_written_in_loops(length):
    parts = [autoregression(0.6, length, 5), autoregression(0.2, length + 3, 5)[:, 3:]]
    chains = torch.cat(parts, 2)
    for chain, size in zip(chains, effective_sample_size(chains), strict=True):
        want = min(literal_size(series) for series in chain.T.tolist())
        assert size.item() == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 0.9])
def test_effective_sample_size_beside_arviz(phi):
    """ArviZ takes 1 / (S - 1) off each autocorrelation and adds the first of the last pair: at
    5,000 states both change the size of a chain by less than 1 %."""
    import arviz

    chains = autoregression(phi, 5000, 8).movedim(1, 0)
    for series in chains.unbind(1):
        got = effective_sample_size(series.unsqueeze(0)).item()
        want = float(arviz.ess(series.squeeze(1).numpy()[None], method="identity"))
        assert got == pytest.approx(want, rel=0.01)


def test_effective_sample_size_of_one_state():
    assert effective_sample_size(torch.zeros(2, 1, 3)).tolist() == [0, 0]


# The contract.


@SAMPLERS
def test_the_best_state_is_chosen(sampler):
    net = random_network(WIDTHS, 7)
    a = positive_input(4, 7, n=6)
    got = sampler(chains=3, steps=40)(problem(a, net))
    assert got.points.shape == (6, 6, 4)
    assert got.location == Anywhere()
    assert not got.certified.any()
    at_anchor = net.layers[0](a)
    h = net.layers[0](got.chains.states.flatten(1, 2))
    assert torch.equal(got.status == Status.INACTIVE, at_anchor == 0)
    assert (got.status == Status.INACTIVE).any()
    assert (got.status == Status.APPROXIMATE)[at_anchor > 0].all()
    best = h.amin(1)
    at_root = net.layers[0](got.points).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(at_root, best, rtol=1e-12, atol=1e-14)


def test_of_several_roots_the_nearest_and_never_an_unusable_one():
    a = tensor([[1.0]])
    given = layer_problem(a, [[1.0]], [0.0], Domain.real(1))
    candidates = tensor([[[0.0], [-5.0], [-3.0], [0.5]]])
    for usable, point, status in (
        ([False, True, True, True], -3.0, Status.FOUND),
        ([True] * 4, 0.0, Status.FOUND),
        ([False, False, False, True], 0.5, Status.APPROXIMATE),
        ([False] * 4, None, Status.NOT_FOUND),
    ):
        best = best_candidates(given, candidates, torch.tensor([usable]), 1e-5, Anywhere())
        roots, statuses = best.points, best.status
        assert statuses.tolist() == [[status]]
        assert point is None or roots.item() == point


@SAMPLERS
def test_the_derivative_inside_is_the_anchors(sampler):
    net = random_network((3, 4, 1), 2, output_relu=False)
    rec = recursion(net, "z+", [sampler(steps=20)] * 2)
    a = net.forward(positive_input(3, 2, n=4), stop=1)
    with torch.no_grad():
        roots = rec.plans[1].finder(rec.problem(1, a))
        expansion = rec.expand(1, a, roots)
    assert len(expansion.unit)
    assert expansion.limit_error.isnan().all()
    want = net.layers[1].weight.expand_as(expansion.slope)
    torch.testing.assert_close(expansion.slope, want, rtol=1e-12, atol=1e-12)


@SAMPLERS
def test_roots_do_not_depend_on_which_anchors_share_a_call(sampler):
    net = random_network(WIDTHS, 9)
    a = positive_input(4, 9, n=6)
    together = sampler()(problem(a, net))
    for row in range(len(a)):
        single = sampler()(problem(a[row : row + 1], net))
        assert torch.equal(single.status[0], together.status[row])
        torch.testing.assert_close(single.points[0], together.points[row], rtol=0, atol=1e-12)


@SAMPLERS
@pytest.mark.parametrize("max_points", [1, 300])
def test_relevance_does_not_depend_on_the_chunks(sampler, max_points):
    net = random_network((3, 4, 1), 39, "positive")
    x = positive_input(3, 1, n=2)
    finders = [sampler(chains=2, steps=10, warmup=5)] * 2
    whole = relevances(recursion(net, "z+", finders), x)
    chunked = relevances(recursion(net, "z+", finders, max_points=max_points), x)
    assert all((relevance != 0).any() for relevance in whole)
    for got, want in zip(chunked, whole, strict=True):
        assert spread(got, want) < 1e-9


@SAMPLERS
def test_roots_scale_with_a_network_without_biases(sampler):
    """A power of two is exact, so the smallest anchors have the roots of the largest."""
    net = random_network(WIDTHS, 4, "zero")
    a = positive_input(4, 4, n=5)
    want = sampler()(problem(a, net))
    got = sampler()(problem(2.0**-40 * a, net))
    assert torch.equal(got.status, want.status)
    torch.testing.assert_close(2.0**40 * got.points, want.points, rtol=1e-9, atol=1e-9)


@SAMPLERS
def test_nothing_of_the_callers_changes(sampler):
    net = random_network(WIDTHS, 1)
    a = positive_input(4, 1, n=2)
    kept, leaf = a.clone(), a.requires_grad_()
    given = problem(leaf, net)
    state, global_state = given.generator.get_state(), torch.get_rng_state()
    got, again = sampler()(given), sampler()(given)
    assert torch.equal(got.points, again.points)
    assert torch.equal(leaf.detach(), kept)
    assert torch.equal(given.generator.get_state(), state)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not got.points.requires_grad
    other = sampler()(replace(given, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(got.points, other.points)


@SAMPLERS
def test_evaluations_are_counted(sampler):
    net = random_network(WIDTHS, 1)
    a = positive_input(4, 1, n=2)
    visited = []

    def relevance(points):
        visited.append(len(points))
        return net.layers[0](points)

    finder = sampler(chains=3, steps=7)
    got = finder(problem(a, net, relevance=relevance))
    assert sum(visited) == len(a) * finder.evaluations(6)
    assert got.evaluations == finder.evaluations(1)


@SAMPLERS
@pytest.mark.parametrize(
    "settings",
    [
        {"chains": 0},
        {"steps": 0},
        {"warmup": -1},
        {"radius": 0.0},
        {"radius": torch.inf},
        {"tol": -1.0},
        {"tol": 1.0},
    ],
)
def test_settings_out_of_range(sampler, settings):
    with pytest.raises(InvalidSetting, match=next(iter(settings))):
        sampler(**settings)


@pytest.mark.parametrize("acceptance", [0.0, 1.0])
def test_acceptance_out_of_range(acceptance):
    with pytest.raises(InvalidSetting, match="acceptance"):
        Metropolis(acceptance=acceptance)


# The table.


@pytest.mark.parametrize("max_points", [20, 10**6, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_chains_have_a_table(max_points):
    net = random_network(WIDTHS, 2)
    x = positive_input(4, 2, n=3)
    finders = [
        Metropolis(chains=3, steps=12, warmup=5), ClosedForm(),
        HitAndRun(chains=2, steps=8, warmup=4),
    ]  # fmt: skip
    rec = recursion(net, "z+", finders)
    problem = Problem(net, 0, x, Scheme.of(rec.plans), max_points, taylor_plan=rec.plans[0])
    explanation = recursive(problem)
    numbers = [4, 6, 9]
    samples = torch.tensor(numbers)
    part = Explained("recursive", Output(0), samples, net.activations(x), explanation)
    table = chains_table([part]).set_index(["sample", "layer"])
    assert (table.pop("method") == "recursive").all()
    keys = ["finder", "chain", "accepted", "effective_sample_size", "scale", "steps", "warmup"]
    assert table.columns.tolist() == keys
    assert table.index.unique().tolist() == [(n, layer) for n in numbers for layer in (0, 2)]
    for layer in (0, 2):
        finder = finders[layer]
        chains = finder.sample(rec.problem(layer, net.forward(x, stop=layer)))
        rows = table.xs(layer, level="layer")
        assert rows["chain"].tolist() == list(range(finder.chains)) * 3
        for name, want in (
            ("accepted", chains.accepted),
            ("effective_sample_size", effective_sample_size(chains.states)),
            ("scale", chains.scale),
        ):
            np.testing.assert_allclose(rows[name], want.flatten(), rtol=1e-9)
        assert set(rows["finder"]) == {finder.name}
        assert set(rows["steps"]) == {finder.steps}
        assert set(rows["warmup"]) == {finder.warmup}


@pytest.mark.parametrize("name", ["hit_and_run", "interpolation"])
def test_the_table_is_written_only_where_chains_ran(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    small = ["network=paper", "training=none", "inputs=positive", "inputs.n=2", "plots=none"]
    assert dtd_run(monkeypatch, f"input_roots={name}", *small, "hydra.run.dir=run") == 0
    assert (tmp_path / "run" / "chains.csv").exists() == (name == "hit_and_run")
    assert not (tmp_path / "run" / "search_lines.csv").exists()
