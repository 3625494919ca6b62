"""How near to the roots limits are evaluated, with how many digits (theory, section 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import flint
from flint import arb

from dtd.numerics.balls import MOST_DIGITS


@dataclass(frozen=True)
class Positions:
    """The positions 10⁻ᵉ on the segments from a root (0) to its anchor (1), limit inside limit.

    The outermost limit is taken at ``10^-first``. An inner one comes first in the definition, so
    its position has to be small beside all that the outer ones left. With p the product of their
    positions it is ``10^-first p^apart``: relevance may grow like 1/p towards a root, or like a
    higher power of it, and ``apart`` has to exceed that power.
    """

    first: int
    apart: int

    def of_degree(self, degree: int) -> Positions:
        """Those for Taylor terms up to a degree: each derivative makes a pole steeper."""
        return replace(self, apart=degree * self.apart)

    def finer(self, digits: int) -> Positions:
        """Positions so many digits nearer to the roots."""
        return replace(self, first=self.first + digits)

    def exponents(self, count: int) -> list[int]:
        """e for so many limits inside each other, as near as ``MOST_DIGITS`` tell them apart."""
        exponents, apart = self._exponents(count, self.apart), float(self.apart)
        while _digits(exponents) > MOST_DIGITS and apart > _LEAST_APART:
            apart -= _CLOSER
            exponents = self._exponents(count, apart)
        return exponents

    def of(self, count: int) -> list[arb]:
        """The positions, in the digits of the context."""
        return [1 / arb(10) ** exponent for exponent in self.exponents(count)]

    def digits(self, count: int) -> list[int]:
        """With how many digits to begin, and to go on, where up to so many limits are needed.

        One limit is tried at first, then twice as many each time.
        """
        whole = _digits(self.exponents(count))
        tried = (_digits(self.exponents(few), inner=True) for few in _few(count))
        return [*(number for number in tried if number < whole), whole]

    def told_apart(self, count: int) -> int:
        """How many of so many limits are taken in the digits of the context: the outer ones.

        All in most digits, where nothing is left to try.
        """
        if flint.ctx.dps >= MOST_DIGITS:
            return count
        for few in _few(count):
            if flint.ctx.dps <= _digits(self.exponents(few), inner=True):
                return few
        return count

    def _exponents(self, count: int, apart: float) -> list[int]:
        exponents: list[int] = []
        for _ in range(count):
            exponents.append(self.first + ceil(apart * sum(exponents)))
        return exponents


_LEAST_APART = 1.25
"""It exceeds 1, the power of a simple pole."""
_CLOSER = 0.25


def _few(count: int) -> list[int]:
    """The powers of two below a number; none below two, which need hardly more digits than one."""
    return [2**power for power in range((count - 1).bit_length())] if count > 2 else []


def _digits(exponents: Sequence[int], inner: bool = False) -> int:
    """How many digits tell positions apart, and from what is zero at ``inner`` limits."""
    return (120 if inner else 60) + (4 if inner else 3) * sum(exponents)


NEAR = Positions(first=14, apart=2)
"""To compare with."""
NEARER = Positions(first=17, apart=3)
"""What is taken as the limit."""
NEAR_SEARCHED = Positions(first=11, apart=2)
"""As ``NEAR``, for roots that were searched and are known to rounding only."""
NEARER_SEARCHED = Positions(first=13, apart=3)
"""As ``NEARER``, for such roots: far enough to be on the anchor's side of what was missed."""
UNBOUNDED = Positions(first=3, apart=2)
"""Of the number that stands for a limit that is infinite."""


def pair_for(degree: int, searched: bool) -> tuple[Positions, Positions]:
    """Where limits are compared and where they are taken, for Taylor terms up to a degree, at roots
    that were ``searched`` or not."""
    near, nearer = (NEAR_SEARCHED, NEARER_SEARCHED) if searched else (NEAR, NEARER)
    return near.of_degree(degree), nearer.of_degree(degree)
