"""Programs of balls as operations on tensors, differentiable to any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from flint import arb
from torch import Tensor

from dtd.numerics.balls import MOST_DIGITS, Balls, Numbers, TooFewDigits, digits, gradient, total

Program = Callable[[Sequence[Balls]], Sequence[Balls]]
"""What computes arrays of balls from others, in the digits of the context."""

_ACCURACY = 64
"""Bits of a row's largest entry that are right, at least: more than a double has."""


class Evaluated(NamedTuple):
    """The outputs of a program, and in how many digits they were computed."""

    outputs: list[Numbers]
    digits: int


def evaluate(program: Program, inputs: Sequence[Tensor], first: Sequence[int]) -> Evaluated:
    """The outputs of a program for inputs as they are.

    With so many digits at first, then with each number of digits that follows, and then with twice
    as many each time until the outputs are accurate to a double's precision, or ``MOST_DIGITS``
    are reached.
    """
    largest = max((float(x.detach().abs().amax()) for x in inputs if x.numel()), default=1.0)
    for number in _numbers(first):
        with digits(number), suppress(TooFewDigits):
            outputs = [balls.value for balls in program([Balls.exact(x) for x in inputs])]
            nothing = largest / arb(10) ** (number // 3)
            if number == MOST_DIGITS or all(_accurate(balls, nothing) for balls in outputs):
                return Evaluated(outputs, number)
    raise AssertionError("with most digits all signs are known")


def _numbers(first: Sequence[int]) -> Iterator[int]:
    """So many digits are tried."""
    yield from (number for number in first if number < MOST_DIGITS)
    number = 2 * first[-1]
    while number < MOST_DIGITS:
        yield number
        number *= 2
    yield MOST_DIGITS


def apply(program: Program, inputs: Sequence[Tensor], first: Sequence[int]) -> tuple[Tensor, ...]:
    """The outputs of a program as tensors like the inputs, with a graph where an input has one."""
    outputs: tuple[Tensor, ...] = _Operation.apply(program, first, *inputs)  # type: ignore[no-untyped-call]
    return outputs


def rounded(balls: Numbers, like: Tensor) -> Tensor:
    """The midpoints as floating point numbers, zero for what may be zero, and NaN for what may be
    anything."""
    numbers = torch.tensor(
        [_rounded(ball) for ball in balls.ravel().tolist()], dtype=torch.float64, device=like.device
    )
    return numbers.to(like).view(balls.shape)


def _rounded(ball: arb) -> float:
    if not ball.is_finite():
        return math.nan
    # Where a bit is known, zero is not inside. To ask for bits takes less time.
    return float(ball) if ball.rel_accuracy_bits() > 0 or 0 not in ball else 0.0


def _accurate(balls: Numbers, nothing: arb) -> bool:
    """Whether the radii are small beside each row's largest entry, or next to nothing.

    They are where each entry is known to as many bits. What is exactly zero is known to all.
    """
    for row in balls.reshape(len(balls), -1).tolist() if balls.size else ():
        if min(map(arb.rel_accuracy_bits, row)) >= _ACCURACY:
            continue
        radius = max(ball.rad() for ball in row)
        largest = max(abs(ball.mid()) for ball in row)
        if not (radius < largest * 2**-_ACCURACY or radius < nothing):
            return False
    return True


class _Operation(torch.autograd.Function):
    """The backward pass is an operation of the same kind, so it can be differentiated as well."""

    @staticmethod
    def forward(
        ctx: Any, program: Program, first: Sequence[int], *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.program, ctx.first = program, first
        ctx.save_for_backward(*inputs)
        outputs = evaluate(program, inputs, first).outputs
        return tuple(rounded(balls, inputs[0]) for balls in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, program = ctx.saved_tensors, ctx.program

        def pulled_back(given: Sequence[Balls]) -> Sequence[Balls]:
            points, weights = given[: len(inputs)], given[len(inputs) :]
            outputs = [o * w for o, w in zip(program(points), weights, strict=True)]
            return [total([gradient(output, x) for output in outputs]) for x in points]

        return None, None, *apply(pulled_back, [*inputs, *grads], ctx.first)
