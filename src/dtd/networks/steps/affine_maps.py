"""Steps that are an affine map: dense layers, shifts, and batch normalisation."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.layers.affine import Layer
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.windows import Shape
from dtd.networks.steps.chain import appended, shifted
from dtd.networks.steps.step import Step

_SCALED = 10_000
"""Units that are scaled one by one: the matrix has the square of it."""


def dense(weight: Tensor, bias: Tensor | None) -> Step:
    """A dense layer; ``weight`` is (units, inputs)."""
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return affine(Layer(weight, bias, relu=False))


def shift(image: Shape, bias: Tensor) -> Step:
    """A number that is added to each unit, (units,)."""
    _check_diagonal(image)
    layer = _finite(diagonal(bias.new_ones(image[0]), bias, image))
    return Step(lambda layers: shifted(layers, layer), layer)


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
    step = affine(layer)
    added = layer.magnitude(per_unit(mean, image).to(layer.dtype).unsqueeze(0)).squeeze(0)
    return replace(step, size=added)


def normalisation(
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    image: Shape | None = None,
) -> Layer:
    """Batch normalisation in evaluation mode, an affine map with a diagonal matrix.

    ``(a - mean) / sqrt(variance + eps) * weight + bias`` in double precision; all tensors are
    (channels,), and without ``weight`` and ``bias`` nothing is scaled or added. Inputs are images
    (channels, height, width) of the shape ``image``, or a number for each channel.
    """
    scale = (variance.double() + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    image = (len(scale),) if image is None else image
    return diagonal(scale, per_unit(shift, image), image)


def diagonal(scale: Tensor, bias: Tensor, image: Shape) -> Layer:
    """Each unit times the factor of its channel, plus its bias; ``image`` is (channels, ...)."""
    ones = tuple(1 for _ in image[1:])
    if not ones:
        return Layer(scale.diag(), bias, relu=False)
    form = Convolution(image, ones, tuple(0 for _ in ones), ones, groups=image[0])
    return Layer(scale.view(-1, 1, *ones), bias, relu=False, form=form)


def per_unit(channels: Tensor, image: Shape) -> Tensor:
    """A number for each unit of an image (channels, ...), from one for each channel, (J,)."""
    places = [1 for _ in image[1:]]
    return channels.view(-1, *places).expand(image).flatten().clone()


def affine(layer: Layer) -> Step:
    """The step of a layer without a ReLU, whose numbers are to be finite."""
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
