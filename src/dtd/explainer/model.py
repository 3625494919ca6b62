"""The network of the model that a caller gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dtd.errors import InvalidSetting, shown
from dtd.explainer.samples import dtype_name
from dtd.networks.modules.reading import Reading, read
from dtd.networks.network import Network
from dtd.ranges import shape_of


def reading_of(model: object, input_shape: object = None) -> Reading:
    """The network that a module computes, or that is given.

    Raises:
        InvalidSetting: it is neither, or does not take samples of the shape.
    """
    if isinstance(model, nn.Module):
        return read(model, None if input_shape is None else shape_of(input_shape))
    if isinstance(model, Network):
        if input_shape is not None and shape_of(input_shape) != model.shapes[0]:
            raise InvalidSetting(
                "input_shape", shown(input_shape), f"that of the network is {model.shapes[0]}"
            )
        return Reading(model)
    raise InvalidSetting(
        "model", shown(model), "allowed is an object: a torch.nn.Module or a dtd.Network"
    )


def placed(network: Network, dtype: torch.dtype, device: object) -> Network:
    """A copy of the network in a dtype and on a device; on its own device where that is None.

    Its weights are constants: nothing is differentiated by them.

    Raises:
        InvalidSetting: there is no such device, or a weight is no finite number of the dtype.
    """
    where: Any = network.device if device is None else device
    try:
        copy = network.detached().to(dtype, torch.device(where))
        finite = [layer.is_finite for layer in copy.layers]
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise InvalidSetting(
            "device",
            shown(where),
            "torch cannot use it here; allowed is one that it can, such as cpu",
        ) from error
    if not all(finite):
        raise InvalidSetting(
            "model",
            f"layer {finite.index(False) + 1}",
            f"its weights are not all finite in {dtype_name(dtype)}; allowed are smaller ones"
            + ", or dtype=float64" * (dtype is torch.float32),
        )
    return copy
