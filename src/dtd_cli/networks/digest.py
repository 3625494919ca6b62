"""Which network it is: a digest of its numbers."""

from __future__ import annotations

import hashlib

import torch

from dtd.networks.files.description import described
from dtd.networks.network import Network


def digest(network: Network) -> str:
    """SHA-256 of all weights and biases with their shapes and types, and of what layers are."""
    said = hashlib.sha256(repr([layer.relu for layer in network.layers]).encode())
    said.update(described(network).encode())
    for name, tensor in network.state_dict().items():
        said.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        said.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return said.hexdigest()
