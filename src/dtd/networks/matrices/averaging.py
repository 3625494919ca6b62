"""The matrix of a mean over windows, which has one number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import ClassVar

from torch import Tensor

from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.form import Form
from dtd.networks.matrices.places import divided, in_channels, scattered
from dtd.networks.matrices.windows import Shape, Windows


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
        channel, window = divided(unit, prod(self.windows.output))
        places = self.windows.places(window)
        within = in_channels(channel.unsqueeze(1), places, prod(self.windows.image))
        return scattered(within, numbers.expand_as(places), prod(self.image), outside)

    def columns(self, numbers: Tensor, place: Tensor, outside: float) -> Tensor:
        channel, at = divided(place, prod(self.windows.image))
        covering, size = self.windows.covering(at), prod(self.windows.output)
        units = in_channels(channel.unsqueeze(1), covering, size)
        return scattered(units, numbers.expand_as(covering), self.image[0] * size, outside)

    def units_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        w = self.windows
        kernel = numbers.expand(self.image[0], 1, *w.size)
        form = Convolution(self.image, w.stride, w.padding, w.dilation, groups=self.image[0])
        return form.units_scaled(kernel, scale)

    def inputs_scaled(self, numbers: Tensor, scale: Tensor) -> tuple[Tensor, Form]:
        return self.units_scaled(numbers, scale)
