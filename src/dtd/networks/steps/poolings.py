"""Steps that are poolings."""

from __future__ import annotations

from math import prod

import torch

from dtd.errors import InvalidSetting
from dtd.networks.layers.affine import Layer
from dtd.networks.layers.maximum import Maximum
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.windows import Shape, Windows
from dtd.networks.steps.chain import averaged, pooled
from dtd.networks.steps.step import Step
from dtd.networks.steps.windows import windows


def max_pool(image: Shape, windows: Windows, device: torch.device | None = None) -> Step:
    """The largest input of each window."""
    one = torch.ones(1, dtype=torch.float32, device=device)
    layer = Maximum(Averaging(image, windows), one)
    return Step(lambda layers: pooled(layers, layer), layer)


def average_pool(
    image: Shape,
    windows: Windows,
    divisor: float | None = None,
    padded: bool = True,
    device: torch.device | None = None,
) -> Step:
    """The mean of each window, or its sum by a divisor; of one with padding only if ``padded``."""
    if any(windows.padding) and not padded:
        raise InvalidSetting(
            "count_include_pad",
            False,
            "windows at the edge have other weights; allowed are windows without padding, or "
            "count_include_pad=True",
        )
    divisor = divisor or prod(windows.size)
    weight = torch.full((1,), 1 / divisor, dtype=torch.float64, device=device)
    form = Averaging(image, windows)
    bias = weight.new_zeros(prod(form.outputs(weight)))
    layer = Layer(weight, bias, relu=False, form=form)
    return Step(lambda layers: averaged(layers, layer), layer)


def whole_mean(image: Shape, device: torch.device | None = None) -> Step:
    """The mean over all places of each channel."""
    places = image[1:]
    ones = tuple(1 for _ in places)
    none = tuple(0 for _ in places)
    return average_pool(image, windows(image, places, ones, none, ones), device=device)
