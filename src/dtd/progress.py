"""How work says how far it is, to whoever wants to show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Hands out items one by one, and may tell the user how many are left."""

    def __call__(self, items: Sequence[T], what: str) -> Iterable[T]:
        """The items in their order; ``what`` names them."""


def untracked(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, and nothing is shown."""
    return items
