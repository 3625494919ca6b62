"""The recursion against nested difference quotients with up to 200 digits (``literal.py``).

The literal numbers are exact to double precision, so the tolerance is that of the recursion.
Where every derivative exists that is rounding: some units in the last place, times the
cancellation in z_j = w_j a + b_j, which positive biases drive to a thousand (the largest error
of 80 networks was 4e-13). Where a one-sided limit is taken, 2**-20 off the root, only unit j
lives there, and its relevance is all but linear in z_j: what is left is rounding divided by
2**-20 (the largest error was 3e-10 with these networks). The O(2**-20) that curvature costs is
tested in ``test_one_sided.py``.
"""

from __future__ import annotations

import pytest

from cases import (
    lists,
    network,
    positive_input,
    random_network,
    recursion,
    relevances,
    spread,
    tensor,
)
from literal import Literal

EXACT = 1e-12
LIMIT = 1e-9

RULES = ["z+", "w2", "gamma", "x", "zero", "pinv", "zB"]
# Chosen so that f > 0 and, where the rule leaves anything at all, R_0 is not zero.
SEEDS = {
    ("negative", 2): [7, 9, 11, 28],
    ("negative", 3): [7, 9, 13, 28],
    ("positive", 2): [2, 11, 25, 39],
    ("positive", 3): [1, 3, 9, 38],
}
WIDTHS = {2: (3, 4, 1), 3: (3, 4, 3, 1)}
BOX = (-0.5, 2.0)


def per_layer(rule, depth):
    """zB is a rule for the input; above it stands z+."""
    return ["zB", *["z+"] * (depth - 1)] if rule == "zB" else [rule] * depth


def compare(net, rules, x, *, gamma=0.5, output_relu=True):
    """Every R_l agrees; returns the literal relevances and whether limits were needed."""
    literal = Literal(*lists(net), rules, gamma=gamma, box=BOX, output_relu=output_relu)
    wanted = literal.relevances(x[0].tolist())
    tolerance = LIMIT if literal.limits else EXACT
    got = relevances(recursion(net, rules, gamma=gamma, bounds=BOX), x)
    for layer, want in enumerate(wanted):
        assert spread(got[layer][0], want) < tolerance, f"R_{layer}"
    return wanted, literal.limits > 0


@pytest.mark.parametrize("output_relu", [True, False], ids=["relu output", "linear output"])
@pytest.mark.parametrize("bias", ["negative", "positive"])
@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("rule", RULES)
def test_every_layer(rule, depth, bias, output_relu):
    relevance_seen = False
    for seed in SEEDS[bias, depth]:
        net = random_network(WIDTHS[depth], seed, bias, output_relu)
        x = positive_input(3, seed)
        assert net.forward(x).item() > 0
        wanted, _ = compare(net, per_layer(rule, depth), x, output_relu=output_relu)
        relevance_seen |= any(wanted[0])
    # Negative biases leave nothing at the origin, nor at the common zero of a layer.
    nothing = bias == "negative" and rule in ("zero", "pinv")
    assert relevance_seen is not nothing


@pytest.mark.parametrize(
    "rules",
    [
        ["w2", "gamma", "z+"],
        ["pinv", "x", "gamma"],
        ["zB", "w2", "x"],
        ["gamma", "z+", "w2"],
        ["x", "zero", "w2"],
        ["z+", "pinv", "zero"],
        ["zero", "w2", "pinv"],
    ],
    ids=" ".join,
)
def test_a_rule_of_its_own_in_every_layer(rules):
    for seed in SEEDS["positive", 3]:
        compare(random_network((3, 4, 3, 1), seed, "positive"), rules, positive_input(3, seed))


def test_one_of_two_outputs():
    """Rows of other outputs have no part, not even in the pseudo-inverse."""
    for rule in ("z+", "pinv"):
        for output in (0, 1):
            net = random_network((3, 4, 2), 4, "positive")
            x = positive_input(3, 4)
            assert (net.forward(x) > 0).all()
            literal = Literal(*lists(net), [rule] * 2, output=output)
            got = relevances(recursion(net.explaining(output), rule), x)
            for layer, want in enumerate(literal.relevances(x[0].tolist())):
                assert spread(got[layer][0], want) < LIMIT


def test_batches_are_samples():
    net = random_network((3, 4, 3, 1), 38, "positive")
    x = positive_input(3, 1, n=9)
    rec = recursion(net, "gamma")
    together = relevances(rec, x)
    for row in range(len(x)):
        for layer, alone in enumerate(relevances(rec, x[row : row + 1])):
            assert spread(together[layer][row], alone[0]) < EXACT


@pytest.mark.parametrize("max_points", [1, 5, 50])
def test_chunks_change_nothing(max_points):
    net = random_network((3, 4, 3, 1), 38, "positive")
    x = positive_input(3, 1, n=9)
    whole = relevances(recursion(net, "z+"), x)
    chunked = relevances(recursion(net, "z+", max_points=max_points), x)
    for got, want in zip(chunked, whole, strict=True):
        assert spread(got, want) < EXACT


def test_both_kinds_of_derivative_are_met():
    """The tolerance of this file depends on it."""
    kinds = set()
    for seed in SEEDS["negative", 2]:
        net = random_network((3, 4, 1), seed)
        kinds.add(compare(net, ["z+", "z+"], positive_input(3, seed))[1])
    assert kinds == {True, False}


def test_literal_by_hand():
    """The helper itself. With "x" R_1 of f(a) = max(0, w a + b) is f where w a + b > 0.

    Below it h(x) = 2x + b, the root of the only unit is the origin, and nobody else is alive
    there. The one-sided limit of the slope is 2 for b > 0, and 0 for b < 0, where h is dead.
    """
    for bias, want in ((-1.0, 0.0), (1.0, 6.0)):
        net = network([[[2.0]], [[1.0]]], [[0.0], [bias]])
        wanted, limit = compare(net, ["x", "x"], tensor([[3.0]]))
        assert limit
        assert wanted[0] == pytest.approx([want], abs=1e-15)
        assert wanted[1] == pytest.approx([6 + bias], abs=1e-15)
