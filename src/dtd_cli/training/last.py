"""The result of a function that was called last, for whoever calls it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class Last(Generic[T]):
    """Keeps one result, and what was asked for. ``functools.lru_cache`` would keep the arguments
    too, such as a whole data set."""

    _asked: str | None = field(default=None, init=False)
    _result: T | None = field(default=None, init=False)

    def of(self, asked: str, result: Callable[[], T]) -> T:
        """The result; computed only if another one was asked for before.

        Args:
            asked: everything that the result depends on.
            result: computes it.
        """
        if asked != self._asked:
            # Not both at a time.
            self._asked = self._result = None
            self._result, self._asked = result(), asked
        assert self._result is not None
        return self._result
