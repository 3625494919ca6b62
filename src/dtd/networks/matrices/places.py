"""Where units and inputs lie in the channels of images, as flat indices."""

from __future__ import annotations

import torch
from torch import Tensor


def divided(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Channel and place in it, both (N,), of flat indices (N,)."""
    return index // size, index % size


def in_channels(channel: Tensor, place: Tensor, size: int) -> Tensor:
    """Flat indices (N, C K) of places (N, K) in each of some channels (N, C); -1 stays."""
    flat = channel.unsqueeze(2) * size + place.unsqueeze(1)
    return torch.where(place.unsqueeze(1) < 0, -1, flat).flatten(1)


def scattered(index: Tensor, values: Tensor, size: int, outside: float) -> Tensor:
    """Rows (N, size) with the values (N, K) at the indices (N, K); those at -1 are left out."""
    rows = values.new_full((len(index), size + 1), outside)
    return rows.scatter_(1, torch.where(index < 0, size, index), values)[:, :size]
