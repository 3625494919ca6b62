"""At how many points the recursion evaluates relevance functions, as it is told beforehand."""

import pytest
import torch
from torch import nn

import dtd
from dtd.relevance.slopes.forward import ForwardSlopes

POOLING = {"max": nn.MaxPool2d(2), "avg": nn.AvgPool2d(2), "overlapping": nn.AvgPool2d(3, 1)}


def negative_biases(*layers):
    net = nn.Sequential(*layers).double()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.abs_().mul_(-0.1)
    return net


def convolutional(pooling):
    torch.manual_seed(0)
    first = nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), POOLING[pooling]
    second = nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten()
    units = nn.Sequential(*first, *second)(torch.ones(1, 1, 6, 6)).shape[1]
    return negative_biases(*first, *second, nn.Linear(units, 4), nn.ReLU(), nn.Linear(4, 1))


def literal_counts(explainer):
    """Roots that one root of every unit leads to, itself included, by layer.

    They are counted one by one, down from the output, with which all units count as connected.
    """
    counts = [[1], [2] * explainer.network.widths[-2]]
    for layer, rule in zip(
        explainer.network.layers[-2:0:-1], explainer.scheme.rules[-2:0:-1], strict=True
    ):
        moved = layer.mask(rule.factor_mask).dense() != 0
        counts.append([1 + sum(counts[-1][above] for above in unit.nonzero()) for unit in moved.T])
    return counts


@pytest.fixture
def visited(monkeypatch):
    """The numbers of roots that forward passes visit below the output, filled in meanwhile."""
    roots, expand = [], ForwardSlopes._expand

    def counted(self, l, pairs, size, lost):
        roots.append(len(pairs.unit))
        return expand(self, l, pairs, size, lost)

    monkeypatch.setattr(ForwardSlopes, "_expand", counted)
    return roots


@pytest.mark.parametrize("rule", ["z+", "gamma", "x"])
@pytest.mark.parametrize("pooling", POOLING)
def test_the_roots_of_connected_units_are_counted_and_no_more_are_visited(pooling, rule, visited):
    explainer = dtd.DTD(convolutional(pooling), rule=rule, input_shape=(1, 6, 6))
    told = explainer.points_visited(1)
    assert told == sum(map(sum, literal_counts(explainer)))
    explainer.explain(torch.rand(1, 36).double(), 0)
    assert 0 < sum(visited) < told


def test_dense_layers_count_the_weights_that_the_rule_takes(visited):
    torch.manual_seed(0)
    net = negative_biases(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))
    every = dtd.DTD(net, rule="x").points_visited(3)
    assert every == 3 * (1 + (4 + 4) + 6 * (1 + 4 + 4))
    explainer = dtd.DTD(net, rule="z+")
    explainer.explain(torch.rand(3, 5).double(), 0)
    assert sum(visited) < explainer.points_visited(3) < every
    assert dtd.DTD(net, rule="z+", forward_passes=False).points_visited(3) == every


def test_a_search_below_forward_passes_counts_all_units():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    explainer = dtd.DTD(net, rule="x", input_roots=dtd.roots.Polytope())
    assert explainer.points_visited(1) == 1 + (4 + 4) + 6 * (1 + 4 + 4)


def test_a_small_convolutional_network_is_not_refused():
    """A new user had it: it takes about a second, and all roots of its widths would be 1.4e8."""
    torch.manual_seed(0)
    first = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    net = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32, 10))
    explainer = dtd.DTD(net, rule="z+", input_shape=(1, 8, 8))
    assert explainer.network.widths == (64, 256, 64, 128, 32, 10)
    assert explainer.points_visited(1) < 150_000
