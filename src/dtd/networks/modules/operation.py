"""One operation of a traced module: what is called, with which arguments, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape
from dtd.networks.steps.step import Step


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a traced module, with its arguments."""

    place: str
    """The innermost module in which it stands, as a refusal shows it."""
    called: Any
    """A submodule, a function, or the name of a method of a tensor."""
    arguments: tuple[object, ...]
    named: Mapping[str, object]

    def argument(self, index: int, name: str, default: object = None) -> Any:
        """An argument of a function, by its position or by its name."""
        at_its_place = self.arguments[index : index + 1]
        return at_its_place[0] if at_its_place else self.named.get(name, default)

    def settings(self, **defaults: object) -> list[Any]:
        """The fields of a module, or what a function takes after its input, in this order."""
        if isinstance(self.called, nn.Module):
            return [getattr(self.called, name, default) for name, default in defaults.items()]
        return [self.argument(index, *pair) for index, pair in enumerate(defaults.items(), 1)]

    @property
    def image(self) -> Shape:
        """The shape (channels, ...) of what the operation takes, without the batch."""
        return tuple(self.argument(0, "input").shape[1:])

    @property
    def device(self) -> torch.device:
        """Of what the operation takes."""
        device: torch.device = self.argument(0, "input").device
        return device

    @property
    def function(self) -> str:
        """The name of the function or method; empty for a submodule."""
        if isinstance(self.called, nn.Module):
            return ""
        return self.called if isinstance(self.called, str) else self.called.__name__

    @property
    def kind(self) -> str:
        """The name of the function, method or class of modules."""
        return self.function or type(self.called).__name__

    @property
    def origin(self) -> str:
        """What a refusal of another operation calls this one."""
        return f"{self.function} in {self.place}" if self.function else self.place

    def refused(self, reason: str) -> InvalidSetting:
        """The refusal of the operation."""
        said = f"it calls {self.function}: " if self.function else ""
        return InvalidSetting("model", self.place, said + reason)


Reader = Callable[[Operation], Step]
"""What an operation of one kind does to a vector."""


def each(value: int | Sequence[int], many: int) -> Shape:
    """A setting for each dimension, of one for all of them, or of several."""
    return (value,) * many if isinstance(value, int) else tuple(value)
