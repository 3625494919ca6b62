"""State dicts as trainers save them: the tensors of a file, by name."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown

COUNTER = "num_batches_tracked"
"""The one tensor of integers that a state dict may have: what batch normalisation counts."""

DESCRIPTION = "dtd.layers"
"""Where a ``.safetensors`` file says more of its layers than tensors do."""

_SAVED = "a state dict (torch.save(net.state_dict(), path)) or a .safetensors file"
_UNREADABLE = f"not a file of weights; allowed is {_SAVED}"
_NUMBERS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

_UNFIT: Mapping[str, Callable[[Tensor], bool]] = {
    "nested": lambda tensor: tensor.is_nested,
    "sparse": lambda tensor: tensor.layout is not torch.strided,
    "quantised": lambda tensor: tensor.is_quantized,
    "on the device meta, without numbers": lambda tensor: tensor.is_meta,
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of a state dict, dense and finite, and whether their order is that of layers.

    ``description`` is what the file says of the layers besides, if it does.
    """

    tensors: Mapping[str, Tensor]
    ordered: bool
    description: str = ""


def read_checkpoint(path: object) -> Checkpoint:
    """The state dict in a file from ``torch.save``, or in a ``.safetensors`` file.

    It may be an entry of a trainer's checkpoint, such as ``state_dict``. Tensors come without their
    graph, on the CPU. No code in the file is ever run.

    Raises:
        InvalidSetting: the file is missing, is neither of the two, or has a tensor without
            floating point numbers.
    """
    if not isinstance(path, str | os.PathLike):
        raise refused(shown(path), "allowed is the path of a file with weights")
    loaded = _loaded(Path(path))
    tensors = {name: _checked(path, name, value) for name, value in _state(path, loaded).items()}
    return Checkpoint(tensors, Path(path).suffix != ".safetensors", description_in(path))


def description_in(path: str | os.PathLike[str]) -> str:
    """What a readable file says of its layers besides their tensors; empty where it does not."""
    import safetensors

    if Path(path).suffix != ".safetensors":
        return ""
    with safetensors.safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    return metadata.get(DESCRIPTION, "")


def refused(path: object, reason: str) -> InvalidSetting:
    """The refusal of a file."""
    return InvalidSetting("path", path, reason)


def _loaded(path: Path) -> object:
    import safetensors.torch

    try:
        if not path.is_file():
            raise FileNotFoundError(path)
        with warnings.catch_warnings():
            # Of sparse tensors and the like, which are refused by name.
            warnings.simplefilter("ignore")
            if path.suffix == ".safetensors":
                return safetensors.torch.load_file(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise refused(path, "no such file; allowed is a file with weights") from error
    # What is no such file breaks its readers in every way.
    except Exception as error:
        raise refused(path, _reason(str(error))) from error


def _reason(said: str) -> str:
    """Why a file cannot be read, from what torch says."""
    if "TorchScript archive" in said:
        return f"it is a TorchScript archive, which is code and is not run; allowed is {_SAVED}"
    code = re.search(r"Unsupported global: GLOBAL (\S+)|Unsupported class (\S+)", said)
    if code:
        name = code[1] or code[2]
        return f"it holds {name}, which is code and is not run; allowed is {_SAVED}"
    return _UNREADABLE


def _state(path: object, loaded: object) -> Mapping[str, object]:
    """The state dict: what was loaded, or the one entry of it that holds weights."""
    if not isinstance(loaded, Mapping):
        raise refused(path, _UNREADABLE)
    entries = {key: value for key, value in loaded.items() if _holds_weights(value)}
    if len(entries) > 1:
        keys = " or ".join(map(str, entries))
        raise refused(path, f"its weights may be those of {keys}; allowed is one: save it alone")
    state: Mapping[str, object] = next(iter(entries.values()), loaded)
    if not state:
        raise refused(path, f"it holds no weights; allowed is {_SAVED}")
    return state


def _holds_weights(value: object) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(tensor, Tensor) and tensor.dim() > 1 for tensor in value.values()
    )


def _checked(path: object, name: object, value: object) -> Tensor:
    """The tensor without its graph.

    Raises:
        InvalidSetting: it is none, or has no finite floating point numbers.
    """
    if not isinstance(name, str) or not isinstance(value, Tensor):
        kind = type(value).__name__
        raise refused(
            path,
            f"its entry {name!r} is of the type {kind}; allowed are tensors, as in {_SAVED}",
        )
    what = next((what for what, is_unfit in _UNFIT.items() if is_unfit(value)), "")
    if not (what or value.dtype in _NUMBERS or name.endswith(COUNTER)):
        what = f"of {str(value.dtype).removeprefix('torch.')}"
    if what:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in _NUMBERS)
        raise refused(path, f"{name} is {what}; allowed are dense tensors of {allowed}")
    if not value.isfinite().all():
        raise refused(path, f"{name} has NaN or infinite entries; allowed are finite ones")
    return value.detach()
