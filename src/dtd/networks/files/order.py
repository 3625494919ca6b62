"""The order of the modules of a file, from the input up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from dtd.errors import InvalidSetting, shown
from dtd.networks.files.checkpoints import Checkpoint, refused
from dtd.networks.files.parts import Part


def ordered(path: str | Path, parts: list[Part], checkpoint: Checkpoint) -> list[Part]:
    """The modules in their order, which the file or the numbers in their names tell."""
    names = [part.name for part in parts]
    numbers = {name: [int(number) for number in re.findall(r"\d+", name)] for name in names}
    by_number = sorted(parts, key=lambda part: numbers[part.name])
    numbered = len({re.sub(r"\d+", "#", name) for name in names}) == 1
    if numbered and (by_number == parts or not checkpoint.ordered):
        return by_number
    if checkpoint.ordered and not numbered:
        return parts
    why = "the numbers of its layers are not in order" if numbered else "it keeps no order"
    raise refused(
        path,
        f"{why}, so that of {', '.join(_short(names))} is in doubt; allowed is "
        "layers=[…] with these names from the input up",
    )


def named_order(layers: Sequence[str], parts: list[Part]) -> list[Part]:
    """The modules in the order that the caller gives."""
    names = [part.name for part in parts]
    by_name = dict(zip(names, parts, strict=True)) | dict(zip(_short(names), parts, strict=True))
    listed = isinstance(layers, list | tuple) and all(isinstance(name, str) for name in layers)
    chosen = [by_name.get(name) for name in layers] if listed else []
    known = [part for part in chosen if part is not None]
    if not listed or len(known) != len(chosen) or sorted(p.name for p in known) != sorted(names):
        raise InvalidSetting(
            "layers",
            f"[{','.join(layers)}]" if listed else shown(layers),
            f"allowed is a list of {', '.join(_short(names))}, each once, from the input up",
        )
    return known


def _short(names: Sequence[str]) -> list[str]:
    """The names without what all of them begin with, as ``model.``."""
    parents = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, parents)))
    return [".".join(name.split(".")[shared:]) for name in names]
