"""The relevance of every path, by the exact recursion and train-free.

What is expanded is the same function at the same points, so the sums over paths agree with the
relevance to rounding: the largest difference seen was 7e-15. Only where a root lies a nudge off
a kink may rounding in the last place grow by 2**20, and 1e-10 is what the sum is held to.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch

from cases import (
    MANY,
    lists,
    network,
    positive_input,
    random_network,
    recursion,
    relevances,
    spread,
    tensor,
)
from dtd.relevance import METHODS, Problem
from dtd.relevance.paths.all import PATHS, path_count, recursive_paths, train_free_paths
from dtd.relevance.plan import Scheme
from dtd.relevance.root_tree import lineage, root_tree
from dtd.roots import (
    ClosedForm,
    HitAndRun,
    Interpolation,
    Line,
    Metropolis,
    Polytope,
    Random,
)
from literal import EPSILON_DIGITS, STEP_DIGITS, Literal, digits, digits_for

SUM = 1e-10
RULES = ["z+", "w2", "gamma", "x", "zero", "pinv"]
WIDTHS = [(3, 1), (3, 4, 1), (3, 4, 3, 1), (3, 3, 2, 2, 1)]


def problem(net, rules, x, *, finders=None, max_points=MANY, moving_roots=True):
    steps = recursion(net, rules, finders).plans
    return Problem(net, 0, x, Scheme.of(steps), max_points, steps[0], moving_roots)


def all_paths(method, what, start=0):
    return torch.cat([part.relevance for part in method(what, start)])


def summed(paths):
    """Over all layers but the lowest."""
    return paths.flatten(2).sum(2) if paths.dim() > 2 else paths


def marginal(paths, *axes):
    """The sum over all units but those of some layers."""
    others = [axis for axis in range(1, paths.dim()) if axis - 1 not in axes]
    return paths.sum(others) if others else paths


class LiteralPaths(Literal):
    """The definition once more, with one path instead of a sum."""

    def share(self, layer, a, path, i, size=1):
        """What the path (i ← path[0] ← …) has of [R_layer(a)]_i."""
        if layer == self.depth:
            return a[i]
        j, *upper = path
        root = self.root(layer, a, j)
        if root is None:
            return self.zero
        epsilon = size * self.number(10) ** -EPSILON_DIGITS
        smaller = size * epsilon
        step = smaller * self.number(10) ** -STEP_DIGITS
        ends = [
            [r + epsilon * (p - r) + side * step * (k == i) for k, (r, p) in enumerate(pairs)]
            for side in (1, -1)
            for pairs in [list(zip(root, a, strict=True))]
        ]
        plus, minus = (self.share(layer + 1, self.f(layer, end), upper, j, smaller) for end in ends)
        return (plus - minus) / (2 * step) * (a[i] - root[i])

    def paths(self, x):
        widths = [len(x), *(len(w) for w in self.w_explained())]
        with digits(digits_for(self.depth)):
            anchor = [self.number(v) for v in x]
            numbers = [
                float(self.share(0, anchor, path, i))
                for i, *path in product(*(range(width) for width in widths))
            ]
        return tensor(numbers).view(widths).squeeze(-1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bias", ["negative", "positive", "zero"])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("seed", [3, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_the_sum_over_paths_is_the_relevance(seed, widths, bias, rule):
    net, x = random_network(widths, seed, bias), positive_input(3, seed, 3)
    wanted = relevances(replace(recursion(net, rule), forward_passes=False), x)
    for start, want in enumerate(wanted):
        paths = all_paths(recursive_paths, problem(net, rule, x), start)
        assert paths.shape == (3, *widths[start:-1])
        assert spread(summed(paths), want) < SUM


SEARCHES = {
    "line": Line(samples=1),
    "interpolation": Interpolation(directions=8),
    "metropolis": Metropolis(chains=2, steps=3, warmup=2),
    "hit_and_run": HitAndRun(chains=2, steps=3, warmup=2),
    "polytope": Polytope(),
    "random": Random(candidates=3, steps=3),
}


def searched():
    """Searches, seeds, samples, and whether roots move; most seeds have no relevance.

    Random search is for the upper layers alone: nested three times it takes a minute, and twice
    ten seconds.
    """
    for name, search in SEARCHES.items():
        lowest = ClosedForm() if name == "random" else search
        seeds = (0,) if name == "polytope" else (1,)
        few = [ClosedForm(), search, ClosedForm()] if name == "random" else [search] * 3
        for moving, word in ((True, "moving"), (False, "constant")):
            case = f"{name}-{word}"
            yield pytest.param(few, seeds, 2 if name == "polytope" else 1, moving, id=case)
            yield pytest.param(
                [lowest, search, search], (0, 1, 3, 9), 2, moving,
                id=f"{case}-all", marks=pytest.mark.exhaustive,
            )  # fmt: skip


@pytest.mark.parametrize(("finders", "seeds", "samples", "moving_roots"), [*searched()])
def test_the_sum_over_paths_with_searched_roots(finders, seeds, samples, moving_roots):
    relevance_seen = False
    for seed in seeds:
        net, x = random_network((3, 3, 2, 1), seed, "positive"), positive_input(3, seed, samples)
        rec = replace(
            recursion(net, "z+", finders), moving_roots=moving_roots, forward_passes=False
        )
        what = problem(net, "z+", x, finders=finders, moving_roots=moving_roots)
        with torch.no_grad():
            want = rec.relevance(0, x)
        assert spread(summed(all_paths(recursive_paths, what)), want) < SUM
        relevance_seen |= bool(want.any())
    assert relevance_seen


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_marginals_of_train_free_paths_are_train_free_relevances(rule, widths):
    net, x = random_network(widths, 3, "positive"), positive_input(3, 3, 4)
    what = problem(net, rule, x)
    wanted = METHODS["train_free"](what)
    for start in range(net.depth):
        paths = all_paths(train_free_paths, what, start)
        assert paths.shape == (4, *widths[start:-1])
        assert spread(marginal(paths, 0), wanted.relevances[start]) < 1e-13
        # Where all relevance has a divisor and arrives, also the layers in between.
        if rule != "zero":
            for layer in range(start, net.depth):
                if all(not wanted.ledgers[low].unresolved.any() for low in range(layer)):
                    inner = marginal(paths, layer - start)
                    assert spread(inner, wanted.relevances[layer]) < 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_marginals_of_exact_paths_are_the_shares_that_units_pass_on(rule):
    """Summed over all but (i, j) they are unit j's own term, not its relevance."""
    net, x = random_network((3, 4, 3, 1), 38, "positive"), positive_input(3, 1, 3)
    rec = recursion(net, rule)
    paths = all_paths(recursive_paths, problem(net, rule, x))
    with torch.no_grad():
        expansion = rec.expand(0, x, rec.roots(0, x))
        upper = rec.upper(0, x)
    shares = torch.zeros_like(marginal(paths, 0, 1))
    shares[expansion.anchor, :, expansion.unit] = expansion.shares[:, 0]
    assert spread(marginal(paths, 0, 1), shares) < SUM
    if rule == "z+":
        assert spread(marginal(paths, 1), upper) > 0.01


