"""What ONNX's operators do: for each one reader, from the node and the shape of what it takes.

Attributes have the defaults of ONNX, in version 7 of its operators and later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape, Windows
from dtd.networks.onnx.graph import Node
from dtd.networks.steps import affine_maps, convolutions, poolings, windows
from dtd.networks.steps.step import FLATTENING, NOTHING, RELU, Step

COMMUTATIVE = frozenset({"Add"})
"""Operators that may take the activations at any place; the others take them first."""


@dataclass(frozen=True, eq=False)
class Call:
    """A node, the constants among its inputs, and the shape of the activations that it takes."""

    node: Node
    image: Shape
    """(channels, ...) of one sample."""
    inputs: tuple[Tensor | None, ...]
    """None where it takes activations, or nothing."""

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)

    def constant(self, index: int) -> Tensor:
        """An input that is not left out."""
        constant = self.optional(index)
        if constant is None:
            raise self.node.refused(f"its input {index} is missing; allowed is a constant")
        return constant

    def optional(self, index: int) -> Tensor | None:
        """An input that may be left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def check_one_output(self) -> None:
        """Refuse a second output, which is not that of a layer."""
        if len(self.node.proto.output) > 1:
            raise self.node.refused("it has several outputs; allowed is the first alone")


def step_of(call: Call) -> Step:
    """What a node of one of the ``OPERATORS`` does to a vector.

    Raises:
        InvalidSetting: not with these attributes or inputs.
    """
    try:
        return OPERATORS[call.node.proto.op_type](call)
    except InvalidSetting as error:
        if error.argument == "path":
            raise
        reason = f"its {error.argument} is {error.value}; {error.allowed}"
        raise call.node.refused(reason) from error


def _gemm(call: Call) -> Step:
    """``alpha A B + beta C``; a row of A is a sample."""
    if call.attribute("transA", 0):
        raise InvalidSetting("transA", 1, "allowed is 0, where each row is a sample")
    weight = _matrix(call)
    weight = weight if call.attribute("transB", 0) else weight.T.contiguous()
    added = call.optional(2)
    bias = weight.new_zeros(len(weight)) if added is None else _per_unit(added, (len(weight),))
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    if (alpha, beta) != (1, 1):
        weight, bias = alpha * weight.double(), beta * bias.double()
    return affine_maps.dense(weight, bias)


def _matmul(call: Call) -> Step:
    return affine_maps.dense(_matrix(call).T.contiguous(), None)


def _matrix(call: Call) -> Tensor:
    weight = call.constant(1)
    if weight.dim() != 2:
        raise InvalidSetting("weight", f"of shape {tuple(weight.shape)}", "allowed is a matrix")
    return weight


def _add(call: Call) -> Step:
    (added,) = (one for one in call.inputs if one is not None)
    return affine_maps.shift(call.image, _per_unit(added, call.image))


def _per_unit(added: Tensor, image: Shape) -> Tensor:
    """What is added to each unit of one sample, (units,)."""
    try:
        return added.broadcast_to(1, *image).flatten().clone()
    except RuntimeError as error:
        raise InvalidSetting(
            "bias", f"of shape {tuple(added.shape)}", f"allowed is what fits units of {image}"
        ) from error


def _conv(call: Call) -> Step:
    weight = call.constant(1)
    size = tuple(weight.shape[2:])
    given = tuple(call.attribute("kernel_shape", size))
    if given != size:
        raise InvalidSetting("kernel_shape", given, f"allowed is that of its weight, {size}")
    stride, padding, dilation = _placed(call, size)
    groups = call.attribute("group", 1)
    return convolutions.convolution(
        call.image, weight, call.optional(2), stride, padding, dilation, groups
    )


def _max_pool(call: Call) -> Step:
    call.check_one_output()
    return poolings.max_pool(call.image, _windows(call))


def _average_pool(call: Call) -> Step:
    padded = bool(call.attribute("count_include_pad", 0))
    return poolings.average_pool(call.image, _windows(call), padded=padded)


def _global_average_pool(call: Call) -> Step:
    return poolings.whole_mean(call.image)


