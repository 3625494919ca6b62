"""The samples that a caller gives, as a tensor on the network's device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    outside = domain.beyond(samples.flatten(1))
    if outside.any():
        first = outside.unflatten(1, samples.shape[1:]).nonzero()[0].tolist()
        span = domain.span(int(outside.nonzero()[0, 1]))
        raise InvalidSetting(
            "x",
            _place(first),
            f"it is {samples[*first].item()}, outside the domain, which is {span} there; "
            "allowed are samples in it, or another domain",
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
        first = endless[0].tolist()
        raise InvalidSetting(
            argument,
            _place(first),
            f"it is {numbers[*first].item()}; allowed are finite numbers in {dtype_name(dtype)}",
        )
    return numbers


def _place(index: Sequence[int]) -> str:
    """What a message calls a number in a batch of samples."""
    sample, *feature = index
    return f"sample {sample}, feature {feature[0] if len(feature) == 1 else tuple(feature)}"


def dtype_name(dtype: torch.dtype) -> str:
    """As a message has it."""
    return str(dtype).removeprefix("torch.")