@pytest.mark.parametrize("rule", [*RULES, "zB"])
@pytest.mark.parametrize(
    ("widths", "seeds"), [((3, 4, 1), (2, 11)), ((3, 3, 2, 1), (1, 3))], ids=["two", "three"]
)
def test_against_the_literal_definition(rule, widths, seeds):
    rules = ["zB", *["z+"] * (len(widths) - 2)] if rule == "zB" else [rule] * (len(widths) - 1)
    for seed in seeds:
        for bias in ("negative", "positive"):
            net, x = random_network(widths, seed, bias), positive_input(3, seed)
            literal = LiteralPaths(*lists(net), rules)
            want = literal.paths(x[0].tolist())
            got = all_paths(recursive_paths, problem(net, rules, x))[0]
            # As in test_recursion_literal.py: rounding divided by 2**-20 where a limit is taken.
            assert spread(got, want) < 1e-9
            assert spread(summed(want.unsqueeze(0))[0], literal.relevance(0, x[0].tolist())) < 1e-14


@cache
def one_two_one():
    """f = max(0, a_1 + a_2 - 1) with a_1 = max(0, 2x), a_2 = max(0, x - 1)."""
    return network([[[2.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [-1.0]])


def test_by_hand():
    """At x = 3: a = (6, 2), f = 7; z+ and x are the same rule here, the root is on the ray to 0.

    R_1(a) = ∇f ⊙ (a - ã), ã = a / 8, so R_1 = (6, 2) · 7/8 where the output lives; with the root's
    derivative R_1,j(a) = a_j (a_1 + a_2 - 1) / (a_1 + a_2). The root of unit 2 is x = 1, where
    a = (2, 0) with its own gate open: ∂R_1,2 = (s - 1) / s = 1/2 at s = a_1 + a_2 = 2. Times
    x - ã = 2 the second path has 1. The root of unit 1 is x = 0, beside which f is dead: 0.
    """
    what = problem(one_two_one(), "x", tensor([[3.0]]))
    assert all_paths(recursive_paths, what)[0].tolist() == [[0.0, pytest.approx(1.0)]]
    # Train-free: R_1 = f · a / (a_1 + a_2), all of which goes down to x.
    assert all_paths(train_free_paths, what)[0, 0].tolist() == pytest.approx([5.25, 1.75])


@pytest.mark.parametrize(("method", "max_points"), [*product(PATHS, (1, 14)), ("recursive", 60)])
def test_chunks_change_nothing(method, max_points):
    net, x = random_network((3, 4, 3, 1), 38, "positive"), positive_input(3, 1, 3)
    finders = [Line(samples=1), ClosedForm(), ClosedForm()]
    whole = problem(net, "gamma", x, finders=finders)
    chunked = [*PATHS[method](replace(whole, max_points=max_points), 0)]
    wanted = all_paths(PATHS[method], whole)
    assert wanted.any()
    assert len(chunked) > 1
    assert spread(torch.cat([part.relevance for part in chunked]), wanted) < 1e-12


def test_samples_do_not_see_each_other():
    net, x = random_network((3, 4, 3, 1), 38, "positive"), positive_input(3, 1, 4)
    together = all_paths(recursive_paths, problem(net, "z+", x))
    for row in range(4):
        alone = all_paths(recursive_paths, problem(net, "z+", x[row : row + 1]))
        assert spread(together[row], alone[0]) < 1e-12


def test_the_tree_of_roots():
    """First the roots of the sample's own path; the image of each root is the next anchor."""
    net, x = random_network((3, 4, 3, 1), 38, "positive"), positive_input(3, 1, 2)
    rec = recursion(net, "z+")
    first, second, third = root_tree(rec, 0, x)
    assert torch.equal(first.roots.points, rec.roots(0, x).points)
    with torch.no_grad():
        assert torch.equal(second.relevance, rec.upper(1, second.anchors))
    for lower, upper in ((first, second), (second, third)):
        layer = net.layers[lower.start]
        root = lower.roots.points[lower.anchor, lower.unit]
        towards = lower.anchors[lower.anchor] - root
        z = layer.preactivation(root + lower.stencil.epsilon.unsqueeze(1) * towards)
        assert torch.equal(upper.anchors, torch.where(lower.stencil.open_gates, z, z.relu()))
    line = lineage((first, second, third))
    assert torch.equal(second.anchor[line[1]], line[0])
    assert torch.equal(third.anchor[line[2]], line[1])


def test_the_number_of_paths():
    assert path_count(random_network((3, 4, 2, 5), 0)) == 24
