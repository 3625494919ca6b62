"""Arrays of balls: numbers of many digits with proven error bounds, which can be differentiated.

A ball is a midpoint and a radius, and holds the true value for certain (F. Johansson, Arb:
efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 2017). How
many digits the midpoints have is said by flint's context. An array remembers how it was made, and
its gradients are arrays that remember it too, so derivatives of any order can be taken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import flint
import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.object_]
"""An array whose entries are balls."""
Indices = NDArray[np.intp]

MOST_DIGITS = 10_000
"""With so many, what may be zero is."""

_next_id = count().__next__
_ZERO, _ONE = arb(0), arb(1)


class TooFewDigits(Exception):
    """A sign is not known."""


@contextmanager
def digits(number: int) -> Iterator[None]:
    """Balls are computed with so many decimal digits."""
    with flint.ctx.workdps(number):
        yield


def around_zero() -> arb:
    """An interval around zero, so wide that numbers which depend on it are not known to be zero.

    Not even where ``nonzero`` asks and weights of 1e-39 are on the way, in 188 digits.
    """
    return arb(0, arb(10) ** -(flint.ctx.dps // 8))


def size_of_ball(number: int) -> int:
    """About how many bytes a ball of so many decimal digits has."""
    return 100 + number * 10 // 24


@dataclass(frozen=True, eq=False)
class Balls:
    """An array of balls.

    ``parents`` are the arrays that it was made of. With each comes what takes a gradient by this
    array to one by the parent.
    """

    value: Numbers
    parents: tuple[tuple[Balls, Callable[[Balls], Balls]], ...] = ()
    id: int = field(default_factory=_next_id)
    """Larger than those of the parents."""

    @classmethod
    def exact(cls, numbers: Tensor) -> Balls:
        """Floating point numbers as they are."""
        return cls(exact(numbers))

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Which entries are positive.

        Raises:
            TooFewDigits: as :attr:`nonzero`.
        """
        return np.asarray(self.nonzero & (self.value > 0).astype(bool), dtype=bool)

    @property
    def nonzero(self) -> NDArray[np.bool_]:
        """Which entries are not zero. What may be zero is, if it is known to a third of the digits.

        Raises:
            TooFewDigits: an entry is not known well enough.
        """
        nonzero = np.asarray(self.value != 0, dtype=bool)
        zeros = self.value[~nonzero]
        if len(zeros) and flint.ctx.dps < MOST_DIGITS:
            least = arb(10) ** -(flint.ctx.dps // 3)
            if not all(ball.rad() < least for ball in zeros):
                raise TooFewDigits
        return nonzero

    def check_signs(self) -> None:
        """Raises TooFewDigits where an entry may be zero, and is not zero without rounding."""
        if not all(ball == 0 for ball in self.value[~(self.value != 0).astype(bool)]):
            raise TooFewDigits

    def __len__(self) -> int:
        return len(self.value)

    def __add__(self, other: Balls) -> Balls:
        return Balls(self.value + other.value, ((self, _same), (other, _same)))

    def __neg__(self) -> Balls:
        return _linear(self, np.negative, np.negative)

    def __sub__(self, other: Balls) -> Balls:
        return self + (-other)

    def __mul__(self, other: Balls) -> Balls:
        """Entry by entry."""
        product = self.value * other.value
        return Balls(product, ((self, lambda g: g * other), (other, lambda g: g * self)))

    def reciprocal(self) -> Balls:
        """``1 / self``, entry by entry."""
        return Balls(1 / self.value, ((self, lambda g: -(g * self.reciprocal().square())),))

    def square(self) -> Balls:
        """Entry by entry."""
        return self * self

    def scaled(self, factor: Numbers | arb | int) -> Balls:
        """Times a constant."""
        return _linear(self, lambda v: v * factor, lambda v: v * factor)

    def shifted(self, by: Numbers | arb) -> Balls:
        """Plus a constant of no larger shape."""
        return Balls(self.value + by, ((self, _same),))

    def rows(self, index: Indices) -> Balls:
        """Some of the rows, also more than once."""
        size = len(self)
        return _linear(self, lambda v: v[index], lambda v: _summed(v, index, size))

    def summed(self, index: Indices, size: int) -> Balls:
        """So many rows: row n is added to row ``index[n]``."""
        return _linear(self, lambda v: _summed(v, index, size), lambda v: v[index])

    def entries(self, column: Indices) -> Balls:
        """One entry of each row, (N,)."""
        row, width = np.arange(len(column)), self.value.shape[1]

        def placed(v: Numbers) -> Numbers:
            whole = zeros(len(column), width)
            whole[row, column] = v
            return whole

        return _linear(self, lambda v: v[row, column], placed)

    def mixed(self, row: Indices, places: Indices, shares: Numbers) -> Balls:
        """For each m the sum over k of ``shares[m, k]`` times entry ``places[m, k]`` of row
        ``row[m]``, (M,)."""
        index, shape = (row[:, None], places), self.value.shape

        def placed(v: Numbers) -> Numbers:
            whole = zeros(*shape)
            np.add.at(whole, index, v[:, None] * shares)
            return whole

        return _linear(self, lambda v: (v[index] * shares).sum(1), placed)

    def reshaped(self, *shape: int) -> Balls:
        """The same entries in another shape."""
        own = self.value.shape
        return _linear(self, lambda v: v.reshape(shape), lambda v: v.reshape(own))

    def row_sums(self) -> Balls:
        """The sum of each row, (N,)."""
        width = self.value.shape[1]
        return _linear(self, _row_sums, lambda v: _repeated(v, width))

    def repeated(self, width: int) -> Balls:
        """Rows (N, width) of one and the same entry, from entries (N,)."""
        return _linear(self, lambda v: _repeated(v, width), _row_sums)

    def times(self, matrix: BallMatrix) -> Balls:
        """``matrix @ row`` for each row."""

        def turned(v: Numbers) -> Numbers:
            # Only gradients need the transposed matrix.
            return matrix.transposed.product(v)

        return _linear(self, matrix.product, turned)


class BallMatrix(ABC):
    """A matrix (J, d) without radii."""

    @abstractmethod
    def product(self, v: Numbers) -> Numbers:
        """Its product with each row (N, d), (N, J)."""

    @property
    @abstractmethod
    def transposed(self) -> BallMatrix:
        """The matrix (d, J)."""


def exact(numbers: Tensor) -> Numbers:
    """Floating point numbers as balls without a radius."""
    flat, balls = np.asarray(numbers.detach().cpu()).ravel(), zeros(*numbers.shape)
    # Most weights of a convolution are zero, which is one ball.
    places = np.flatnonzero(flat)
    balls.reshape(-1)[places] = [arb(value) for value in flat[places].tolist()]
    return balls


def matrix(numbers: Numbers) -> arb_mat:
    """As a matrix that arrays can be multiplied with."""
    rows, columns = numbers.shape
    return arb_mat(rows, columns, numbers.ravel().tolist())


def zeros(*shape: int) -> Numbers:
    """Zeros without a radius."""
    balls = np.empty(shape, dtype=object)
    balls.fill(_ZERO)
    return balls


def is_zero(numbers: Numbers) -> NDArray[np.bool_]:
    """Which entries are zero without a radius."""
    return np.asarray(numbers == _ZERO, dtype=bool)


def total(arrays: Sequence[Balls]) -> Balls:
    """The sum of one or more arrays of one shape."""
    first, *rest = arrays
    return sum(rest, first)


def gradient(values: Balls, at: Balls) -> Balls:
    """The gradient of the sum of all values by the array ``at``; zero where it has no part."""
    order = _between(at, values)
    ones = np.empty_like(values.value)
    ones.fill(_ONE)
    gradients = {values.id: Balls(ones)}
    wanted = {node.id for node in order} | {at.id}
    for node in reversed(order):
        g = gradients.pop(node.id)
        for parent, pull_back in node.parents:
            if parent.id in wanted:
                part = pull_back(g)
                before = gradients.get(parent.id)
                gradients[parent.id] = part if before is None else before + part
    gradient = gradients.get(at.id)
    return Balls(zeros(*at.value.shape)) if gradient is None else gradient


def _between(at: Balls, values: Balls) -> list[Balls]:
    """The arrays that depend on ``at`` and that the values depend on, parents first."""
    leads, order, visited = {at.id}, list[Balls](), set[int]()
    stack = [(values, False)]
    while stack:
        node, done = stack.pop()
        if done:
            if any(parent.id in leads for parent, _ in node.parents):
                leads.add(node.id)
                order.append(node)
        elif node.id > at.id and node.id not in visited:
            visited.add(node.id)
            stack.append((node, True))
            stack += [(parent, False) for parent, _ in node.parents]
    return order


def _linear(
    x: Balls, forward: Callable[[Numbers], Numbers], adjoint: Callable[[Numbers], Numbers]
) -> Balls:
    """A linear map of x."""
    return Balls(forward(x.value), ((x, lambda g: _linear(g, adjoint, forward)),))


def _same(g: Balls) -> Balls:
    return g


def _row_sums(v: Numbers) -> Numbers:
    return v.sum(1) if v.shape[1] else zeros(len(v))


def _repeated(v: Numbers, width: int) -> Numbers:
    return np.repeat(v[:, None], width, 1)


def _summed(v: Numbers, index: Indices, size: int) -> Numbers:
    whole = zeros(size, *v.shape[1:])
    np.add.at(whole, index, v)
    return whole
