"""``network=cnn``: convolutions and poolings, then dense layers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd.networks.initial import drawn
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.layers.maximum import Maximum
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.dense import DENSE
from dtd.networks.matrices.windows import Shape, Windows
from dtd.networks.network import Layer, Network
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Count, OneOf
from dtd_cli.networks.initialisers import INITIALISERS
from dtd_cli.networks.specification import EndsInDense

_POOL = (2, 2)


def _maximum(form: Averaging) -> AnyLayer:
    return Maximum(form, torch.ones(1))


def _mean(form: Averaging) -> AnyLayer:
    weight = torch.full((1,), 1 / prod(_POOL))
    return Layer(weight, torch.zeros(prod(form.outputs(weight))), form=form)


POOLINGS = {"max": _maximum, "avg": _mean}
"""The layer of a pooling."""


@dataclass(frozen=True)
class Convolutional(EndsInDense):
    """For each of ``channels`` a convolution with a ReLU and a 2x2 pooling, then dense layers.

    ``kernel`` is the side of all kernels. ``padding`` is what is added on each side of an image;
    where it is null, nothing if the images are large enough for that, else half a kernel. The rest
    is as in ``network=mlp``, and drawn in the same way.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, *Gradient-based learning applied to document
    recognition*, Proceedings of the IEEE 86, 2278-2324, 1998 (LeNet-5, from which the defaults
    come).
    """

    channels: Annotated[list[Count], Field(min_length=1, description="a list of one count or more")]
    kernel: Count
    padding: Annotated[int, Field(ge=0)] | None
    pooling: Annotated[str, OneOf(POOLINGS)]

    def build(self, shape: Shape, output_size: int) -> Network:
        generator = torch.Generator().manual_seed(self.seed)
        initialise = INITIALISERS[self.init]
        layers: list[AnyLayer] = []
        for size, convolution, pooling in self._blocks(shape):
            layers.append(initialise(drawn(size, generator, convolution)))
            layers.append(POOLINGS[self.pooling](pooling))
        for units in (*self.hidden, self.outputs or output_size):
            layers.append(initialise(drawn((units, layers[-1].units), generator, DENSE)))
        *hidden, last = layers
        return Network((*hidden, last.with_relu(self.output_relu)))

    def _blocks(self, shape: Shape) -> list[tuple[Shape, Convolution, Averaging]]:
        """Of each block the shape of its kernels, the convolution and the pooling.

        Raises:
            SettingError: the inputs are no images, or too small.
        """
        if len(shape) != 3:
            raise SettingError(
                "network",
                "cnn",
                f"the inputs are {prod(shape)} numbers and no images; allowed are inputs=digits, "
                "inputs=mnist, inputs=csv with inputs.image=[height,width], or network=mlp",
            )
        paddings = (0, self.kernel // 2) if self.padding is None else (self.padding,)
        for padding in paddings:
            blocks = list(self._padded(shape, padding))
            if len(blocks) == len(self.channels):
                return blocks
        raise SettingError(
            "network.channels",
            self.channels,
            f"nothing is left of images of {shape[1]}x{shape[2]} pixels after {len(blocks) + 1} "
            f"convolutions with 2x2 pooling; allowed are fewer channels, network.kernel below "
            f"{self.kernel}, or network.padding above {padding}",
        )

    def _padded(self, image: Shape, padding: int) -> Iterator[tuple[Shape, Convolution, Averaging]]:
        """The blocks with this padding, as long as something is left of the image."""
        size = (self.kernel, self.kernel)
        for channels in self.channels:
            windows = Windows(image[1:], size, (1, 1), (padding, padding), (1, 1))
            pool = Windows(windows.output, _POOL, _POOL, (0, 0), (1, 1))
            if min(pool.output) < 1:
                return
            convolution = Convolution(image, windows.stride, windows.padding, windows.dilation)
            yield (
                (channels, image[0], *size),
                convolution,
                Averaging((channels, *windows.output), pool),
            )
            image = (channels, *pool.output)
