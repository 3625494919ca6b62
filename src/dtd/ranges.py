"""Which values the arguments of rules and root searches can have.

Plain checks, because the library asks for no package that validates.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from dtd.errors import InvalidSetting, shown


@dataclass(frozen=True)
class Range:
    """The integers or finite numbers from ``low`` on, without ``low`` itself if ``above``, and
    below ``below``."""

    low: float
    integer: bool = False
    above: bool = False
    below: float = math.inf

    def check(self, argument: str, value: object) -> None:
        """Refuse what is not in the range.

        Raises:
            InvalidSetting: the value is of another type, or outside.
        """
        kind = int if self.integer else (int, float)
        if (
            not isinstance(value, kind)
            or isinstance(value, bool)
            or not self.low <= value < self.below
            or (self.above and value == self.low)
        ):
            raise InvalidSetting(argument, shown(value), f"allowed is {self}")

    def __str__(self) -> str:
        end = "" if self.below == math.inf else f" and < {self.below:g}"
        noun, sign = "integer" if self.integer else "number", ">" if self.above else ">="
        return f"any {noun} {sign} {self.low:g}{end}"


COUNT = Range(1, integer=True)
POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
TOLERANCE = Range(0, below=1)


def check_choice(argument: str, value: object, allowed: Collection[str]) -> None:
    """Refuse what is none of the names.

    Raises:
        InvalidSetting: with the names that are allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InvalidSetting(argument, shown(value), f"allowed are {', '.join(allowed)}")
