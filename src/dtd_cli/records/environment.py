"""Where and from what a run came."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dtd.networks.network import Network
from dtd_cli.networks.digest import digest

_PACKAGES = (
    "dtd-run", "torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib", "hydra-core",
    "omegaconf", "python-flint", "safetensors",
)  # fmt: skip


def environment(
    seed: int, device: torch.device, durations: dict[str, float], network: Network
) -> dict[str, Any]:
    """``environment.json``: versions, commit, seed, command, durations in seconds, the network."""
    return {
        "command": sys.argv,
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(),
        "commit": _commit(),
        "network_sha256": digest(network),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "durations": {name: round(seconds, 4) for name, seconds in durations.items()},
    }


@cache
def _packages() -> dict[str, str]:
    return {package: version(package) for package in _PACKAGES}


@cache
def _commit() -> str | None:
    """The commit of the checkout that runs; None for an installed package."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None
