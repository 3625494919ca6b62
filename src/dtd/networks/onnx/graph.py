"""The graph in an ONNX file: its nodes in their order, and the constants that they take.

Nothing in the file is run. Weights beside it are read from its own folder alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dtd.errors import InvalidSetting, OpenShape, shown
from dtd.networks.files.checkpoints import refused
from dtd.networks.matrices.windows import Shape
from dtd.networks.steps.windows import LARGEST

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

_OWN = "ai.onnx"
"""The full name of the domain of ONNX's own operators, which has an empty name as well."""
_MOST = 10_000
"""Nodes or weights; a chain of layers has a few hundred."""
_NUMBERS = 2**30
"""Numbers in all weights, which are 4 GB in single precision."""
_OLDEST = 7
"""Of the sets of operators: before it the same attributes meant other things."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node, with its place as a refusal shows it."""

    path: object
    proto: NodeProto
    place: str

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes that are given, as numbers, lists and texts."""
        from onnx import helper

        values = {one.name: helper.get_attribute_value(one) for one in self.proto.attribute}
        return {
            name: value.decode(errors="replace") if isinstance(value, bytes) else value
            for name, value in values.items()
        }

    def refused(self, reason: str) -> InvalidSetting:
        """The refusal of the node."""
        return refused(self.path, f"{self.place}: {reason}")


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph with one input and one output; shapes are without the batch."""

    path: object
    model: ModelProto
    opset: int
    input: str
    shape: Shape
    dtype: torch.dtype
    output: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]

    def refused(self, reason: str) -> InvalidSetting:
        """The refusal of the graph."""
        return refused(self.path, reason)


def read_graph(path: object, shape: Shape | None = None) -> Graph:
    """The graph in an ONNX file, with the weights that may lie beside it.

    ``shape`` is that of one sample, for a file that leaves it open.

    Raises:
        OpenShape: no shape is given, and that of images is open.
        InvalidSetting: the file is missing or no ONNX file, the package ``onnx`` is missing, or
            the graph is too large or has several inputs or outputs, or inputs of unknown shape.
    """
    model = _model(path)
    graph = model.graph
    counts = (len(graph.node), len(graph.initializer), len(graph.input), len(graph.output))
    if max(counts) > _MOST:
        raise refused(path, f"its graph has {max(counts)} nodes or weights; allowed are {_MOST}")
    if not graph.node:
        raise refused(path, "its graph is empty; allowed is an ONNX file with a chain of layers")
    for one in (*model.opset_import, *graph.node):
        one.domain = "" if one.domain == _OWN else one.domain
    opset = _opset(path, model)
    for sparse in graph.sparse_initializer:
        raise refused(path, f"{sparse.values.name} is sparse; allowed are dense weights")
    numbers = sum(prod(tensor.dims) for tensor in graph.initializer)
    if numbers > _NUMBERS:
        raise refused(path, f"its weights have {numbers} numbers; allowed are {_NUMBERS}")
    constants = {tensor.name: constant(path, tensor) for tensor in graph.initializer}
    # Old files name their weights among the inputs as well.
    inputs = [value for value in graph.input if value.name not in constants]
    for values, what in ((inputs, "input"), (graph.output, "output")):
        if len(values) != 1:
            # What is no text comes as bytes.
            names = ", ".join(str(value.name) for value in values[:9]) or "none"
            raise refused(path, f"it has {len(values)} {what}s ({names}); allowed is one {what}")
    shape, dtype = _of_input(path, inputs[0], shape)
    nodes = tuple(_node(path, index, proto) for index, proto in enumerate(graph.node))
    output = graph.output[0].name
    return Graph(path, model, opset, inputs[0].name, shape, dtype, output, nodes, constants)


def constant(path: object, tensor: TensorProto) -> Tensor:
    """The numbers of a tensor, from the file or from one beside it.

    Raises:
        InvalidSetting: they are missing, or have a type that networks do not have.
    """
    from onnx import TensorProto, external_data_helper, numpy_helper

    allowed = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL)
    if tensor.data_type not in allowed:
        raise refused(path, f"{tensor.name} has the type {_type_name(tensor.data_type)}; {_FLOATS}")
    try:
        if external_data_helper.uses_external_data(tensor):
            # The package refuses paths that leave the folder, links, and more than a file has.
            folder = str(Path(os.fspath(path)).parent)  # type: ignore[call-overload]
            external_data_helper.load_external_data_for_tensor(tensor, folder)
            # As the package itself does from 1.23 on: the numbers are here now.
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # a broken tensor fails in many ways
        raise refused(
            path,
            f"the numbers of {tensor.name} cannot be read ({line(error)}); allowed are those in "
            "the file, or in a file that lies beside it and is no link",
        ) from error
    return torch.from_numpy(np.array(array))


