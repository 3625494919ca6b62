"""``network=module``: a module that the user's own code makes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from dtd.errors import InvalidSetting, shown
from dtd.networks.modules.reading import read
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.digest import digest
from dtd_cli.networks.given import Given

_ALLOWED = "allowed is package.module:function, a function that returns a torch.nn.Module"


@dataclass(frozen=True)
class Module(Given):
    """The module that ``target`` returns, ``package.module:function``, called without arguments.

    It is looked for in the folder where the command was given, and among what is installed.
    """

    target: str

    @property
    def network(self) -> Network:
        return _made(self.target, str(Path.cwd()))

    @property
    def sources(self) -> dict[str, str]:
        # The code may read weights from anywhere.
        return {"network.target": digest(self.network)}


@cache
def _made(target: str, folder: str) -> Network:
    """The network of a target; the user's code runs once in a process.

    Raises:
        SettingError: with what is wrong, in one line.
    """
    name, colon, function = target.partition(":")
    if not (name and colon and function):
        raise SettingError("network.target", target, _ALLOWED)
    with _found_from(folder):
        where = f"{name} cannot be imported from {folder}"
        module = _run(target, where, lambda: import_module(name))
        try:
            make = reduce(getattr, function.split("."), module)
        except AttributeError as error:
            raise _refused(target, f"{name} has no {function}") from error
        if not callable(make):
            raise _refused(target, f"{function} is of the type {type(make).__name__}")
        made = _run(target, f"{function} raised", make)
    if not isinstance(made, nn.Module):
        raise _refused(target, f"it returns {shown(made)}")
    try:
        return read(made).network
    except InvalidSetting as error:
        raise SettingError("network.target", target, f"{error.value}: {error.allowed}") from error


@contextmanager
def _found_from(folder: str) -> Iterator[None]:
    """Imports look into the folder first, as those of ``python -m`` do."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _run(target: str, failed: str, code: Callable[[], Any]) -> Any:
    """What the user's code gives; whatever it raises is a refusal."""
    try:
        return code()
    # A script may end by sys.exit().
    except (Exception, SystemExit) as error:
        raise _refused(target, f"{failed}: {type(error).__name__}: {error}") from error


def _refused(target: str, reason: str) -> SettingError:
    return SettingError("network.target", target, f"{reason}; {_ALLOWED}")
