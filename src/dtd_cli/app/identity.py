"""The name of a run's folder in a sweep.

The name follows from the resolved configuration alone. So the same configuration has the same
folder however it was written on the command line, and two different ones have different folders.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd_cli.app.choices import composed, groups, searchpath
from dtd_cli.config.composed import NOT_OF_THE_RUN, leaves
from dtd_cli.config.errors import SettingError
from dtd_cli.config.references import refused

NUMERICS = 8
"""Version of the numerics; every change that changes numbers raises it."""

_READABLE = 160
"""Bytes of the readable part. With the hash it stays below the 255 that file systems allow."""


def folder_name(config: DictConfig) -> str:
    """A readable part and the identity, of ASCII characters that need no quoting.

    Args:
        config: the composed configuration of one run, with Hydra's own part.
    """
    content = _content(config)
    where = searchpath(config.hydra.overrides.hydra)
    return f"{_readable(content, where)}-{_identity(content)}"


def identity(config: DictConfig) -> str:
    """64 bits of a digest of the settings, and of the files and the code that they name."""
    return _identity(_content(config))


def _identity(content: Mapping[str, Any]) -> str:
    parts = [NUMERICS, _with_text_keys(content), [*_sources(content).values()]]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def unchanged(config: DictConfig, named: str) -> Callable[[], None]:
    """What refuses a run whose files or code are others than when it was named, now or later.

    Raises:
        SettingError: they are others already, with the settings that name them.
    """
    content = _content(config)
    stamps = _stamps(content)

    def check() -> None:
        # A file may have been another in between, and have its first content again.
        if _identity(content) != named or _stamps(content) != stamps:
            sources = {key: value for key, value in leaves(content) if key in _sources(content)}
            raise SettingError(
                next(iter(sources), "configuration"),
                next(iter(sources.values()), ""),
                "what it names changed while it was read, or since the sweep began; start again",
            )

    check()
    return check


def _stamps(content: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """What the system notes of each file that a setting names; it differs after a change."""
    # Not the time of the content: a file that is copied back with its times would hide the change.
    files = (path.stat() for _, path in _files(content))
    return [(file.st_dev, file.st_ino, file.st_size, file.st_ctime_ns) for file in files]


def _files(content: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """The files that settings name, by the settings."""
    for key, value in leaves(content):
        if key.endswith(".path") and isinstance(value, str) and Path(value).is_file():
            yield key, Path(value)


def _sources(content: Mapping[str, Any]) -> dict[str, str]:
    """By the settings that name them: digests of files, and of what the network is read from."""
    sources = {key: _digest(path) for key, path in _files(content)}
    network = content.get("network")
    if isinstance(network, dict) and network.get("name") in ("module", "onnx"):
        # Slow to import, and only needed here.
        from dtd_cli.config.typed import option
        from dtd_cli.networks import NETWORKS

        # A refusal is said when the network is built.
        with suppress(InvalidSetting):
            sources |= option("network", NETWORKS, network).sources
    return sources


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(config: DictConfig) -> dict[str, Any]:
    """The settings of the run, resolved, and as their types have them."""
    # Slow to import, and not needed for --help.
    from dtd_cli.config.config import canonical

    try:
        chosen = {str(key): config[key] for key in config if key not in ("hydra", *NOT_OF_THE_RUN)}
        content = {
            key: OmegaConf.to_container(value, resolve=True)
            if OmegaConf.is_config(value)
            else value
            for key, value in chosen.items()
        }
        # Whether a run draws, not how: dtd-plot draws a finished one otherwise.
        plots: Any = content.get("plots")
        content["plots"] = plots["name"] if isinstance(plots, dict) else plots
        return canonical(content)
    except OmegaConfBaseException as error:
        raise refused(error, config) from error


def _with_text_keys(value: Any) -> Any:
    """The same with keys that can be sorted."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(entry) for key, entry in value.items()}
    return [*map(_with_text_keys, value)] if isinstance(value, list | tuple) else value


def _readable(content: Mapping[str, Any], where: tuple[str, ...]) -> str:
    """The rule, the seed, and every setting that differs from the default."""
    options = groups(where)
    usual = _usual(where, str(Path.cwd()))
    chosen = {
        group: str(content[group]["name"])
        for group in options
        if isinstance(content.get(group), dict) and "name" in content[group]
    }
    parts = [
        f"{group}={name}"
        for group, name in chosen.items()
        if group == "rule" or name != (usual[group] or {}).get("name")
    ]
    known = [f"{group}={name}" for group, name in chosen.items() if name in options[group]]
    # What other settings refer to, such as the seed.
    top = {key: value for key, value in content.items() if not isinstance(value, dict)}
    base = OmegaConf.unsafe_merge(_as_it_comes(where, tuple(known), str(Path.cwd())), top)
    as_it_comes = dict(leaves(_content(cast(DictConfig, base))))
    parts += [
        f"{key}={value}"
        for key, value in leaves(content)
        if key == "seed" or as_it_comes.get(key, ...) != value
    ]
    text = re.sub(r"[^A-Za-z0-9._=+,-]+", "_", re.sub(r"[\[\](){}'\" ]", "", ",".join(parts)))
    return text[:_READABLE]


@cache
def _usual(where: tuple[str, ...], folder: str) -> dict[str, Any]:
    """The settings of a run of which nothing is said."""
    return _content(_as_it_comes(where, (), folder))


def _as_it_comes(where: tuple[str, ...], choices: tuple[str, ...], folder: str) -> DictConfig:
    """The configuration with these options, as seen from a folder: one of ``where`` is relative."""
    config: DictConfig = pickle.loads(_pickled(where, choices, folder))
    return config


@cache
def _pickled(where: tuple[str, ...], choices: tuple[str, ...], folder: str) -> bytes:
    # To read it takes an eighth of the time of a deep copy.
    return pickle.dumps(composed(where, choices))
