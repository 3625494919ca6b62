"""The windows of a convolution or a pooling, from settings that are checked."""

from __future__ import annotations

from math import prod

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape, Windows

LARGEST = 2**26
"""Units of a layer, or inputs of a window: what has more does not fit into memory."""


def windows(
    image: Shape,
    size: Shape,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    ceil_mode: bool = False,
) -> Windows:
    """Where windows lie on each channel of images of the shape ``image``."""
    check_windows(image, size, stride, padding, dilation)
    made = Windows(image[1:], size, stride, padding, dilation)
    if min(made.output) < 1:
        raise InvalidSetting("window", size, f"allowed are windows that fit into {image[1:]}")
    if max(image[0] * prod(made.output), prod(size)) > LARGEST:
        raise InvalidSetting(
            "window", f"{size} with padding {padding}", f"allowed are at most {LARGEST} units"
        )
    if ceil_mode and any(made.remainder):
        raise InvalidSetting(
            "ceil_mode",
            True,
            "its last windows reach over the edge; allowed are windows that cover the image",
        )
    return made


def check_windows(
    image: Shape, size: Shape, stride: Shape, padding: Shape, dilation: Shape
) -> None:
    """Refuse what is no image, or no number for each of its dimensions."""
    if len(image) not in (2, 3):
        raise InvalidSetting(
            "input",
            f"of shape {image}",
            "allowed are images of shape (channels, width) or (channels, height, width)",
        )
    for name, least, given in (
        ("window", 1, size),
        ("stride", 1, stride),
        ("padding", 0, padding),
        ("dilation", 1, dilation),
    ):
        if len(given) != len(image) - 1 or min(given) < least:
            raise InvalidSetting(
                name, given, f"allowed is a number >= {least} for each of {image[1:]}"
            )
