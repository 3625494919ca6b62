"""Steps that are convolutions."""

from __future__ import annotations

from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.layers.affine import Layer
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.windows import Shape
from dtd.networks.steps.affine_maps import affine, per_unit
from dtd.networks.steps.step import Step
from dtd.networks.steps.windows import check_windows, windows


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
    taken = weight.shape[1] * groups
    if taken > 0 and image[0] != taken:
        raise InvalidSetting(
            "input",
            f"of shape {image}",
            f"channels come first; allowed are images with {taken} of them",
        )
    windows(image, tuple(weight.shape[2:]), stride, padding, dilation)
    form = Convolution(image, stride, padding, dilation, groups)
    form.check(weight)
    channels = weight.new_zeros(len(weight)) if bias is None else bias
    if channels.shape != weight.shape[:1]:
        raise InvalidSetting(
            "bias", f"of shape {tuple(channels.shape)}", f"allowed is ({len(weight)},)"
        )
    return affine(Layer(weight, per_unit(channels, form.outputs(weight)), relu=False, form=form))


def same_padding(image: Shape, size: Shape, stride: Shape, dilation: Shape) -> Shape:
    """What is added on each side so that every ``stride``-th place has a window.

    Raises:
        InvalidSetting: one side has more than the other.
    """
    check_windows(image, size, stride, tuple(0 for _ in size), dilation)
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
