"""What a finished folder holds: the names, sizes and SHA-256 of its files, which ``DONE`` lists."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_LARGEST = 10_000_000
"""Bytes that are read of a file that may have been written by anybody."""
_NO_MANIFEST = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip


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
            if not is_file(path) or path.stat().st_size > _LARGEST:
                return None
            content = json.loads(path.read_text("utf-8"))
            files = {
                name: (int(entry["size"]), str(entry["sha256"]))
                for name, entry in content["files"].items()
            }
            identity = str(content["identity"])
        except _NO_MANIFEST:
            return None
        return cls(files, identity) if all(map(is_inside, files)) else None

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
                if verify and _size_and_digest(path)[1] != digest:
                    return f"{name} has another content than when it was written"
            except OSError as error:
                return f"{name}: {error.strerror}"
        return ""


def is_file(path: Path) -> bool:
    """Whether there is a file: a link or a pipe is none."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_inside(name: str) -> bool:
    """Whether a name from a file names something in the folder itself."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and not {"..", ""} & set(path.parts)


def _size_and_digest(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
