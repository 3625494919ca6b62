"""The samples that a caller gives, as a tensor on the network's device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.modules.reading import Reading
from dtd.ranges import numbers_of

Place = tuple[torch.dtype, torch.device]
"""The dtype and the device of a network."""


def samples_of(value: object, reading: Reading, domain: Domain, place: Place) -> Tensor:
    """A copy of samples (B, ...), in the shape in which they are given.

    Raises:
        InvalidSetting: they are not possible as inputs.
    """
    size, shape = reading.network.widths[0], reading.network.shapes[0]
    any_shape = reading.flattens
    allowed = f"(B, {', '.join(map(str, shape))})" + f" or (B, {size})" * (len(shape) > 1)
    samples = batch_of(
        value,
        lambda given: (
            len(given) > 1
            and given[0] > 0
            and (given[1:].numel() == size if any_shape else given[1:] in (shape, (size,)))
        ),
        allowed + " or another shape of as many entries" * any_shape + ", of one sample or more",
        place,
    )
    inside = domain.contains(samples.flatten(1))
    if not inside.all():
        outside = int((~inside).nonzero()[0])
        raise InvalidSetting(
            "x",
            f"sample {outside}",
            "it lies outside the domain; allowed are samples in it, or another domain",
        )
    return samples


def batch_of(
    value: object,
    shape: Callable[[torch.Size], bool],
    allowed: str,
    place: Place,
    argument: str = "x",
) -> Tensor:
    """A copy of numbers (B, ...) in a dtype and on a device, as they came otherwise.

    Args:
        value: a tensor, an array or nested lists.
        shape: whether a shape is allowed.
        allowed: which ones are, in words.
        place: the dtype and the device of the network.
        argument: what the caller calls them.

    Raises:
        InvalidSetting: they have another shape, are no finite numbers or lie on another device.
    """
    dtype, device = place
    if isinstance(value, Tensor) and value.device != device:
        raise InvalidSetting(
            argument, f"a tensor on {value.device}", f"the network is on {device}; move one of them"
        )
    numbers = numbers_of(argument, value)
    if not shape(numbers.shape):
        raise InvalidSetting(argument, f"shape {tuple(numbers.shape)}", f"allowed is {allowed}")
    numbers = numbers.to(device, dtype, copy=True)
    endless = (~numbers.isfinite()).nonzero()
    if len(endless):
        sample, *feature = endless[0].tolist()
        named = feature[0] if len(feature) == 1 else tuple(feature)
        raise InvalidSetting(
            argument,
            f"sample {sample}, feature {named}",
            f"it is {numbers[sample, *feature].item()}; allowed are finite numbers in "
            f"{dtype_name(dtype)}",
        )
    return numbers


def dtype_name(dtype: torch.dtype) -> str:
    """As a message has it."""
    return str(dtype).removeprefix("torch.")
