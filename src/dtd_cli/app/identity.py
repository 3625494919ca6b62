"""The name of a run's folder in a sweep.

The name follows from the resolved configuration alone. So the same configuration has the same
folder however it was written on the command line, and two different ones have different folders.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from dtd_cli.app.overrides import groups
from dtd_cli.config.composed import NOT_OF_THE_RUN, leaves

NUMERICS = 4
"""Version of the numerics; every change that changes numbers raises it."""

_READABLE = 160
"""Bytes of the readable part. With the hash it stays below the 255 that file systems allow."""

Compose = Callable[[Sequence[str]], DictConfig]
"""From overrides to a composed configuration."""


def folder_name(config: DictConfig, compose: Compose) -> str:
    """A readable part and a hash, of ASCII characters that need no quoting.

    Args:
        config: the composed configuration of one run.
        compose: composes other configurations, to see in what this one differs from the default.
    """
    content = _content(config)
    return f"{_readable(content, compose)}-{_hash(content)}"


def _content(config: DictConfig) -> dict[str, Any]:
    """The settings of the run, resolved."""
    chosen = {str(key): config[key] for key in config if key not in ("hydra", *NOT_OF_THE_RUN)}
    return {
        key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for key, value in chosen.items()
    }


def _hash(content: Mapping[str, Any]) -> str:
    """64 bits of a digest of the settings, and of the files and the code that they name."""
    files = [
        hashlib.sha256(Path(value).expanduser().read_bytes()).hexdigest()
        for key, value in leaves(content)
        if key.endswith(".path") and isinstance(value, str) and Path(value).expanduser().is_file()
    ]
    text = json.dumps([NUMERICS, content, files + _code(content)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _code(content: Mapping[str, Any]) -> list[str]:
    """A digest of the weights that the user's code makes, which may come from anywhere."""
    network = content.get("network")
    target = network.get("target") if isinstance(network, dict) else None
    if not isinstance(target, str):
        return []
    # Slow to import, and only needed here.
    from dtd_cli.networks.module import digest_of

    return [digest_of(target)]


def _readable(content: Mapping[str, Any], compose: Compose) -> str:
    """The rule, the seed, and every setting that differs from the default."""
    usual = _content(compose(()))
    chosen = {
        group: content[group]["name"]
        for group in groups()
        if isinstance(content.get(group), dict) and "name" in content[group]
    }
    parts = [
        f"{group}={name}"
        for group, name in chosen.items()
        if group == "rule" or name != (usual[group] or {}).get("name")
    ]
    base = compose([f"{group}={name}" for group, name in chosen.items() if name in groups()[group]])
    # What other settings refer to, such as the seed.
    top = {key: value for key, value in content.items() if not isinstance(value, dict)}
    as_it_comes = dict(leaves(_content(cast(DictConfig, OmegaConf.merge(base, top)))))
    parts += [
        f"{key}={value}"
        for key, value in leaves(content)
        if key == "seed" or as_it_comes.get(key, ...) != value
    ]
    text = re.sub(r"[^A-Za-z0-9._=+,-]+", "_", re.sub(r"[\[\](){}'\" ]", "", ",".join(parts)))
    return text[:_READABLE]
