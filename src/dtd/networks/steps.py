"""What one operation of a network does to the activations of a layer, from its plain settings.

A step that cannot be is refused by its setting; whoever reads the operation adds its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.chain import (
    Layers,
    appended,
    averaged,
    diagonal,
    normalisation,
    per_unit,
    pooled,
    rectified,
    shifted,
)
from dtd.networks.layers.affine import Layer
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.layers.maximum import Maximum
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.windows import Shape, Windows

Refused = Callable[[str], InvalidSetting]
"""The refusal of an operation with its place, for a reason."""

_AGREEMENT = 1e-6
"""How far outputs may differ, relative to the sum of the sizes that they are made of."""
LARGEST = 2**26
"""Units of a layer, or inputs of a window: what has more does not fit into memory."""
_SCALED = 10_000
"""Units that are scaled one by one: the matrix has the square of it."""


@dataclass(frozen=True, eq=False)
class Step:
    """What an operation does: to one more layer, or a ReLU, or to the shape of activations alone.

    ``onto`` gives the layers with the step after them.
    """

    onto: Callable[[Layers], Layers]
    layer: AnyLayer | None = None
    relu: bool = False
    flattens: bool = False
    reshaped: Shape = ()
    """The shape that it gives to activations, where that is known and not the layer's."""
    size: Tensor | None = None
    """What the step adds up and may cancel, for each unit, where its biases do not tell it."""

    def __call__(self, a: Tensor) -> Tensor:
        """What the step makes of activations, (N, units), from those of any shape."""
        a = a.flatten(1)
        a = a if self.layer is None else self.layer.to(a.dtype).preactivation(a)
        return a.relu() if self.relu else a

    def magnitude(self, a: Tensor) -> Tensor:
        """The size against which rounding in the step is measured, (N, units)."""
        a = a.flatten(1)
        size = a.abs() if self.layer is None else self.layer.to(a.dtype).magnitude(a)
        return size if self.size is None else size + self.size.to(size)

    def outputs(self, shape: Shape) -> Shape:
        """The shape of what the step makes of activations of a shape."""
        return self.reshaped or (shape if self.layer is None else self.layer.outputs)

    def check_inputs(self, shape: Shape, refused: Refused) -> None:
        """Refuse activations of another shape than that of what the step takes.

        Raises:
            InvalidSetting: with both shapes.
        """
        if self.layer is not None and shape != self.layer.inputs:
            inputs, got = ("x".join(map(str, s)) for s in (self.layer.inputs, shape))
            raise refused(f"it takes {inputs} inputs, and what comes before gives {got}")


RELU = Step(rectified, relu=True)
NOTHING = Step(lambda layers: layers)
FLATTENING = Step(lambda layers: layers, flattens=True)


@dataclass(frozen=True, eq=False)
class Walk:
    """The layers of the steps so far, each of which was compared with the operation itself."""

    layers: Layers = ()
    size: Tensor = field(default_factory=lambda: torch.zeros(()))
    """What the activations are made of, against which their rounding is measured."""

    def then(
        self, step: Step, before: Tensor, answer: object, refused: Refused, advice: str = ""
    ) -> Walk:
        """The walk with one more step, which takes ``before`` and is to give ``answer``.

        Raises:
            InvalidSetting: it gives something else, or does not go onto the layers so far.
        """
        if not agree(answer, step(before), step.magnitude(before)):
            raise refused(f"its output is not what the layer of its kind gives{advice}")
        size = self.size if self.layers else before.flatten(1).abs()
        try:
            return Walk(step.onto(self.layers), step.magnitude(size))
        except InvalidSetting as error:
            raise refused(error.allowed) from error


def agree(output: object, expected: Tensor, size: Tensor) -> bool:
    """Whether an output is what is expected, up to rounding of numbers of the size."""
    allowed = max(_AGREEMENT, 8 * torch.finfo(size.dtype).eps) * size
    return (
        isinstance(output, Tensor)
        and output.dim() > 1
        and output.flatten(1).shape == expected.shape
        and output.dtype == expected.dtype
        and bool(((output.flatten(1) - expected).abs() <= allowed).all())
    )


def affine(weight: Tensor, bias: Tensor | None) -> Step:
    """A dense layer; ``weight`` is (units, inputs)."""
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return _affine(Layer(weight, bias, relu=False))


