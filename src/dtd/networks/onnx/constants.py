"""Nodes that give constants: their own, or those that they take."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dtd.networks.onnx.graph import Node, constant

CONSTANT = "Constant"


def given(node: Node, constants: Mapping[str, Tensor]) -> Tensor | None:
    """The constant that a node gives, or None if it gives activations.

    Raises:
        InvalidSetting: it is of another type than numbers.
    """
    if node.proto.op_type == "Identity":
        return constants.get(node.proto.input[0])
    if node.proto.op_type != CONSTANT:
        return None
    ((name, value),) = node.attributes.items()
    if name == "value":
        return constant(node.path, value)
    if name in ("value_int", "value_ints"):
        return torch.tensor(value, dtype=torch.int64)
    if name in ("value_float", "value_floats"):
        return torch.tensor(value, dtype=torch.float32)
    raise node.refused(f"it gives {name}; allowed are numbers")
