"""How many operations an explanation takes: in small networks its time is that of starting them."""

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import dtd

MOST = 2420
"""3221 were counted when anchors went through the network once for each of their roots, and 2601
when each output made the masks of rules anew, and limits were noted where none was needed."""


class Counting(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_samples_and_anchors_go_through_the_network_once():
    torch.manual_seed(0)
    layers = []
    for inputs, units in ((64, 12), (12, 12), (12, 12), (12, 10)):
        layer = nn.Linear(inputs, units).double()
        with torch.no_grad():
            layer.weight.mul_(1.5)
            layer.bias.copy_(-0.02 * layer.bias.abs() - 1e-3)
        layers += [layer, nn.ReLU()]
    explainer, x = dtd.DTD(nn.Sequential(*layers[:-1])), torch.rand(10, 64, dtype=torch.float64)
    explainer.explain(x, 0)
    with Counting() as operations:
        result = explainer.explain(x, 0)
    assert (result.relevance[2] != 0).any(1).all(), "each sample has something to decompose"
    assert operations.count <= MOST
