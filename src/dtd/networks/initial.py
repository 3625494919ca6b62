"""Networks with random weights."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch.nn.init import kaiming_uniform_

from dtd.networks.network import Layer, Network


def initial(
    widths: tuple[int, ...], generator: torch.Generator, output_relu: bool = True
) -> Network:
    """A network with the default initialisation of ``torch.nn.Linear``, drawn in float32.

    Drawn layer by layer, the weight before the bias, so that a generator seeded with s gives
    the numbers that ``torch.manual_seed(s)`` gives to ``torch.nn.Linear``.
    """
    layers = []
    for inputs, units in pairwise(widths):
        weight = torch.empty(units, inputs)
        kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
        bound = 1 / math.sqrt(inputs)
        bias = torch.empty(units).uniform_(-bound, bound, generator=generator)
        layers.append(Layer(weight, bias))
    layers[-1] = replace(layers[-1], relu=output_relu)
    return Network(tuple(layers))
