"""The recursion, and the literal train-free formulas, against published numbers.

``data/recursion.json`` was computed by an implementation that has nothing in common with this
one: five networks 5-6-5-2 with negative biases, one for each way to combine the rules.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cases import network, recursion, relevances, spread, tensor
from literal import Literal

CASES = json.loads((Path(__file__).parent / "data" / "recursion.json").read_text())


def rules_of(case):
    return [case["input_rule"] or case["rule"], *[case["rule"]] * (len(case["weights"]) - 1)]


def name(case):
    return "-".join(rules_of(case)[:2])


@pytest.mark.parametrize("max_points", [10**6, 7], ids=["at once", "in chunks"])
@pytest.mark.parametrize("case", CASES, ids=name)
def test_recursion_in_every_layer(case, max_points):
    net = network(case["weights"], case["biases"]).explaining(case["output"])
    rec = recursion(
        net, rules_of(case), gamma=case["gamma"], bounds=case["box"], max_points=max_points
    )
    x = tensor(case["inputs"])
    got = relevances(rec, x)
    for layer, relevance in enumerate(got):
        want = tensor(case["recursive"][str(layer)])
        assert want.abs().sum() > 0
        # Entry by entry: small relevances count as much as large ones.
        torch.testing.assert_close(relevance, want, rtol=1e-9, atol=1e-12)
    assert spread(net.forward(x).squeeze(1), case["f"]) < 1e-14


@pytest.mark.parametrize("case", CASES, ids=name)
def test_literal_train_free_in_every_layer(case):
    literal = Literal(
        case["weights"],
        case["biases"],
        rules_of(case),
        output=case["output"],
        gamma=case["gamma"],
        box=case["box"],
    )
    for sample, x in enumerate(case["inputs"]):
        for layer, relevance in enumerate(literal.train_free(x)[:-1]):
            want = case["train_free"][str(layer)][sample]
            assert relevance == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_literal_recursion_is_the_published_one():
    case = CASES[0]
    literal = Literal(case["weights"], case["biases"], rules_of(case), output=case["output"])
    for layer, relevance in enumerate(literal.relevances(case["inputs"][0])):
        want = case["recursive"][str(layer)][0]
        assert relevance == pytest.approx(want, rel=1e-12, abs=1e-15)
