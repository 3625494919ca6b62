"""Which values arguments can have.

Plain checks, because the library asks for no package that validates.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown


@dataclass(frozen=True)
class Range:
    """The integers or finite numbers from ``low`` on, without ``low`` itself if ``above``, and
    below ``below``. Numbers of numpy are numbers, true and false are none."""

    low: float
    integer: bool = False
    above: bool = False
    below: float = math.inf

    def __contains__(self, value: object) -> bool:
        number = isinstance(value, (int, np.integer) if self.integer else _NUMBER)
        return (
            number
            and not isinstance(value, bool)
            and self.low <= value < self.below  # type: ignore[operator]
            and not (self.above and value == self.low)
        )

    def check(self, argument: str, value: object) -> None:
        """Refuse what is not in the range.

        Raises:
            InvalidSetting: the value is of another type, or outside.
        """
        if value not in self:
            raise InvalidSetting(argument, shown(value), f"allowed is {self}")

    def __str__(self) -> str:
        end = "" if self.below == math.inf else f" and < {self.below:g}"
        noun, sign = "integer" if self.integer else "number", ">" if self.above else ">="
        return f"any {noun} {sign} {self.low:g}{end}"


_NUMBER = (int, float, np.integer, np.floating)
COUNT = Range(1, integer=True)
POSITIVE = Range(0, above=True)
TOLERANCE = Range(0, below=1)


def check_choice(argument: str, value: object, allowed: Collection[str]) -> None:
    """Refuse what is none of the names.

    Raises:
        InvalidSetting: with the names that are allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InvalidSetting(argument, shown(value), f"allowed are {', '.join(allowed)}")


def check_flag(argument: str, value: object) -> None:
    """Refuse what is neither true nor false.

    Raises:
        InvalidSetting: it is something else.
    """
    if not isinstance(value, bool | np.bool_):
        raise InvalidSetting(argument, shown(value), "allowed are True and False")


def index_of(argument: str, value: object, count: int, what: str) -> int:
    """The number of one of ``count`` things, such as a layer; ``what`` names them.

    Raises:
        InvalidSetting: there is no such thing.
    """
    try:
        index = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        index = -1
    if not 0 <= index < count:
        raise InvalidSetting(argument, shown(value), f"allowed is {what} from 0 to {count - 1}")
    return index


def check_tensor(argument: str, value: object) -> None:
    """Refuse all but a dense tensor of real numbers.

    Raises:
        InvalidSetting: it is none.
    """
    if not isinstance(value, Tensor) or not is_dense(value):
        raise InvalidSetting(argument, type(value).__name__, "allowed is a dense, real tensor")


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor holds a real number for each of its places."""
    strided = tensor.layout is torch.strided and not (tensor.is_nested or tensor.is_meta)
    return strided and not (
        tensor.dtype is torch.bool or tensor.is_complex() or tensor.is_quantized
    )


def numbers_of(argument: str, value: object) -> Tensor:
    """A tensor of real numbers from a tensor, an array or nested lists, without its graph.

    Raises:
        InvalidSetting: it holds something else.
    """
    try:
        given = value if isinstance(value, Tensor) else torch.tensor(np.array(value, order="C"))
        check_tensor(argument, given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        said = repr(value) if isinstance(value, str) else type(value).__name__
        raise InvalidSetting(
            argument, said, "allowed are real numbers in a dense tensor, an array or nested lists"
        ) from error
    return given.detach()


def shape_of(value: object) -> tuple[int, ...]:
    """The shape of one sample.

    Raises:
        InvalidSetting: it is none.
    """
    if not isinstance(value, list | tuple) or not all(size in COUNT for size in value):
        raise InvalidSetting(
            "input_shape", shown(value), "allowed are the sizes of one sample, as (1, 28, 28)"
        )
    return tuple(map(int, value))
