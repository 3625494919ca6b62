"""What one operation of a module does to the activations of a layer.

A new kind of operation is one more function in ``MODULES`` or ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dtd.errors import InvalidSetting
from dtd.networks.chain import (
    Layers,
    appended,
    averaged,
    normalisation,
    per_unit,
    pooled,
    rectified,
)
from dtd.networks.forms import Averaging, Convolution
from dtd.networks.layer import AnyLayer, Layer
from dtd.networks.maximum import Maximum
from dtd.networks.windows import Shape, Windows

_EVAL = "it is in training mode; call model.eval() first"


@dataclass(frozen=True, eq=False)
class Step:
    """What an operation does: to one more layer, or a ReLU, or to the shape of activations alone.

    ``onto`` gives the layers with the step after them.
    """

    onto: Callable[[Layers], Layers]
    layer: AnyLayer | None = None
    relu: bool = False
    flattens: bool = False
    size: Tensor | None = None
    """What the step adds up and may cancel, for each unit, where its biases do not tell it."""

    def __call__(self, a: Tensor) -> Tensor:
        """What the step makes of activations, (N, units), from those of any shape."""
        a = a.flatten(1)
        a = a if self.layer is None else self.layer.to(a.dtype).preactivation(a)
        return a.relu() if self.relu else a

    def magnitude(self, a: Tensor) -> Tensor:
        """The size against which rounding in the step is measured, (N, units)."""
        a = a.flatten(1)
        size = a.abs() if self.layer is None else self.layer.to(a.dtype).magnitude(a)
        return size if self.size is None else size + self.size.to(size)


def _affine_step(layer: Layer) -> Step:
    return Step(lambda layers: appended(layers, layer), layer)


_RELU = Step(rectified, relu=True)
_NOTHING = Step(lambda layers: layers)
_FLATTENING = Step(lambda layers: layers, flattens=True)


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
    def image(self) -> Shape:
        """The shape (channels, ...) of what the operation takes, without the batch."""
        return tuple(self.argument(0, "input").shape[1:])

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
    return _affine_step(_finite(operation, lambda: Layer(weight, bias, relu=False)))


def _convolution_module(operation: Operation) -> Step:
    m = operation.called
    if m.padding_mode != "zeros":
        raise operation.refused(f"it pads with {m.padding_mode}; allowed is padding_mode=zeros")
    return _convolved(operation, m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)


def _convolution(operation: Operation) -> Step:
    names = ("weight", "bias", "stride", "padding", "dilation", "groups")
    defaults = (None, None, 1, 0, 1, 1)
    pairs = zip(names, defaults, strict=True)
    given = [operation.argument(index, *pair) for index, pair in enumerate(pairs, 1)]
    return _convolved(operation, *given)


def _convolved(
    operation: Operation,
    weight: Tensor,
    bias: Tensor | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: int,
) -> Step:
    weight = weight.detach().clone()
    image, many = operation.image, weight.dim() - 2
    if len(image) != many + 1:
        raise operation.refused(
            f"it takes images of shape ({weight.shape[1] * groups}, {'height, ' * (many - 1)}width)"
        )
    steps, spread = _each(stride, many), _each(dilation, many)
    form = Convolution(image, steps, _padding(operation, padding, weight, spread), spread, groups)

    def made() -> Layer:
        channels = weight.new_zeros(len(weight)) if bias is None else bias.detach()
        return Layer(weight, per_unit(channels, form.outputs(weight)), relu=False, form=form)

    return _affine_step(_finite(operation, made))


def _padding(operation: Operation, padding: object, weight: Tensor, dilation: Shape) -> Shape:
    """What is added on each side."""
    size = weight.shape[2:]
    if padding == "valid":
        return _each(0, len(size))
    if padding != "same":
        return _each(padding, len(size))
    both = [spread * (length - 1) for spread, length in zip(dilation, size, strict=True)]
    if any(total % 2 for total in both):
        raise operation.refused(
            "it pads one side more than the other; allowed is padding=same of an odd window"
        )
    return tuple(total // 2 for total in both)


def _each(value: Any, many: int) -> Shape:
    """A setting for each dimension, of one for all of them, or of several."""
    return (value,) * many if isinstance(value, int) else tuple(value)


def _pool_arguments(operation: Operation, names: Sequence[str], defaults: Sequence[object]) -> Any:
    """The settings of a pooling, from the fields of its module or from its arguments."""
    if isinstance(operation.called, nn.Module):
        return [
            getattr(operation.called, name, default)
            for name, default in zip(names, defaults, strict=True)
        ]
    return [
        operation.argument(index, name, default)
        for index, (name, default) in enumerate(zip(names, defaults, strict=True), 1)
    ]


def _windows(
    operation: Operation, size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Windows:
    many = len(operation.image) - 1
    if many not in (1, 2):
        raise operation.refused("it takes images of shape (channels, width) or with a height")
    windows = Windows(
        operation.image[1:],
        _each(size, many),
        _each(size if stride in (None, []) else stride, many),
        _each(padding, many),
        _each(dilation, many),
    )
    if ceil_mode and any(windows.remainder):
        raise operation.refused(
            "its last windows reach over the edge; allowed is ceil_mode=False, or windows that "
            "cover the image"
        )
    return windows


def _max_pool(operation: Operation) -> Step:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = _pool_arguments(operation, names, (None, None, 0, 1, False, False))
    *settings, indices = given
    if indices:
        raise operation.refused("it returns indices; allowed is return_indices=False")
    windows = _windows(operation, *settings)
    one = torch.ones(1, dtype=torch.float32, device=operation.argument(0, "input").device)
    layer = Maximum(Averaging(operation.image, windows), one)
    return Step(lambda layers: pooled(layers, layer), layer)


def _average_pool(operation: Operation) -> Step:
    names = (
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    )
    size, stride, padding, ceil_mode, padded, divisor = _pool_arguments(
        operation, names, (None, None, 0, False, True, None)
    )
    windows = _windows(operation, size, stride, padding, 1, ceil_mode)
    if any(windows.padding) and not padded:
        raise operation.refused(
            "windows at the edge have other weights; allowed is count_include_pad=True"
        )
    return _averaged(operation, windows, divisor or prod(windows.size))


def _adaptive_average_pool(operation: Operation) -> Step:
    (output,) = _pool_arguments(operation, ("output_size",), (None,))
    image = operation.image[1:]
    wanted = [
        own if one is None else one
        for one, own in zip(_each(output, len(image)), image, strict=True)
    ]
    if any(own % one for own, one in zip(image, wanted, strict=True)):
        raise operation.refused(
            f"its windows have different sizes: {'x'.join(map(str, image))} to "
            f"{'x'.join(map(str, wanted))}; allowed is a part of the size"
        )
    size = [own // one for own, one in zip(image, wanted, strict=True)]
    return _averaged(operation, _windows(operation, size, None, 0, 1, ceil_mode=False), prod(size))


def _mean(operation: Operation) -> Step:
    """The mean over all places of each channel."""
    dimensions = operation.argument(1, "dim")
    places = len(operation.image) - 1
    wanted = {d % (places + 2) for d in _each(dimensions, 1)} if dimensions is not None else set()
    if wanted != {*range(2, places + 2)} or not places:
        raise operation.refused("allowed is the mean over height and width, of each channel")
    size = operation.image[1:]
    return _averaged(operation, _windows(operation, size, None, 0, 1, ceil_mode=False), prod(size))


def _averaged(operation: Operation, windows: Windows, divisor: float) -> Step:
    a = operation.argument(0, "input")
    weight = torch.full((1,), 1 / divisor, dtype=torch.float64, device=a.device)
    form = Averaging(operation.image, windows)
    bias = weight.new_zeros(prod(form.outputs(weight)))
    layer = Layer(weight, bias, relu=False, form=form)
    return Step(lambda layers: averaged(layers, layer), layer)


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
    image = operation.image
    made = partial(normalisation, mean, variance, weight, bias, module.eps)
    layer = _finite(operation, lambda: made(image if len(image) > 1 else None))
    added = layer.magnitude(per_unit(mean, image).to(layer.dtype).unsqueeze(0)).squeeze(0)
    return replace(_affine_step(layer), size=added)


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
    return _RELU


def _nothing(operation: Operation) -> Step:
    return _NOTHING


def _flatten(operation: Operation) -> Step:
    return _FLATTENING


def _dropout_module(operation: Operation) -> Step:
    if operation.called.training:
        raise operation.refused(_EVAL)
    return _NOTHING


def _dropout(operation: Operation) -> Step:
    if operation.argument(2, "training", default=True):
        raise operation.refused("it drops units; call model.eval() first, or give training=False")
    return _NOTHING


MODULES: Mapping[type[nn.Module], Callable[[Operation], Step]] = {
    nn.Linear: _linear_module,
    nn.ReLU: _relu,
    nn.Conv1d: _convolution_module,
    nn.Conv2d: _convolution_module,
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool1d: _average_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool1d: _adaptive_average_pool,
    nn.AdaptiveAvgPool2d: _adaptive_average_pool,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Identity: _nothing,
    nn.Dropout: _dropout_module,
    nn.Dropout1d: _dropout_module,
    nn.Dropout2d: _dropout_module,
    nn.Flatten: _flatten,
    nn.Unflatten: _flatten,
}
READERS: Mapping[object, Callable[[Operation], Step]] = {
    functional.linear: _linear,
    **dict.fromkeys((functional.conv1d, functional.conv2d), _convolution),
    **dict.fromkeys((functional.max_pool1d, functional.max_pool2d), _max_pool),
    **dict.fromkeys((functional.avg_pool1d, functional.avg_pool2d), _average_pool),
    **dict.fromkeys(
        (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d), _adaptive_average_pool
    ),
    **dict.fromkeys(("mean", torch.mean), _mean),
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
