"""Random samples that a module takes: their shape is told, or read from the weights."""

from __future__ import annotations

from copy import deepcopy
from itertools import islice
from math import prod

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from dtd.errors import OpenShape
from dtd.networks.matrices.windows import Shape
from dtd.networks.modules.copies import NO_LAYER, Alone, answer_of, refused

_PROBES = 8
_ONES = ((), (1,), (1, 1))
"""What may stand before the inputs of a sample, where a module flattens only such samples."""
_SIDES = range(1, 257)
"""Of the square images that are tried where weights do not tell a shape."""


def probe(alone: Alone, graph: fx.Graph, shape: Shape | None) -> Tensor:
    """Random samples (N, *shape) that the module takes, on its device and in its dtype."""
    root = alone.module
    tensors = [*root.parameters(), *root.buffers()]
    if len({tensor.device for tensor in tensors}) > 1:
        raise refused(root, "its weights are on several devices; move them to one")
    if not tensors:
        raise refused(root, NO_LAYER)
    if shape is None:
        shape = _input_shape(alone, graph)
    generator = torch.Generator().manual_seed(0)
    first = next(tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex())
    probe = torch.randn(_PROBES, *shape, generator=generator)
    return probe.to(first.device, first.dtype)


def _input_shape(alone: Alone, graph: fx.Graph) -> Shape:
    """The shape of one sample, as far as the weights tell it.

    Raises:
        OpenShape: they leave it open.
    """
    inputs = next((i for node in graph.nodes if (i := _inputs_of(alone, node)) is not None), None)
    if inputs is None:
        raise refused(alone.module, NO_LAYER)
    (size, places), alone = inputs, deepcopy(alone).to("meta")
    if not places:
        shapes = [(*ones, size) for ones in _ONES]
        # What fits none is refused with its place when the interpreter comes to it.
        return next((shape for shape in shapes if _takes(alone, shape)), shapes[0])
    squares = [(size, *[side] * places) for side in _SIDES]
    flat = [(prod(shape),) for shape in squares]
    # Of those that fit two are enough to know that the weights do not tell.
    fitting = list(islice((shape for shape in squares if _takes(alone, shape)), 2))
    fitting = fitting or list(islice((shape for shape in flat if _takes(alone, shape)), 2))
    if len(fitting) == 1:
        return fitting[0]
    several = [" x ".join(map(str, shape)) for shape in fitting]
    said = f"it takes inputs of {' and of '.join(several)}" if fitting else "no square images fit"
    raise OpenShape(
        "model",
        type(alone.module).__name__,
        f"{said}; give their shape: input_shape=(channels, height, width), or let the module begin "
        "with nn.Unflatten(1, (channels, height, width))",
    )


def _inputs_of(alone: Alone, node: fx.Node) -> tuple[int, int] | None:
    """How many inputs or channels a node takes, and in how many dimensions, if weights say so."""
    if node.op == "call_module":
        module = alone.get_submodule(str(node.target))
        channels, size = (getattr(module, name, None) for name in ("in_channels", "kernel_size"))
        if isinstance(size, tuple) and channels is not None:
            return int(channels), len(size)
        size = getattr(module, "in_features", getattr(module, "num_features", None))
        return None if size is None else (int(size), 2 * isinstance(module, nn.BatchNorm2d))
    if node.target in (functional.linear, functional.conv1d, functional.conv2d):
        named = next((n for n in node.all_input_nodes if n.op == "get_attr"), None)
        if named is not None:
            weight = alone.get_parameter(str(named.target))
            groups = node.kwargs.get("groups", node.args[6] if len(node.args) > 6 else 1)
            return weight.shape[1] * (groups if isinstance(groups, int) else 1), weight.dim() - 2
    return None


def _takes(alone: Alone, shape: Shape) -> bool:
    """Whether the module without its numbers answers samples of the shape."""
    first = next(iter([*alone.parameters(), *alone.buffers()]))
    return answer_of(alone, torch.empty(_PROBES, *shape).to(first)) is not None
