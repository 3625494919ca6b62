"""The poolings of ``torch``, as modules and as functions."""

from __future__ import annotations

from typing import Any

from dtd.networks.matrices.windows import Windows
from dtd.networks.modules.operation import Operation, each
from dtd.networks.steps import poolings, windows
from dtd.networks.steps.step import Step


def max_pool(operation: Operation) -> Step:
    """The largest of each window."""
    *settings, indices = operation.settings(
        kernel_size=None, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    )
    if indices:
        raise operation.refused("it returns indices; allowed is return_indices=False")
    return poolings.max_pool(operation.image, _windows(operation, *settings), operation.device)


def average_pool(operation: Operation) -> Step:
    """The mean of each window."""
    size, stride, padding, ceil_mode, padded, divisor = operation.settings(
        kernel_size=None,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    )
    windows = _windows(operation, size, stride, padding, 1, ceil_mode)
    return poolings.average_pool(operation.image, windows, divisor, padded, operation.device)


def adaptive_average_pool(operation: Operation) -> Step:
    """The mean of each of some windows of one size that lie side by side."""
    (output,) = operation.settings(output_size=None)
    image = operation.image[1:]
    sizes = each(output, len(image))
    if len(sizes) != len(image):
        raise operation.refused(
            f"it takes images of {len(sizes)} dimensions, and what comes before has {len(image)}"
        )
    wanted = [own if one is None else one for one, own in zip(sizes, image, strict=True)]
    if any(own % one for own, one in zip(image, wanted, strict=True)):
        raise operation.refused(
            f"its windows have different sizes: {'x'.join(map(str, image))} to "
            f"{'x'.join(map(str, wanted))}; allowed is a size that divides that of the image"
        )
    size = [own // one for own, one in zip(image, wanted, strict=True)]
    windows = _windows(operation, size, None, 0, 1, ceil_mode=False)
    return poolings.average_pool(operation.image, windows, device=operation.device)


def mean(operation: Operation) -> Step:
    """The mean over all places of each channel."""
    dimensions = operation.argument(1, "dim")
    places = len(operation.image) - 1
    wanted = {d % (places + 2) for d in each(dimensions, 1)} if dimensions is not None else set()
    if wanted != {*range(2, places + 2)} or not places:
        raise operation.refused("allowed is the mean over height and width, of each channel")
    return poolings.whole_mean(operation.image, operation.device)


def _windows(
    operation: Operation, size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Windows:
    many = len(operation.image) - 1
    stride = size if stride in (None, []) else stride
    size, stride, padding, dilation = (
        each(setting, many) for setting in (size, stride, padding, dilation)
    )
    return windows.windows(operation.image, size, stride, padding, dilation, ceil_mode)
