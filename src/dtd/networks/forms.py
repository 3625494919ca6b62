"""How the numbers of a layer make up its matrix: dense, as a convolution, or as a mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from dtd.errors import InvalidSetting
from dtd.networks.windows import Shape, Windows
from dtd.numerics.products import row_product

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (functional.conv1d, functional.conv2d)
_TRANSPOSED: tuple[Callable[..., Tensor], ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
)


@dataclass(frozen=True)
class Form(ABC):
    """What makes a matrix W (J, d) of ``numbers``. Rows of a product depend on themselves alone.

    An entry that none of the numbers stands for has the value ``outside``: zero in a matrix that
    something is multiplied by, and in others what a rule gives to a weight of zero.
    """

    kind: ClassVar[str]
    has_outside: ClassVar[bool] = True
    is_pooling: ClassVar[bool] = False
    """Whether nothing in the matrix is learned. Then the masks of rules are zero outside; those of
    others are there what they are for weights of zero."""

    @property
    def together(self) -> Form:
        """The same form, whose products may differ in the last digit with what is beside a row."""
        return self

    def check(self, numbers: Tensor) -> None:
        """Refuse numbers that make no matrix.

        Raises:
            InvalidSetting: they are of another shape, or no real numbers.
        """
        if not (numbers.is_floating_point() and numbers.numel() and self._fits(numbers)):
            raise InvalidSetting(
                "weight",
                f"{numbers.dtype} of shape {tuple(numbers.shape)}",
                f"allowed are floating point numbers {self._allowed}",
            )

    _allowed: ClassVar[str]

    @abstractmethod
    def _fits(self, numbers: Tensor) -> bool:
        """Whether numbers of this shape make a matrix."""

    @abstractmethod
    def inputs(self, numbers: Tensor) -> Shape:
        """The shape of the inputs, (d,) or (channels, height, width)."""

    @abstractmethod
    def outputs(self, numbers: Tensor) -> Shape:
        """The shape of the units, (J,) or (channels, height, width)."""

    @abstractmethod
    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        """``W a`` for rows ``a`` (N, d), shape (N, J)."""

    def apply_shifted(self, numbers: Tensor, a: Tensor, bias: Tensor) -> Tensor:
        """``W a + b``."""
        return self.apply(numbers, a) + bias

    @abstractmethod
    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        """``Wᵀ z`` for rows ``z`` (N, J), shape (N, d)."""

    @abstractmethod
    def rows(self, numbers: Tensor, unit: Tensor, outside: float) -> Tensor:
        """The rows of units (N,), shape (N, d)."""

    @abstractmethod
    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        """The columns of inputs (N,), shape (N, J), of the numbers as :meth:`by_column` gives."""

    def by_column(self, numbers: Tensor) -> Tensor:
        """The numbers in the order in which :meth:`columns` wants them."""
        return numbers

    def entries(self, numbers: Tensor, unit: Tensor, place: Tensor, outside: float) -> Tensor:
        """The entries of units and inputs, all (N,)."""
        return self.rows(numbers, unit, outside).gather(1, place.unsqueeze(1)).squeeze(1)

    def channel_scale(self, numbers: Tensor) -> Tensor | None:
        """The factors (channels,), of a matrix that scales each channel; of others None."""
        return None

    @abstractmethod
    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        """The matrix after which each channel of units is scaled, by factors (channels,)."""

    @abstractmethod
    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        """The matrix before which each channel of inputs is scaled, by factors (channels,)."""

    def dense(self, numbers: Tensor, outside: float) -> Tensor:
        """The matrix, (J, d)."""
        return self.rows(
            numbers, torch.arange(prod(self.outputs(numbers))).to(numbers.device), outside
        )


@dataclass(frozen=True)
class Dense(Form):
    """The numbers are the matrix, of inputs and units that may be the pixels of images."""

    images: Shape = ()
    """The shape of the inputs, where they are images."""
    unit_images: Shape = ()
    """The shape of the units, where they are images."""

    kind: ClassVar[str] = "dense"
    has_outside: ClassVar[bool] = False
    _allowed: ClassVar[str] = "(units, inputs), one of each or more"

    def _fits(self, numbers: Tensor) -> bool:
        return numbers.dim() == 2

    @property
    def together(self) -> Form:
        return Together()

    def inputs(self, numbers: Tensor) -> Shape:
        return self.images or (numbers.shape[1],)

    def outputs(self, numbers: Tensor) -> Shape:
        return self.unit_images or (numbers.shape[0],)

    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        return row_product(a, numbers.T)

    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        return row_product(z, numbers)

    def rows(self, numbers: Tensor, unit: Tensor, outside: float) -> Tensor:
        return numbers.index_select(0, unit)

    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        return numbers.index_select(0, place)

    def by_column(self, numbers: Tensor) -> Tensor:
        return numbers.T.contiguous()

    def entries(self, numbers: Tensor, unit: Tensor, place: Tensor, outside: float) -> Tensor:
        return numbers.take(unit * numbers.shape[1] + place)

    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return numbers * _repeated(scale, len(numbers)).unsqueeze(1), self

    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return numbers * _repeated(scale, numbers.shape[1]), self

    def dense(self, numbers: Tensor, outside: float) -> Tensor:
        return numbers


class Together(Dense):
    """A dense matrix by which all rows are multiplied in one call: for one row in a tenth of the
    time."""

    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        return functional.linear(a, numbers)

    def apply_shifted(self, numbers: Tensor, a: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(a, numbers, bias)

    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        return z @ numbers


DENSE = Dense()


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
        channel, window = _divided(unit, prod(windows.output))
        per_group = channels // self.groups
        first = channel // (len(numbers) // self.groups) * per_group
        within = first.unsqueeze(1) + torch.arange(per_group, device=unit.device)
        places = _in_channels(within, windows.places(window), prod(image))
        return _scattered(places, numbers[channel].flatten(1), prod(self.image), outside)

    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        windows, (channels, *image) = self.windows(numbers), self.image
        channel, at = _divided(place, prod(image))
        group, within = _divided(channel, channels // self.groups)
        per_group = len(numbers) // self.groups
        out = group.unsqueeze(1) * per_group + torch.arange(per_group, device=place.device)
        units = _in_channels(out, windows.covering(at), prod(windows.output))
        values = numbers[out, within.unsqueeze(1)].flatten(1)
        return _scattered(units, values, prod(self.outputs(numbers)), outside)

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


@dataclass(frozen=True)
class Averaging(Form):
    """A mean over windows of each channel, or a sum: the only number is the weight of an entry.

    ``image`` is (channels, width) or (channels, height, width).

    The direction of a rule is that of the inputs in the window, as it is for a maximum. Were the
    others weights of zero, ``z+`` would move them as well. As no unit has a bias, every root would
    then be the origin, where relevance functions of layers with biases have poles.
    """

    kind: ClassVar[str] = "average"
    is_pooling: ClassVar[bool] = True
    _allowed: ClassVar[str] = "(1,)"

    image: Shape
    windows: Windows

    def _fits(self, numbers: Tensor) -> bool:
        return numbers.shape == (1,) and self.image[1:] == self.windows.image

    @cached_property
    def _channel(self) -> Convolution:
        """The same for one channel."""
        w = self.windows
        return Convolution((1, *w.image), w.stride, w.padding, w.dilation)

    def _kernel(self, numbers: Tensor) -> Tensor:
        return numbers.expand(1, 1, *self.windows.size)

    def inputs(self, numbers: Tensor) -> Shape:
        return self.image

    def outputs(self, numbers: Tensor) -> Shape:
        return (self.image[0], *self.windows.output)

    def apply(self, numbers: Tensor, a: Tensor) -> Tensor:
        channels = a.reshape(-1, prod(self.windows.image))
        means = self._channel.apply(self._kernel(numbers), channels)
        return means.view(len(a), prod(self.outputs(numbers)))

    def apply_transposed(self, numbers: Tensor, z: Tensor) -> Tensor:
        channels = z.reshape(-1, prod(self.windows.output))
        shares = self._channel.apply_transposed(self._kernel(numbers), channels)
        return shares.view(len(z), prod(self.image))

    def rows(self, numbers: Tensor, unit: Tensor, outside: float) -> Tensor:
        channel, window = _divided(unit, prod(self.windows.output))
        places = self.windows.places(window)
        within = _in_channels(channel.unsqueeze(1), places, prod(self.windows.image))
        return _scattered(within, numbers.expand_as(places), prod(self.image), outside)

    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        channel, at = _divided(place, prod(self.windows.image))
        covering, size = self.windows.covering(at), prod(self.windows.output)
        units = _in_channels(channel.unsqueeze(1), covering, size)
        return _scattered(units, numbers.expand_as(covering), self.image[0] * size, outside)

    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        w = self.windows
        kernel = numbers.expand(self.image[0], 1, *w.size)
        form = Convolution(self.image, w.stride, w.padding, w.dilation, groups=self.image[0])
        return kernel * _as_kernel(scale, kernel), form

    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return self.units_scaled(numbers, scale)


def _divided(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Channel and place in it, both (N,), of flat indices (N,)."""
    return index // size, index % size


def _in_channels(channel: Tensor, place: Tensor, size: int) -> Tensor:
    """Flat indices (N, C K) of places (N, K) in each of some channels (N, C); -1 stays."""
    flat = channel.unsqueeze(2) * size + place.unsqueeze(1)
    return torch.where(place.unsqueeze(1) < 0, -1, flat).flatten(1)


def _scattered(index: Tensor, values: Tensor, size: int, outside: float) -> Tensor:
    """Rows (N, size) with the values (N, K) at the indices (N, K); those at -1 are left out."""
    rows = values.new_full((len(index), size + 1), outside)
    return rows.scatter_(1, torch.where(index < 0, size, index), values)[:, :size]


def _repeated(scale: Tensor, size: int) -> Tensor:
    """For each of so many units the factor of its channel."""
    return scale.repeat_interleave(size // len(scale))


def _as_kernel(scale: Tensor, kernel: Tensor) -> Tensor:
    """A factor for each channel of units, (channels, 1, 1, ...)."""
    return scale.view(-1, *[1] * (kernel.dim() - 1))