def _reduce_mean(call: Call) -> Step:
    """The mean over all places of each channel, as exporters write it too."""
    given = call.optional(1)
    axes = call.attribute("axes", []) if given is None else given.flatten().tolist()
    dimensions = len(call.image) + 1
    if {axis % dimensions for axis in axes} != {*range(2, dimensions)}:
        raise InvalidSetting("axes", axes, "allowed are all places of each channel")
    step = poolings.whole_mean(call.image)
    return step if call.attribute("keepdims", 1) else replace(step, reshaped=call.image[:1])


def _windows(call: Call) -> Windows:
    size = tuple(call.attribute("kernel_shape"))
    stride, padding, dilation = _placed(call, size)
    ceil_mode = bool(call.attribute("ceil_mode", 0))
    return windows.windows(call.image, size, stride, padding, dilation, ceil_mode)


def _placed(call: Call, size: Shape) -> tuple[Shape, Shape, Shape]:
    """Stride, padding on each side, and dilation of windows."""
    ones = tuple(1 for _ in size)
    stride, dilation = (tuple(call.attribute(name, ones)) for name in ("strides", "dilations"))
    automatic = call.attribute("auto_pad", "NOTSET")
    if automatic == "VALID":
        return stride, tuple(0 for _ in size), dilation
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        return stride, convolutions.same_padding(call.image, size, stride, dilation), dilation
    if automatic != "NOTSET":
        raise InvalidSetting(
            "auto_pad", automatic, "allowed are NOTSET, VALID, SAME_UPPER, SAME_LOWER"
        )
    pads = tuple(call.attribute("pads", (0,) * 2 * len(size)))
    before, after = pads[: len(size)], pads[len(size) :]
    if before != after:
        raise InvalidSetting("pads", list(pads), "allowed are as many on one side as on the other")
    return stride, before, dilation


def _batch_normalization(call: Call) -> Step:
    call.check_one_output()
    for name, allowed in (("training_mode", 0), ("spatial", 1)):
        value = call.attribute(name, allowed)
        if value != allowed:
            raise InvalidSetting(name, value, f"allowed is {allowed}")
    scale, bias, mean, variance = (call.constant(index) for index in range(1, 5))
    for part in (scale, bias, mean, variance):
        if part.shape != call.image[:1]:
            raise InvalidSetting(
                "normalisation",
                f"of {tuple(part.shape)}",
                f"allowed is a number for each of {call.image[0]} channels",
            )
    return affine_maps.normalised(
        call.image, mean, variance, scale, bias, call.attribute("epsilon", 1e-5)
    )


def _flatten(call: Call) -> Step:
    axis = call.attribute("axis", 1)
    sizes = (1, *call.image)
    if not -len(sizes) <= axis <= len(sizes) or prod(sizes[:axis]) != 1:
        raise InvalidSetting("axis", axis, f"allowed is one that keeps all of {call.image} in one")
    return replace(FLATTENING, reshaped=(prod(call.image),))


def _reshape(call: Call) -> Step:
    target: list[int] = call.constant(1).flatten().tolist()
    sizes = (1, *call.image)
    keeps = not call.attribute("allowzero", 0)
    kept = [
        sizes[at] if size == 0 and keeps and at < len(sizes) else size
        for at, size in enumerate(target)
    ]
    if kept.count(-1) == 1:
        others = prod(size for size in kept if size != -1)
        kept[kept.index(-1)] = prod(sizes) // others if others > 0 else 0
    if len(kept) < 2 or kept[0] != 1 or min(kept) < 1 or prod(kept) != prod(sizes):
        raise InvalidSetting(
            "shape", target, f"allowed is one that has all of one sample, {sizes}, behind a batch"
        )
    return replace(FLATTENING, reshaped=tuple(kept[1:]))


def _dropout(call: Call) -> Step:
    training = call.optional(2)
    if training is not None and training.any():
        raise InvalidSetting("training_mode", True, "allowed is False")
    return NOTHING


def _relu(call: Call) -> Step:
    return RELU


def _identity(call: Call) -> Step:
    return NOTHING


OPERATORS: Mapping[str, Callable[[Call], Step]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Conv": _conv,
    "Relu": _relu,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "BatchNormalization": _batch_normalization,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _dropout,
    "Identity": _identity,
}
