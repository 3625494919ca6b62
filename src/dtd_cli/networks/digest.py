"""Which network it is: a digest of its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dtd.networks.files.description import described
from dtd.networks.modules.copies import copied
from dtd.networks.modules.tracing import traced_graph
from dtd.networks.network import Network


def digest(network: Network) -> str:
    """SHA-256 of all weights and biases with their shapes and types, and of what layers are."""
    relus = repr([layer.relu for layer in network.layers])
    return digest_of(relus + described(network), network.state_dict())


def digest_of_module(module: nn.Module) -> str:
    """SHA-256 of all weights and buffers with their shapes and types, and of what is computed.

    Raises:
        InvalidSetting: the operations of the module cannot be traced.
    """
    alone = copied(module)
    state = {name: value for name, value in module.state_dict().items() if torch.is_tensor(value)}
    return digest_of(f"{module}{traced_graph(alone)}", state)


def digest_of(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a text and of tensors with their names, shapes and types."""
    said = hashlib.sha256(text.encode())
    for name, tensor in tensors.items():
        said.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        said.update(content.numpy().tobytes())
    return said.hexdigest()
