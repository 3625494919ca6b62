"""Where activations may lie: the reals, the nonnegative orthant, or a box."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.ranges import check_tensor, numbers_of


@dataclass(frozen=True, eq=False)
class Domain:
    """All points with ``low <= a <= high``; both bounds of shape (d,), infinite where open.

    Raises:
        InvalidSetting: the bounds are no tensors of the same shape.
    """

    low: Tensor
    high: Tensor

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            check_tensor(name, bound)
            if not bound.is_floating_point() or not bound.dim() or bound.shape != self.low.shape:
                raise InvalidSetting(
                    name,
                    f"{bound.dtype} of shape {tuple(bound.shape)}",
                    "allowed are floating point numbers, one for every coordinate",
                )

    @classmethod
    def real(cls, size: int = 1) -> Domain:
        """The whole space of ``size`` dimensions; of one, bounds are those of every coordinate."""
        return cls(torch.full((size,), -torch.inf), torch.full((size,), torch.inf))

    @classmethod
    def nonnegative(cls, size: int = 1) -> Domain:
        """The orthant ``a >= 0``, where the activations of a ReLU layer lie."""
        return cls(torch.zeros(size), torch.full((size,), torch.inf))

    @classmethod
    def box(cls, low: object, high: object) -> Domain:
        """The points between two bounds, each a number or one for every coordinate.

        Raises:
            InvalidSetting: bounds are no numbers, of different lengths, or low is above high.
        """
        bounds = _bound("low", low), _bound("high", high)
        try:
            first, second = torch.broadcast_tensors(*bounds)
        except RuntimeError as error:
            lengths = " and ".join(str(len(bound)) for bound in bounds)
            raise InvalidSetting("high", f"{lengths} bounds", "allowed are as many") from error
        domain = cls(first, second)
        domain.check_order("low", shown(low))
        return domain

    def check_order(self, argument: str, value: object) -> None:
        """Refuse bounds between which there is nothing.

        Raises:
            InvalidSetting: with the name and the value that the caller gives.
        """
        if not (self.low <= self.high).all():
            raise InvalidSetting(argument, value, "allowed are bounds with low <= high")

    @property
    def is_box(self) -> bool:
        """Bounded on every side."""
        return bool((self.low.isfinite() & self.high.isfinite()).all())

    @cached_property
    def is_nonnegative(self) -> bool:
        """No coordinate is ever below zero."""
        return bool((self.low >= 0).all())

    def contains(self, a: Tensor, slack: Tensor | float = 0.0) -> Tensor:
        """Whether each point of ``a`` (..., d) lies inside; ``slack`` (..., 1) widens it."""
        return ((a >= self.low - slack) & (a <= self.high + slack)).all(-1)

    def beyond(self, a: Tensor) -> Tensor:
        """Which coordinates of ``a`` (..., d) lie outside, of the same shape."""
        return (a < self.low) | (a > self.high)

    def span(self, coordinate: int) -> str:
        """The bounds of one coordinate, as a message has them."""
        return f"{self.low[coordinate].item()} to {self.high[coordinate].item()}"

    def exits(self, a: Tensor, directions: Tensor) -> Tensor:
        """How far each ray ``a + t u``, u of shape (..., d), stays inside; infinite for ever."""
        room = torch.where(directions > 0, self.high - a, a - self.low).clamp(min=0)
        moves = directions != 0
        speed = torch.where(moves, directions.abs(), 1)
        return torch.where(moves, room / speed, torch.inf).amin(-1)

    def inward(self, a: Tensor, directions: Tensor) -> Tensor:
        """The directions (..., d), mirrored where they would leave the domain at once.

        A symmetric distribution of directions becomes the same one, given that the ray stays.
        Where the domain has no width there is no direction: 0.
        """
        at_low, at_high = a <= self.low, a >= self.high
        size = directions.abs()
        mirrored = torch.where(at_low, size, torch.where(at_high, -size, directions))
        return torch.where(at_low & at_high, 0, mirrored)

    def within(self, low: Tensor, high: Tensor) -> Domain:
        """The part of the domain between two bounds (..., d), broadcast with its own."""
        return Domain(torch.maximum(self.low, low), torch.minimum(self.high, high))

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Domain:
        """A copy of the domain, in another dtype or on another device."""
        return Domain(*(bound.to(device, dtype, copy=True) for bound in (self.low, self.high)))


def _bound(argument: str, value: object) -> Tensor:
    bound = numbers_of(argument, value).double()
    if bound.dim() > 1 or not bound.numel() or bound.isnan().any():
        raise InvalidSetting(
            argument, shown(value), "allowed is a number, or one for every coordinate"
        )
    return bound.reshape(-1)