_FLOATS = "allowed are float32 and float64: convert the model to float32"
_BROKEN = "it is no whole ONNX file; allowed is one as torch.onnx.export or onnx.save writes it"


def _model(path: object) -> ModelProto:
    if not isinstance(path, str | os.PathLike):
        raise refused(shown(path), "allowed is the path of an ONNX file")
    try:
        import onnx
    except ImportError as error:
        raise refused(
            path, "to read it needs the package onnx: pip install 'dtd-run[onnx]'"
        ) from error
    if not Path(path).is_file():
        raise refused(path, "no such file; allowed is an ONNX file")
    try:
        model = onnx.load_model_from_string(Path(path).read_bytes())
    except OSError as error:
        raise refused(
            path, f"{error.strerror}; allowed is an ONNX file that can be read"
        ) from error
    except Exception as error:  # what is no such file breaks the parser in many ways
        raise refused(path, _BROKEN) from error
    if not (model.ir_version and model.opset_import):
        raise refused(path, _BROKEN)
    return model


def _opset(path: object, model: ModelProto) -> int:
    from onnx import defs

    versions = [opset.version for opset in model.opset_import if not opset.domain]
    newest = defs.onnx_opset_version()
    if len(versions) != 1 or not _OLDEST <= versions[0] <= newest:
        raise refused(
            path,
            f"its opset is {', '.join(map(str, versions)) or 'none'}; allowed is one of {_OLDEST} "
            f"to {newest}",
        )
    return int(versions[0])


def _of_input(
    path: object, value: ValueInfoProto, shape: Shape | None
) -> tuple[Shape, torch.dtype]:
    """The shape of one sample, and its type. What the file leaves open is as ``shape`` says."""
    from onnx import TensorProto

    kind = value.type.tensor_type
    dtypes: dict[int, torch.dtype] = {
        TensorProto.FLOAT: torch.float32,
        TensorProto.DOUBLE: torch.float64,
    }
    if kind.elem_type not in dtypes:
        name = _type_name(kind.elem_type)
        raise refused(path, f"its input {value.name} has the type {name}; {_FLOATS}")
    batch, *sizes = [dim.dim_value or dim.dim_param or "?" for dim in kind.shape.dim] or ["?"]
    said = f"its input {value.name} is [{', '.join(map(str, (batch, *sizes)))}]"
    if isinstance(batch, int) and batch != 1:
        raise refused(path, f"{said}; allowed is a batch of one, or one that is dynamic")
    known = _known(
        path, said, [int(size) if isinstance(size, int) else None for size in sizes], shape
    )
    if prod(known) > LARGEST:
        raise refused(path, f"{said}; allowed are {LARGEST} inputs")
    return known, dtypes[kind.elem_type]


def _known(path: object, said: str, sizes: Sequence[int | None], shape: Shape | None) -> Shape:
    """The sizes of one sample, those that a file leaves open (None) as in ``shape``."""
    known = tuple(size for size in sizes if size is not None)
    open_sizes = not sizes or len(known) < len(sizes)
    if shape is None and not open_sizes:
        return known
    reason = (
        f"{said}; allowed is a batch and known sizes of one sample: export it without dynamic "
        "axes but the batch, or fix them by onnx.tools.update_model_dims"
    )
    if open_sizes and len(sizes) < 2:
        raise refused(path, reason)
    if shape is None:
        raise OpenShape("path", path, f"{reason}, or give input_shape=(channels, height, width)")
    fits = len(shape) == len(sizes) and all(
        size in (None, given) for size, given in zip(sizes, shape, strict=False)
    )
    if not fits:
        raise refused(path, f"{said}, which takes no samples of {' x '.join(map(str, shape))}")
    return shape


def _node(path: object, index: int, proto: NodeProto) -> Node:
    name = str(proto.name or (proto.output[0] if proto.output else index))
    return Node(path, proto, f"node {name:.99} ({proto.op_type:.99})")


def _type_name(data_type: int) -> str:
    from onnx import TensorProto

    names: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    return names.get(data_type, f"number {data_type}")


def line(error: Exception) -> str:
    """What an error of another package says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
