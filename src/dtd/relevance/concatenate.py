"""Chunks of samples, put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def concatenate(parts: Sequence[T]) -> T:
    """One dataclass from several: tensors joined along the samples, all else taken once."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(parts)  # type: ignore[arg-type, return-value]
    if isinstance(first, tuple):
        return tuple(map(concatenate, zip(*parts, strict=True)))  # type: ignore[return-value]
    if is_dataclass(first) and not isinstance(first, type):
        joined: dict[str, Any] = {
            field.name: concatenate([getattr(part, field.name) for part in parts])
            for field in fields(first)
        }
        return type(first)(**joined)
    return first
