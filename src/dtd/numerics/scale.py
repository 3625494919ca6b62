"""Scaling by powers of two, which rounds nothing: squares stay in the range of the dtype."""

from __future__ import annotations

import torch
from torch import Tensor


def size_of(values: Tensor) -> Tensor:
    """The power of two at the largest of the entries (..., d), (..., 1); of zeros, any."""
    largest = values.detach().abs().amax(-1, keepdim=True)
    _, exponent = torch.frexp(largest)
    return torch.ldexp(torch.ones_like(largest), exponent - 1)


def norm(values: Tensor) -> Tensor:
    """The Euclidean norms of vectors (..., d), also of those whose squares leave the range."""
    size = size_of(values)
    norms: Tensor = (values / size).norm(dim=-1)
    return norms * size.squeeze(-1)