def shift(image: Shape, bias: Tensor) -> Step:
    """A number that is added to each unit, (units,)."""
    _check_diagonal(image)
    layer = _finite(diagonal(bias.new_ones(image[0]), bias, image))
    return Step(lambda layers: shifted(layers, layer), layer)


def convolution(
    image: Shape,
    weight: Tensor,
    bias: Tensor | None,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Step:
    """A convolution of images of the shape ``image``, with a bias for each channel if any."""
    many = weight.dim() - 2
    if len(image) != many + 1:
        shape = f"({weight.shape[1] * groups}, {'height, ' * (many - 1)}width)"
        raise InvalidSetting("input", f"of shape {image}", f"allowed are images of shape {shape}")
    windows(image, tuple(weight.shape[2:]), stride, padding, dilation)
    form = Convolution(image, stride, padding, dilation, groups)
    form.check(weight)
    channels = weight.new_zeros(len(weight)) if bias is None else bias
    if channels.shape != weight.shape[:1]:
        raise InvalidSetting(
            "bias", f"of shape {tuple(channels.shape)}", f"allowed is ({len(weight)},)"
        )
    return _affine(Layer(weight, per_unit(channels, form.outputs(weight)), relu=False, form=form))


def same_padding(image: Shape, size: Shape, stride: Shape, dilation: Shape) -> Shape:
    """What is added on each side so that every ``stride``-th place has a window.

    Raises:
        InvalidSetting: one side has more than the other.
    """
    _check_windows(image, size, stride, tuple(0 for _ in size), dilation)
    fields = zip(image[1:], size, stride, dilation, strict=True)
    both = [
        max(0, (-(-length // step) - 1) * step + spread * (window - 1) + 1 - length)
        for length, window, step, spread in fields
    ]
    if any(total % 2 for total in both):
        raise InvalidSetting(
            "padding",
            "same",
            "it pads one side more than the other; allowed is as much on both, as for odd windows",
        )
    return tuple(total // 2 for total in both)


def windows(
    image: Shape,
    size: Shape,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    ceil_mode: bool = False,
) -> Windows:
    """Where windows lie on each channel of images of the shape ``image``."""
    _check_windows(image, size, stride, padding, dilation)
    made = Windows(image[1:], size, stride, padding, dilation)
    if min(made.output) < 1:
        raise InvalidSetting("window", size, f"allowed are windows that fit into {image[1:]}")
    if max(image[0] * prod(made.output), prod(size)) > LARGEST:
        raise InvalidSetting(
            "window", f"{size} with padding {padding}", f"allowed are at most {LARGEST} units"
        )
    if ceil_mode and any(made.remainder):
        raise InvalidSetting(
            "ceil_mode",
            True,
            "its last windows reach over the edge; allowed are windows that cover the image",
        )
    return made


def _check_windows(
    image: Shape, size: Shape, stride: Shape, padding: Shape, dilation: Shape
) -> None:
    if len(image) not in (2, 3):
        raise InvalidSetting(
            "input",
            f"of shape {image}",
            "allowed are images of shape (channels, width) or (channels, height, width)",
        )
    for name, least, given in (
        ("window", 1, size),
        ("stride", 1, stride),
        ("padding", 0, padding),
        ("dilation", 1, dilation),
    ):
        if len(given) != len(image) - 1 or min(given) < least:
            raise InvalidSetting(
                name, given, f"allowed is a number >= {least} for each of {image[1:]}"
            )


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


def normalised(
    image: Shape,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Step:
    """Batch normalisation in evaluation mode; all tensors are (channels,)."""
    _check_diagonal(image)
    layer = normalisation(mean, variance, weight, bias, eps, image if len(image) > 1 else None)
    step = _affine(layer)
    added = layer.magnitude(per_unit(mean, image).to(layer.dtype).unsqueeze(0)).squeeze(0)
    return replace(step, size=added)


def _affine(layer: Layer) -> Step:
    layer = _finite(layer)
    return Step(lambda layers: appended(layers, layer), layer)


def _check_diagonal(image: Shape) -> None:
    if len(image) == 1 and image[0] > _SCALED:
        raise InvalidSetting(
            "input", f"of shape {image}", f"allowed are {_SCALED} units that are scaled each"
        )


def _finite(layer: Layer) -> Layer:
    if not layer.is_finite:
        raise InvalidSetting(
            "weight", "NaN or infinite in some entries", "allowed are finite numbers"
        )
    return layer
