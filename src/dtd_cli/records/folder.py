"""The folder of one run: it owns what it wrote, files appear whole or not at all, ``DONE`` last.

``DONE`` promises that the files are there, also after a power cut, and lists them with their
sizes and digests. ``.files`` names what a run has begun to write, so that the next one in the
folder takes that away, and nothing else, also where ``DONE`` never came or was removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtd_cli.config.errors import SettingError
from dtd_cli.records.files import UNFINISHED, sync, write_whole
from dtd_cli.records.lock import LOCK, held
from dtd_cli.records.manifest import Manifest, is_inside
from dtd_cli.records.reading import LARGEST_TEXT, UnreadableError, is_file, read_bytes

if TYPE_CHECKING:
    # Slow to import, and others write the tables.
    import pandas as pd

PLAN = "runs.json"
"""In the folder of a sweep: the overrides of every run that it is to make, by its folder."""
LARGEST_PLAN = 2**24
"""Bytes of it."""
REPORT = "report"
"""In a folder of runs: the report over them."""
DONE = "DONE"
FAILED = "FAILED"
BEGUN = ".files"
PLOTS = "plots"
OF_FILE_MANAGERS = (".DS_Store", ".directory", "Thumbs.db", "desktop.ini")
"""Files that appear wherever somebody looks into a folder; they stay, and are nobody's work."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes; ``origin`` holds the files that say what it is, by their names."""

    path: Path
    origin: Mapping[str, str] = field(default_factory=dict)

    def problem(self, identity: str = "", verify: bool = False) -> str:
        """Why the folder does not hold the whole result of a run; empty if it does.

        Args:
            identity: of the run that is looked for; empty for any.
            verify: whether the content of every file is compared, or only its size.
        """
        manifest = Manifest.read(self.path / DONE)
        if manifest is None:
            return f"{DONE} does not list the files"
        if identity and manifest.identity != identity:
            return "another configuration"
        return manifest.difference(self.path, verify)

    @property
    def reason(self) -> str:
        """Why the run has no result, in one line; empty if the folder does not say."""
        try:
            return read_bytes(self.path / FAILED, LARGEST_TEXT).decode(errors="replace").strip()
        except UnreadableError:
            return ""

    @property
    def end(self) -> tuple[int, int] | None:
        """The file that says that a run has ended here, and when it came; None while none does."""
        for name in (DONE, FAILED):
            with suppress(OSError):
                mark = (self.path / name).stat()
                return mark.st_ino, mark.st_mtime_ns
        return None

    @property
    def is_left(self) -> bool:
        """Whether some run began here and left neither a result nor a reason."""
        marks = (DONE, FAILED)
        return is_file(self.path / BEGUN) and not any(is_file(self.path / name) for name in marks)

    @property
    def is_begun(self) -> bool:
        """Whether this run began here and has not ended."""
        if not self.is_left:
            return False
        try:
            written = {name: read_bytes(self.path / name) for name in self.origin}
        except UnreadableError:
            return False
        return written == {name: text.encode() for name, text in self.origin.items()}

    def check_own(self, setting: str) -> None:
        """Refuse a folder with files of others: they would be taken for results.

        Folders, hidden files and logs stay what they are beside a run.

        Raises:
            SettingError: with the setting that names the folder, and the first such file.
        """
        # Through a link the run would write elsewhere.
        self._check_own(
            setting,
            (
                path
                for path in [*self.path.iterdir(), *(self.path / PLOTS).glob("*")]
                if path.is_symlink()
                or (path.is_file() and not path.name.startswith(".") and path.suffix != ".log")
            ),
        )

    def check_all_own(self, setting: str) -> None:
        """Refuse a folder that holds anything else than its own files.

        Raises:
            SettingError: with the setting that names the folder, and the first such thing.
        """
        own = {self.path / BEGUN, self.path / PLOTS, *self.path.glob(f".*{UNFINISHED}")}
        self._check_own(setting, (path for path in self.path.rglob("*") if path not in own))

    def _check_own(self, setting: str, paths: Iterable[Path]) -> None:
        own = self._own()
        for path in sorted(paths):
            name = path.relative_to(self.path).as_posix()
            if path.name in OF_FILE_MANAGERS and is_file(path):
                continue
            if path.is_symlink() or name not in own:
                raise SettingError(
                    setting,
                    self.path,
                    f"it holds {name}, which is not this program's, or of its version 0.1; "
                    "allowed is a folder that is empty, or that it wrote itself",
                )

    def start(self) -> None:
        """The run begins: what an earlier one in the same folder wrote is taken away."""
        self.unmark()
        own = self._begun()
        for name in own:
            (self.path / name).unlink(missing_ok=True)
        folders = {self.path, *((self.path / name).parent for name in own)}
        for folder in folders:
            for left in folder.glob(f".*{UNFINISHED}"):
                left.unlink(missing_ok=True)
        if own:
            # A power cut could bring them back, beside a list that does not name them.
            sync(folders)
        with suppress(OSError):
            (self.path / PLOTS).rmdir()
        (self.path / BEGUN).unlink(missing_ok=True)
        self.begin(DONE)
        for name, text in self.origin.items():
            self.write_text(name, text)

    def unmark(self) -> None:
        """What the folder holds no longer counts, neither as a result nor as a failure."""
        # Whose it is, is known all the same.
        self.begin(*self._own() - self._begun())
        was_done = is_file(self.path / DONE)
        for name in (DONE, FAILED):
            (self.path / name).unlink(missing_ok=True)
        if was_done:
            # A power cut could bring it back, beside files of the next run.
            sync([self.path])

    def discard(self) -> None:
        """Take away the folders that were made for a run that never began, if they are empty.

        The run's own, and those above it as far as the working directory, which stays itself.
        """
        here = Path.cwd()
        # The first that is not empty is not removed, and ends it.
        with suppress(OSError):
            if not is_file(self.path / BEGUN):
                (self.path / LOCK).unlink(missing_ok=True)
            for folder in (self.path, *self._above()):
                if here in folder.parents or folder == self.path != here:
                    folder.rmdir()

    def begin(self, *names: str) -> None:
        """The files with these names, as far as they come to be, belong to the run."""
        # No link, and nothing that waits for a reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(self.path / BEGUN, flags, 0o666), "a", encoding="utf-8") as begun:
            begun.writelines(f"{name}\n" for name in names)

    def expect(self, *names: str) -> None:
        """Begin these files, and have the disk know it before any of them is there.

        After a power cut the next run would else take what is there for somebody else's.
        """
        self.begin(*names)
        sync([self.path / BEGUN, self.path])

    def write(self, name: str, content: Callable[[Path], object]) -> None:
        """A file that ``content`` writes; see :func:`write_whole`."""
        self.begin(name)
        write_whole(self.path / name, content)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """A CSV whose numbers read back as the same floats; empty where there is no number."""
        self.write(name, lambda path: table.to_csv(path, index=False, lineterminator="\n"))

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """A JSON file for people: indented, in the order given."""
        self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """A file of text."""
        self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def done(self, identity: str = "") -> None:
        """The run is complete: everything else is written, and the disk has it."""
        self.sync()
        self._conclude(Manifest.of(self.path, self._begun(), identity))

    @contextmanager
    def adding(self, names: Collection[str]) -> Iterator[None]:
        """Files with these names are written into a finished run's folder, and ``DONE`` lists them.

        It does not while they are written, so the folder is whole at every moment.

        Raises:
            SettingError: the folder holds no finished run, or another process works in it.
        """
        with held(self.path, "DIR", waits=False):
            manifest = Manifest.read(self.path / DONE)
            if manifest is None or manifest.difference(self.path, verify=False):
                raise SettingError("DIR", self.path, f"no finished run: {self.problem()}")
            for folder in {(self.path / name).parent for name in names}:
                if not folder.resolve().is_relative_to(self.path.resolve()):
                    raise SettingError(
                        "DIR", self.path, f"{folder.name} in it is a link; allowed is a folder"
                    )
            rest = {name: entry for name, entry in manifest.files.items() if name not in names}
            self._conclude(Manifest(rest, manifest.identity))
            self.begin(*names)
            yield
            added = [*filter(self._has, names)]
            sync([*(self.path / name for name in added), self.path / BEGUN])
            files = {**rest, **Manifest.of(self.path, added).files}
            self._conclude(Manifest(files, manifest.identity))

    def _conclude(self, manifest: Manifest) -> None:
        write_whole(self.path / DONE, lambda path: _durable(path, manifest.text))
        sync([self.path])

    def sync(self) -> None:
        """Have the disk keep the files that are written."""
        files = {self.path / name for name in self._begun()}
        above = {path.parent for path in files} | {self.path, *self._above()}
        sync(files | above | {self.path / BEGUN})

    def failed(self, reason: str) -> None:
        """The run has no result; the reason becomes one line. A full disk takes even that."""
        with suppress(OSError):
            self.write_text(FAILED, " ".join(reason.split()) + "\n")

    def _above(self) -> list[Path]:
        """The folders above the run's own up to the working directory; elsewhere the first."""
        here, parents = Path.cwd(), self.path.absolute().parents
        return [p for p in parents if here in (p, *p.parents)] or [self.path.absolute().parent]

    def _own(self) -> set[str]:
        """The names of the files that an earlier run wrote, whether it ended or not."""
        manifest = Manifest.read(self.path / DONE)
        listed = {DONE, *manifest.files} if manifest else set()
        return {*filter(self._has, listed), *self._begun()}

    def _begun(self) -> set[str]:
        """Those that are begun; a process that was killed may have left the last line short."""
        try:
            names = read_bytes(self.path / BEGUN, LARGEST_TEXT).decode().splitlines()
        except ValueError:
            return set()
        return {*filter(self._has, names)}

    def _has(self, name: str) -> bool:
        """Whether a file lies in the folder itself, and not where a link in it leads."""
        path = self.path / name
        inside = is_inside(name) and path.parent.resolve().is_relative_to(self.path.resolve())
        return inside and is_file(path)


def _durable(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    sync([path])
