"""What one operation of a module does to a vector of activations.

A new kind of operation is one more function in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dtd.errors import InvalidSetting
from dtd.networks.chain import Layers, appended, normalisation, rectified
from dtd.networks.network import Layer

_EVAL = "it is in training mode; call model.eval() first"


@dataclass(frozen=True, eq=False)
class Step:
    """An affine map, then a ReLU; each may be absent, and flattening samples is neither."""

    affine: Layer | None = None
    relu: bool = False
    flattens: bool = False

    def onto(self, layers: Layers) -> Layers:
        """The layers with this step after them."""
        layers = layers if self.affine is None else appended(layers, self.affine)
        return rectified(layers) if self.relu else layers

    def __call__(self, a: Tensor) -> Tensor:
        """What the step makes of activations (N, units), or of samples of any shape."""
        a = a.flatten(1) if self.affine is None else self.affine.to(a.dtype).preactivation(a)
        return a.relu() if self.relu else a

    def magnitude(self, a: Tensor) -> Tensor:
        """The size against which rounding in the step is measured."""
        return a.flatten(1).abs() if self.affine is None else self.affine.to(a.dtype).magnitude(a)


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

    @property
    def is_known(self) -> bool:
        """Whether the theory knows such operations."""
        return reader_of(self.called) is not None

    @property
    def step(self) -> Step:
        """What the operation does to a vector.

        Raises:
            InvalidSetting: the theory does not know it, or not in this mode.
        """
        reader = reader_of(self.called)
        if reader is None:
            raise self.unknown
        return reader(self)

    @property
    def unknown(self) -> InvalidSetting:
        """The refusal of what the theory does not know."""
        return self.refused(f"it is no layer that the theory knows; allowed are {ALLOWED}")

    @property
    def function(self) -> str:
        """The name of the function or method; empty for a submodule."""
        if isinstance(self.called, nn.Module):
            return ""
        return self.called if isinstance(self.called, str) else self.called.__name__

    @property
    def origin(self) -> str:
        """What a refusal of another operation calls this one."""
        return f"{self.function} in {self.place}" if self.function else self.place

    def refused(self, reason: str) -> InvalidSetting:
        """The refusal of the operation."""
        said = f"it calls {self.function}: " if self.function else ""
        return InvalidSetting("model", self.place, said + reason)


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the module is of the kind, and computes what that computes."""
    own = "forward" in vars(module)
    return isinstance(module, kind) and type(module).forward is kind.forward and not own


def reader_of(called: object) -> Callable[[Operation], Step] | None:
    """What reads a submodule, a function or a method; None where nothing does."""
    if isinstance(called, nn.Module):
        return next((reader for kind, reader in MODULES.items() if is_plain(called, kind)), None)
    return READERS.get(called)


def _linear_module(operation: Operation) -> Step:
    module = operation.called
    return _affine(operation, module.weight, module.bias)


def _linear(operation: Operation) -> Step:
    return _affine(operation, operation.argument(1, "weight"), operation.argument(2, "bias"))


def _affine(operation: Operation, weight: Tensor, bias: Tensor | None) -> Step:
    weight = weight.detach().clone()
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach().clone()
    return Step(_finite(operation, lambda: Layer(weight, bias, relu=False)))


def _batch_norm(operation: Operation) -> Step:
    module = operation.called
    if module.training:
        raise operation.refused(_EVAL)
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None:
        raise operation.refused(
            "it normalises each batch by itself; allowed is track_running_stats=True"
        )
    weight, bias = (
        None if part is None else part.detach() for part in (module.weight, module.bias)
    )
    return Step(_finite(operation, lambda: normalisation(mean, variance, weight, bias, module.eps)))


def _finite(operation: Operation, make: Callable[[], Layer]) -> Layer:
    try:
        layer = make()
    except InvalidSetting as error:
        reason = f"its {error.argument} is {error.value}; {error.allowed}"
        raise operation.refused(reason) from error
    if not layer.is_finite:
        raise operation.refused("its weights have NaN or infinite entries")
    return layer


def _relu(operation: Operation) -> Step:
    return Step(relu=True)


def _nothing(operation: Operation) -> Step:
    return Step()


def _flatten(operation: Operation) -> Step:
    return Step(flattens=True)


def _dropout_module(operation: Operation) -> Step:
    if operation.called.training:
        raise operation.refused(_EVAL)
    return Step()


def _dropout(operation: Operation) -> Step:
    if operation.argument(2, "training", default=True):
        raise operation.refused("it drops units; call model.eval() first, or give training=False")
    return Step()


MODULES: Mapping[type[nn.Module], Callable[[Operation], Step]] = {
    nn.Linear: _linear_module,
    nn.ReLU: _relu,
    nn.BatchNorm1d: _batch_norm,
    nn.Identity: _nothing,
    nn.Dropout: _dropout_module,
    nn.Flatten: _flatten,
}
READERS: Mapping[object, Callable[[Operation], Step]] = {
    functional.linear: _linear,
    functional.dropout: _dropout,
    **dict.fromkeys((torch.relu, torch.relu_, functional.relu, functional.relu_), _relu),
    **dict.fromkeys(("relu", "relu_"), _relu),
    **dict.fromkeys((torch.flatten, torch.reshape, "flatten", "reshape", "view"), _flatten),
    **dict.fromkeys(("contiguous", "float", "double"), _nothing),
}
"""For each kind of module, function or method of a tensor: what it does to a vector.

What reshapes is taken for nothing but flattening: the walk through the module compares it.
"""

ALLOWED = f"{', '.join(f'nn.{kind.__name__}' for kind in MODULES)} and their functions, in a chain"
