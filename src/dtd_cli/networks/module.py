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
from dtd.networks.matrices.windows import Shape
from dtd.networks.modules.reading import read
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.digest import digest, digest_of_module
from dtd_cli.networks.open_shape import MayBeOpen

_ALLOWED = "allowed is package.module:function, a function that returns a torch.nn.Module"


@dataclass(frozen=True)
class Module(MayBeOpen):
    """The module that ``target`` returns, ``package.module:function``, called without arguments.

    It is looked for in the folder where the command was given, and among what is installed. Where
    the weights leave the shape of its inputs open, it is that of the data's images.
    """

    target: str

    @property
    def sources(self) -> dict[str, str]:
        # The code may read weights from anywhere.
        told = self.told
        return {"network.target": digest_of_module(self._module) if told is None else digest(told)}

    @property
    def open(self) -> str:
        return "its weights do not tell the height and width of its inputs"

    @property
    def otherwise(self) -> str:
        return "a module that begins with nn.Unflatten(1, (channels, height, width))"

    def read(self, shape: Shape | None) -> Network:
        return _network(self.target, str(Path.cwd()), shape)

    def reason(self, error: InvalidSetting) -> str:
        return f"{error.value}: {error.allowed}"

    def refused(self, reason: str) -> SettingError:
        return SettingError("network.target", self.target, reason)

    @property
    def _module(self) -> nn.Module:
        return _made(self.target, str(Path.cwd()))


@cache
def _network(target: str, folder: str, shape: Shape | None) -> Network:
    """The network of a target for samples of the shape, which is read once in a process."""
    return read(_made(target, folder), shape).network


@cache
def _made(target: str, folder: str) -> nn.Module:
    """What a target returns; the user's code runs once in a process.

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
    return made


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
