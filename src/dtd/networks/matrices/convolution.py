"""The matrix of a convolution, whose numbers are the kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from dtd.networks.matrices.form import Form
from dtd.networks.matrices.places import divided, in_channels, scattered
from dtd.networks.matrices.windows import Shape, Windows

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (functional.conv1d, functional.conv2d)
_TRANSPOSED: tuple[Callable[..., Tensor], ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
)


@dataclass(frozen=True)
class Convolution(Form):
    """A convolution of images (channels, width) or (channels, height, width), the shape ``image``.

    Its numbers are the kernel, (channels out, channels in / groups, *window). The other fields are
    those of ``torch.nn.Conv2d``, an entry for each dimension.
    """

    kind: ClassVar[str] = "convolution"
    _allowed: ClassVar[str] = "(channels out, channels in / groups, *window), with windows inside"

    image: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int = 1

    def _fits(self, numbers: Tensor) -> bool:
        return (
            numbers.dim() == len(self.image) + 1
            and numbers.shape[1] * self.groups == self.image[0]
            and len(numbers) % self.groups == 0
            and min(self.windows(numbers).output) > 0
        )

    def windows(self, numbers: Tensor) -> Windows:
        """Where its windows lie on each channel."""
        size = tuple(numbers.shape[2:])
        return Windows(self.image[1:], size, self.stride, self.padding, self.dilation)

    def inputs(self, numbers: Tensor) -> Shape:
        return self.image

    def outputs(self, numbers: Tensor) -> Shape:
        return (numbers.shape[0], *self.windows(numbers).output)

    @cached_property
    def _options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        convolve = _CONVOLVE[len(self.image) - 2]
        # In single precision libraries sum in an order that depends on how many rows there are,
        # which is of no matter where the numbers are trained.
        dtype = a.dtype if numbers.requires_grad else torch.float64
        images, kernel = a.reshape(-1, *self.image).to(dtype), numbers.to(dtype)
        return convolve(images, kernel, **self._options).flatten(1).to(a.dtype)

    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        transposed = _TRANSPOSED[len(self.image) - 2]
        images, kernel = z.reshape(-1, *self.outputs(numbers)).double(), numbers.double()
        left = self.windows(numbers).remainder
        images = transposed(images, kernel, **self._options, output_padding=left)
        return images.flatten(1).to(z.dtype)

    def rows(self, numbers: Tensor, unit: Tensor, outside: float) -> Tensor:
        windows, (channels, *image) = self.windows(numbers), self.image
        channel, window = divided(unit, prod(windows.output))
        per_group = channels // self.groups
        first = channel // (len(numbers) // self.groups) * per_group
        within = first.unsqueeze(1) + torch.arange(per_group, device=unit.device)
        places = in_channels(within, windows.places(window), prod(image))
        return scattered(places, numbers[channel].flatten(1), prod(self.image), outside)

    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        windows, (channels, *image) = self.windows(numbers), self.image
        channel, at = divided(place, prod(image))
        group, within = divided(channel, channels // self.groups)
        per_group = len(numbers) // self.groups
        out = group.unsqueeze(1) * per_group + torch.arange(per_group, device=place.device)
        units = in_channels(out, windows.covering(at), prod(windows.output))
        values = numbers[out, within.unsqueeze(1)].flatten(1)
        return scattered(units, values, prod(self.outputs(numbers)), outside)

    def channel_scale(self, numbers: Tensor) -> Tensor | None:
        windows, channels = self.windows(numbers), self.image[0]
        alone = self.groups == channels == len(numbers) and prod(windows.size) == 1
        in_place = alone and windows.output == windows.image and not any(windows.padding)
        return numbers.flatten() if in_place else None

    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return numbers * _as_kernel(scale, numbers), self

    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        # Of each channel of units those of its group.
        groups = scale.view(self.groups, -1).repeat_interleave(len(numbers) // self.groups, 0)
        return numbers * groups.view(*groups.shape, *[1] * (numbers.dim() - 2)), self


def _as_kernel(scale: Tensor, kernel: Tensor) -> Tensor:
    """A factor for each channel of units, (channels, 1, 1, ...)."""
    return scale.view(-1, *[1] * (kernel.dim() - 1))
