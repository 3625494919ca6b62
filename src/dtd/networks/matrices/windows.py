"""Where the windows of a convolution or a pooling lie on an image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows of one ``size`` on an image of one channel, in one, two or more dimensions.

    All fields have an entry for each dimension; ``padding`` is what is added on each side. The
    places of the image and the windows are numbered in C order.
    """

    image: Shape
    size: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    @cached_property
    def _dimensions(self) -> list[tuple[int, int, int, int, int]]:
        """The fields of each dimension."""
        fields = (self.image, self.size, self.stride, self.padding, self.dilation)
        return list(zip(*fields, strict=True))

    @cached_property
    def _room(self) -> Shape:
        """The last place of each dimension that a window can begin at, padding counted."""
        return tuple(
            image + 2 * padding - dilation * (size - 1) - 1
            for image, size, _, padding, dilation in self._dimensions
        )

    @cached_property
    def output(self) -> Shape:
        """How many windows there are in each dimension."""
        return tuple(room // step + 1 for room, step in zip(self._room, self.stride, strict=True))

    @property
    def remainder(self) -> Shape:
        """How many places at the end of each dimension no window begins at."""
        return tuple(room % step for room, step in zip(self._room, self.stride, strict=True))

    @property
    def reach_the_image(self) -> bool:
        """Whether there are windows, and none of them lies on padding alone."""
        inside = []
        for (image, size, stride, padding, dilation), output in zip(
            self._dimensions, self.output, strict=True
        ):
            begin = torch.arange(max(output, 0)) * stride - padding
            # The first place of each window that is not before the image.
            first = begin + (dilation - 1 - begin).clamp(min=0) // dilation * dilation
            inside.append(output > 0 and (first < (begin + dilation * size).clamp(max=image)).all())
        return all(inside)

    def places(self, window: Tensor) -> Tensor:
        """The places (N, K) that windows (N,) cover; where that is padding, -1."""
        ranges = []
        for at, (_, size, stride, padding, dilation) in zip(
            _split(window, self.output), self._dimensions, strict=True
        ):
            begin = at.unsqueeze(1) * stride - padding
            ranges.append(begin + dilation * torch.arange(size, device=at.device))
        return _joined(ranges, self.image)

    def covering(self, place: Tensor) -> Tensor:
        """The windows (N, K) that cover places (N,), by where in the window; where none, -1."""
        ranges = []
        for at, (_, size, stride, padding, dilation) in zip(
            _split(place, self.image), self._dimensions, strict=True
        ):
            begin = at.unsqueeze(1) + padding - dilation * torch.arange(size, device=at.device)
            ranges.append(torch.where(begin % stride == 0, begin // stride, -1))
        return _joined(ranges, self.output)


def _split(index: Tensor, shape: Shape) -> list[Tensor]:
    """The coordinates (N,) of flat indices (N,)."""
    return [index // prod(shape[d + 1 :]) % length for d, length in enumerate(shape)]


def _joined(coordinates: list[Tensor], shape: Shape) -> Tensor:
    """All combinations of coordinates (N, k) as flat indices (N, K), -1 where one is outside."""
    flat = coordinates[0].new_zeros(len(coordinates[0]), 1)
    outside = torch.zeros_like(flat, dtype=torch.bool)
    for at, length in zip(coordinates, shape, strict=True):
        flat = (flat.unsqueeze(2) * length + at.unsqueeze(1)).flatten(1)
        outside = (outside.unsqueeze(2) | ((at < 0) | (at >= length)).unsqueeze(1)).flatten(1)
    return torch.where(outside, -1, flat)
