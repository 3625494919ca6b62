"""What a finished folder holds: the names, sizes and SHA-256 of its files, which ``DONE`` lists."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dtd_cli.records.documents import read_json
from dtd_cli.records.reading import UnreadableError, is_file, one_line, opened

_LARGEST = 2**36
"""Bytes of a file of somebody else's that are compared at most: minutes."""


@dataclass(frozen=True)
class _Entry:
    size: int
    sha256: str


@dataclass(frozen=True)
class _Listed:
    """``DONE``, as it is written."""

    identity: str
    files: dict[str, _Entry]


@dataclass(frozen=True)
class Manifest:
    """The files of a folder; ``identity`` is a digest of what made them, empty if nothing asks."""

    files: Mapping[str, tuple[int, str]]
    """Size and SHA-256, by names relative to the folder."""
    identity: str = ""

    @classmethod
    def of(cls, folder: Path, names: Iterable[str], identity: str = "") -> Manifest:
        """What the folder holds under these names now."""
        return cls({name: _size_and_digest(folder / name) for name in sorted(names)}, identity)

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """The manifest in a file; None where there is none, as in those of version 0.1."""
        try:
            listed = read_json(path, _Listed)
        except UnreadableError:
            return None
        files = {name: (entry.size, entry.sha256) for name, entry in listed.files.items()}
        return cls(files, listed.identity) if all(map(is_inside, files)) else None

    @property
    def text(self) -> str:
        """The manifest as a file."""
        files = {name: {"size": size, "sha256": sha} for name, (size, sha) in self.files.items()}
        return json.dumps({"identity": self.identity, "files": files}, indent=1) + "\n"

    def difference(self, folder: Path, verify: bool) -> str:
        """In a few words, how the folder differs from the manifest; empty if it does not.

        Args:
            folder: where the files are.
            verify: whether to compare the digests too, for which all files are read.
        """
        for name, (size, digest) in self.files.items():
            path = folder / name
            try:
                if not is_file(path):
                    return f"{name} is missing"
                if path.stat().st_size != size:
                    return f"{name} has another size than when it was written"
                if verify and _size_and_digest(path, _LARGEST)[1] != digest:
                    return f"{name} has another content than when it was written"
            except (OSError, UnreadableError) as error:
                return one_line(f"{name}: {error}")
        return ""


def is_inside(name: str) -> bool:
    """Whether a name from a file names something in the folder itself."""
    path = PurePosixPath(name)
    plain = str(path) == name and "\0" not in name
    return plain and bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _size_and_digest(path: Path, largest: int = sys.maxsize) -> tuple[int, str]:
    with opened(path, largest) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
