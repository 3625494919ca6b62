"""What the operations of modules do: for each kind of module, function or method one reader.

A new kind of operation is one more function in ``MODULES`` or ``READERS``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dtd.errors import InvalidSetting
from dtd.networks.modules import poolings
from dtd.networks.modules.operation import Operation, Reader, each
from dtd.networks.steps import affine_maps, convolutions, leave_out
from dtd.networks.steps.step import FLATTENING, NOTHING, RELU, Step

_EVAL = "it is in training mode; call model.eval() first"


def step_of(operation: Operation) -> Step:
    """What an operation does to a vector.

    Raises:
        InvalidSetting: the theory does not know it, or not in this mode.
    """
    reader = reader_of(operation.called)
    if reader is None:
        raise unknown(operation)
    try:
        return reader(operation)
    except InvalidSetting as error:
        if error.argument == "model":
            raise
        reason = f"its {error.argument} is {error.value}; {error.allowed}"
        raise operation.refused(reason) from error


def unknown(operation: Operation) -> InvalidSetting:
    """The refusal of what the theory does not know."""
    advice = leave_out.advice(operation.kind)
    return operation.refused(f"it is no layer that the theory knows; {advice}allowed are {ALLOWED}")


def reader_of(called: object) -> Reader | None:
    """What reads a submodule, a function or a method; None where nothing does."""
    if isinstance(called, nn.Module):
        return next((reader for kind, reader in MODULES.items() if is_plain(called, kind)), None)
    return READERS.get(called)


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the module is of the kind, and computes what that computes."""
    own = "forward" in vars(module)
    return isinstance(module, kind) and type(module).forward is kind.forward and not own


def _linear_module(operation: Operation) -> Step:
    module = operation.called
    return affine_maps.dense(_kept(module.weight), _kept_if_any(module.bias))


def _linear(operation: Operation) -> Step:
    weight, bias = operation.settings(weight=None, bias=None)
    return affine_maps.dense(_kept(weight), _kept_if_any(bias))


def _convolution_module(operation: Operation) -> Step:
    mode = operation.called.padding_mode
    if mode != "zeros":
        raise operation.refused(f"it pads with {mode}; allowed is padding_mode=zeros")
    return _convolution(operation)


def _convolution(operation: Operation) -> Step:
    weight, bias, stride, padding, dilation, groups = operation.settings(
        weight=None, bias=None, stride=1, padding=0, dilation=1, groups=1
    )
    size = tuple(weight.shape[2:])
    stride, dilation = each(stride, len(size)), each(dilation, len(size))
    if padding == "same":
        padding = convolutions.same_padding(operation.image, size, stride, dilation)
    return convolutions.convolution(
        operation.image,
        _kept(weight),
        _kept_if_any(bias),
        stride,
        each(0 if padding == "valid" else padding, len(size)),
        dilation,
        groups,
    )


def _batch_norm(operation: Operation) -> Step:
    module = operation.called
    if module.training:
        raise operation.refused(_EVAL)
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None:
        raise operation.refused(
            "it normalises each batch by itself; allowed is track_running_stats=True"
        )
    weight, bias = _kept_if_any(module.weight), _kept_if_any(module.bias)
    return affine_maps.normalised(operation.image, mean, variance, weight, bias, module.eps)


def _kept(tensor: Tensor) -> Tensor:
    """A copy without its graph, which no training changes."""
    return tensor.detach().clone()


def _kept_if_any(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _kept(tensor)


def _relu(operation: Operation) -> Step:
    return RELU


def _nothing(operation: Operation) -> Step:
    return NOTHING


def _flatten(operation: Operation) -> Step:
    return FLATTENING


def _dropout_module(operation: Operation) -> Step:
    if operation.called.training:
        raise operation.refused(_EVAL)
    return NOTHING


def _dropout(operation: Operation) -> Step:
    if operation.argument(2, "training", default=True):
        raise operation.refused("it drops units; call model.eval() first, or give training=False")
    return NOTHING


MODULES: Mapping[type[nn.Module], Reader] = {
    nn.Linear: _linear_module,
    nn.ReLU: _relu,
    nn.Conv1d: _convolution_module,
    nn.Conv2d: _convolution_module,
    nn.MaxPool1d: poolings.max_pool,
    nn.MaxPool2d: poolings.max_pool,
    nn.AvgPool1d: poolings.average_pool,
    nn.AvgPool2d: poolings.average_pool,
    nn.AdaptiveAvgPool1d: poolings.adaptive_average_pool,
    nn.AdaptiveAvgPool2d: poolings.adaptive_average_pool,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Identity: _nothing,
    nn.Dropout: _dropout_module,
    nn.Dropout1d: _dropout_module,
    nn.Dropout2d: _dropout_module,
    nn.Flatten: _flatten,
    nn.Unflatten: _flatten,
}
READERS: Mapping[object, Reader] = {
    functional.linear: _linear,
    **dict.fromkeys((functional.conv1d, functional.conv2d), _convolution),
    **dict.fromkeys((functional.max_pool1d, functional.max_pool2d), poolings.max_pool),
    **dict.fromkeys((functional.avg_pool1d, functional.avg_pool2d), poolings.average_pool),
    **dict.fromkeys(
        (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d),
        poolings.adaptive_average_pool,
    ),
    **dict.fromkeys(("mean", torch.mean), poolings.mean),
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
