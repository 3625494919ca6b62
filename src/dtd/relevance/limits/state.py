"""What became of a one-sided limit, in a word (theory, section 2.4)."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from dtd.numerics.policy import policy


class LimitState(IntEnum):
    """From the best to the worst."""

    NONE = 0
    """No limit was needed."""
    TAKEN = 1
    """It was taken, and is right."""
    UNSETTLED = 2
    """It was taken, and may be wrong."""
    UNBOUNDED = 3
    """There is no finite limit; the number beside it means nothing."""


def states(error: Tensor) -> Tensor:
    """The :class:`LimitState` of limits with these relative errors, NaN where none was needed."""
    state = torch.full_like(error, LimitState.TAKEN, dtype=torch.int8)
    state[error.isnan()] = LimitState.NONE
    state[error > policy(error.dtype).settled] = LimitState.UNSETTLED
    state[error.isinf()] = LimitState.UNBOUNDED
    return state
