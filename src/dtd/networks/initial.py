"""Networks with random weights."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from math import prod

import torch
from torch.nn.init import kaiming_uniform_

from dtd.networks.matrices.dense import DENSE
from dtd.networks.matrices.form import Form
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Layer, Network


def initial(
    widths: tuple[int, ...], generator: torch.Generator, output_relu: bool = True
) -> Network:
    """A network of dense layers, each as :func:`drawn` from below."""
    layers = [drawn((units, inputs), generator) for inputs, units in pairwise(widths)]
    layers[-1] = replace(layers[-1], relu=output_relu)
    return Network(tuple(layers))


def drawn(shape: Shape, generator: torch.Generator, form: Form = DENSE) -> Layer:
    """A layer with the default initialisation of ``torch.nn.Linear``, or of a convolution.

    Its weight, of the given shape, is drawn before its bias, in float32: a generator seeded with s
    gives the numbers that ``torch.manual_seed(s)`` gives to PyTorch's module. The bias of a
    convolution is one number for each channel.
    """
    weight = torch.empty(shape)
    kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(weight[0].numel())
    bias = torch.empty(len(weight)).uniform_(-bound, bound, generator=generator)
    places = prod(form.outputs(weight)) // len(bias)
    return Layer(weight, bias.repeat_interleave(places), form=form)
