"""Nothing is lost: what DONE promises, whose files are whose, two at once, files that change."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from dtd_cli.records.folder import RunFolder
from dtd_cli.records.lock import held
from dtd_cli.records.manifest import Manifest
from dtd_cli.report import write_report
from test_cli import CSV, dtd_run, interruptible, visible
from test_faults import IN_TRAINING
from test_sweeps import NOTEBOOK, SCRIPT, contents, runs

pytestmark = pytest.mark.usefixtures("no_pictures")

SMALL = [*NOTEBOOK, "plots=none", "progress=false"]
RUN = [*SMALL, "hydra.run.dir=run"]
SWEEP = ["-m", *SMALL, "report=false", "sweep=a"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder in which a sweep ended; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert dtd_run(patch, *SWEEP, "seed=3,4") == 0
    return folder


@pytest.fixture
def sweep(finished, _in_a_folder_of_its_own):
    """A copy of the sweep."""
    return Path(shutil.copytree(finished / "outputs", "outputs"), "sweeps", "a")


def all_files(folder):
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()}


# What DONE promises


class Disk:
    """What a power cut would leave: of files what was synced, of folders the names that were."""

    def __init__(self, monkeypatch):
        self.contents, self.names, self.folders = {}, {}, set()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, handle):
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(handle) as scanned:
                entries = list(scanned)
            names = {entry.name: entry.inode() for entry in entries}
            self.names[found.st_ino] = names
            self.folders -= {*names.values()}
            self.folders |= {entry.inode() for entry in entries if entry.is_dir()}
        else:
            self.contents[found.st_ino] = os.pread(handle, found.st_size, 0)
        self._fsync(handle)

    def knows(self, path):
        """Whether the folder of a file would still say that the run began it."""
        known = self.names.get(path.parent.stat().st_ino, {}).get(".files")
        return path.name in self.contents.get(known, b"").decode().splitlines()

    def has(self, path):
        """Whether a file would be there after a power cut."""
        return self.left(path) is not None

    def left(self, path):
        """The content of a file after a power cut; None if it would be gone."""
        inode = Path.cwd().stat().st_ino
        for name in path.resolve().relative_to(Path.cwd().resolve()).parts:
            inode = self.names.get(inode, {}).get(name)
        return self.contents.get(inode)

    def restore(self, inode, place):
        """Make what a folder would hold after a power cut; files that were not synced are empty."""
        place.mkdir()
        for name, child in self.names.get(inode, {}).items():
            if child in self.folders:
                self.restore(child, place / name)
            else:
                (place / name).write_bytes(self.contents.get(child, b""))


@pytest.mark.skipif(sys.platform != "linux", reason="folders are synced as files")
@pytest.mark.parametrize("arguments", [["hydra.run.dir=run"], ["-m", "report=false", "sweep=a"]])
def test_done_stands_beside_files_that_a_power_cut_leaves(monkeypatch, arguments):
    disk = Disk(monkeypatch)
    replace = Path.replace

    def replaced(self, target):
        if Path(target).suffix == ".csv":
            assert disk.knows(Path(target))
        if Path(target).name == "DONE":
            files = json.loads(self.read_text())["files"]
            assert {"relevance.csv", "summary.json", ".hydra/config.yaml"} <= set(files)
            for name in files:
                path = Path(target).parent / name
                assert disk.left(path) == path.read_bytes(), name
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    assert dtd_run(monkeypatch, *SMALL, *arguments) == 0
    (done,) = Path().rglob("DONE")
    assert disk.left(done) == done.read_bytes()
    # Nor does it come back beside files of the next run.
    RunFolder(done.parent).unmark()
    assert disk.left(done) is None
    # Nor does a table, once no list says whose it is.
    unlink = Path.unlink

    def unlinked(self, missing_ok=False):
        if self.name == ".files":
            assert not disk.has(done.with_name("relevance.csv"))
        unlink(self, missing_ok)

    assert disk.has(done.with_name("relevance.csv"))
    monkeypatch.setattr(Path, "unlink", unlinked)
    RunFolder(done.parent).start()
    assert not disk.has(done.with_name("relevance.csv"))


def empty(path):
    path.write_text("")


def change(path):
    text = path.read_text()
    path.write_text(text.replace(text[-2], "7" if text[-2] != "7" else "8"))


@pytest.mark.parametrize(
    ("name", "damage", "verify"),
    [
        ("relevance.csv", empty, False),
        ("layers.csv", Path.unlink, False),
        ("network.safetensors", Path.unlink, False),
        ("relevance.csv", change, True),
        ("DONE", empty, False),
        ("DONE", Path.unlink, False),
    ],
)
def test_a_folder_that_does_not_match_is_not_done(sweep, name, damage, verify):
    (folder, _) = runs("a").values()
    assert not RunFolder(folder).problem(verify=True)
    damage(folder / name)
    assert RunFolder(folder).problem(verify=verify)


def test_what_does_not_match_is_done_again(monkeypatch, capfd, sweep):
    before, (first, second) = contents("a"), runs("a").values()
    empty(first / "layers.csv")
    change(second / "relevance.csv")
    assert dtd_run(monkeypatch, *SWEEP, "seed=3,4") == 0
    assert "1 done, 1 skipped" in capfd.readouterr().out
    page = write_report(sweep, progress=False, verify=True)
    assert "relevance.csv has another content" in page.read_text()
    assert dtd_run(monkeypatch, *SWEEP, "seed=3,4", "--verify") == 0
    assert "1 done, 1 skipped" in capfd.readouterr().out
    assert contents("a") == before


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"files": 1, "identity": ""}', '{"files": {"../x": {}}, "identity": ""}',
     '{"files": {"/x": {"size": 1, "sha256": ""}}, "identity": ""}',
     '{"files": {"a": {"size": 1e999, "sha256": ""}}, "identity": ""}', "[" * 99999],
)  # fmt: skip
def test_what_is_no_manifest(tmp_path, content):
    (tmp_path / "DONE").write_text(content)
    assert Manifest.read(tmp_path / "DONE") is None
    assert RunFolder(tmp_path).problem() == "DONE does not list the files"


# One run, one folder


def test_a_second_run_leaves_nothing_of_the_first(monkeypatch):
    many = ["relevance.paths=true", "studies=[agreement]", "plots=all"]
    assert dtd_run(monkeypatch, *RUN, *many) == 0
    assert {"paths.csv", "agreement.csv", "plots/agreement.png"} <= all_files("run")
    assert dtd_run(monkeypatch, *RUN, "seed=5", "rule=w2", "plots=none") == 0
    assert dtd_run(monkeypatch, *SMALL, "seed=5", "rule=w2", "hydra.run.dir=alone") == 0
    assert all_files("run") == all_files("alone")


@pytest.mark.parametrize("name", ["relevance.csv", "notes.txt", "plots/roots.png"])
def test_files_of_others_are_refused_before_anything_is_computed(monkeypatch, capfd, name):
    own = Path("run", name)
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    monkeypatch.setattr("dtd_cli.run.run.prepare", lambda config: 1 / 0)
    assert dtd_run(monkeypatch, *RUN) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert f"it holds {name}, which is not this program's" in line
    assert all_files("run") - {".lock"} == {name}
    assert own.read_text() == "mine"


def test_what_a_killed_run_left_is_taken_away(monkeypatch):
    """Its tables and its half-written file, but nothing that it did not write."""
    many = ["relevance.paths=true", "hydra.run.dir=run"]
    assert dtd_run(monkeypatch, *SMALL, *many) == 0
    (Path("run") / "DONE").unlink()
    (Path("run") / ".roots.csv.0123.unfinished").write_text("half")
    (Path("run") / ".mine").write_text("hidden")
    assert dtd_run(monkeypatch, *RUN) == 0
    assert "paths.csv" not in visible("run")
    assert not list(Path("run").glob(".*.unfinished"))
    assert (Path("run") / ".mine").exists()


def test_a_manifest_of_others_removes_nothing_outside(monkeypatch):
    """A folder below which a link leads elsewhere."""
    assert dtd_run(monkeypatch, *RUN) == 0
    Path("precious").mkdir()
    Path("precious/a.png").write_text("mine")
    (Path("run") / "plots").symlink_to(Path("precious").resolve())
    content = json.loads(Path("run/DONE").read_text())
    content["files"]["plots/a.png"] = {"size": 4, "sha256": ""}
    Path("run/DONE").write_text(json.dumps(content))
    dtd_run(monkeypatch, *RUN)
    assert Path("precious/a.png").read_text() == "mine"


@pytest.mark.parametrize(
    "name", [".files", ".hydra", ".holder", ".lock", "plots", "relevance.csv", "DONE"]
)
def test_no_run_writes_through_a_link(monkeypatch, name):
    Path("run").mkdir()
    precious = Path("precious").resolve()
    if name in (".hydra", "plots"):
        precious.mkdir()
    else:
        precious.write_text("mine")
    (Path("run") / name).symlink_to(precious)
    assert dtd_run(monkeypatch, *RUN, "plots=all") == {".holder": 0, ".lock": 1}.get(name, 2)
    assert precious.is_dir() or precious.read_text() == "mine"
    assert not precious.is_dir() or not list(precious.iterdir())


@pytest.mark.parametrize("name", ["multirun.yaml", "runs.json"])
def test_no_sweep_writes_through_a_link(monkeypatch, name):
    Path("sweep").mkdir()
    Path("precious").write_text("mine")
    (Path("sweep") / name).symlink_to(Path("precious").resolve())
    arguments = [part for part in SWEEP if part != "sweep=a"]
    assert dtd_run(monkeypatch, *arguments, "seed=3", "hydra.sweep.dir=sweep") == 2
    assert Path("precious").read_text() == "mine"


@pytest.mark.parametrize("name", ["DONE", "FAILED", ".files", ".hydra/config.yaml"])
def test_a_sweep_waits_for_no_pipe_in_a_folder(monkeypatch, sweep, name):
    (folder, _) = runs("a").values()
    (folder / "DONE").unlink()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert dtd_run(monkeypatch, *SWEEP, "seed=3,4") in (0, 1, 2)
    # A pipe that is in the way is told or taken away.
    assert (folder / "DONE").is_file() or name == ".files"


@pytest.mark.parametrize("name", [".report.holder", ".report.lock"])
def test_no_report_writes_through_a_link(sweep, name):
    (run, _) = runs("a").values()
    Path("precious").write_text("mine")
    (run / name).symlink_to(Path("precious").resolve())
    with suppress(ValueError, OSError):
        write_report(run, progress=False)
    assert Path("precious").read_text() == "mine"


# Two at once


@contextmanager
def busy(folder):
    """Another process that holds the lock of a folder."""
    code = (
        "import sys, pathlib\nfrom dtd_cli.records.lock import held\n"
        "with held(pathlib.Path(sys.argv[1]), '', waits=False):\n"
        "    print('held', flush=True)\n    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_the_second_run_in_a_folder_is_told_who_holds_it(monkeypatch, capfd):
    with busy("run") as other:
        assert dtd_run(monkeypatch, *RUN) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert f"process {other.pid} on " in line
        other.kill()
        other.wait()
        # A lock ends with its process.
        assert dtd_run(monkeypatch, *RUN) == 0


OPTUNA = ["hydra.sweeper.n_trials=1", "rule.gamma=0.25,0.5", "rule=gamma"]


# Optuna's sweeper makes its folder as Hydra's own does.
@pytest.mark.parametrize(
    "sweeper",
    [["dtd"], ["basic"], pytest.param(["optuna", *OPTUNA], marks=pytest.mark.exhaustive)],
    ids=lambda sweeper: sweeper[0],
)
def test_the_second_sweep_waits_and_does_nothing_twice(sweeper):
    if "optuna" in sweeper:
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    with busy("outputs/sweeps/a") as other:
        name, *settings = sweeper
        sweep = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *SWEEP, f"hydra/sweeper={name}", *settings],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = sweep.stderr.readline()
        assert f"process {other.pid} on " in said
        assert "waiting" in said
        assert not list(Path("outputs/sweeps/a").glob("*/"))
        print(file=other.stdin, flush=True)
        out, error = sweep.communicate()
    assert sweep.returncode == 0
    # Optuna tells its progress there.
    assert not error or name == "optuna"
    assert out.count("done in") == 1
    assert "1 done, 0 skipped, 0 failed" in out or name != "dtd"


@pytest.mark.parametrize("sweeper", ["dtd", "basic"])
@pytest.mark.parametrize("name", ["multirun.yaml", "runs.json"])
def test_a_sweep_replaces_no_files_of_others(monkeypatch, capfd, name, sweeper):
    theirs = Path("outputs/sweeps/a") / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text('{"mine": 1}')
    assert dtd_run(monkeypatch, *SWEEP, f"hydra/sweeper={sweeper}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("dtd-run: sweep=")
    assert "no run of this program" in line
    assert theirs.read_text() == '{"mine": 1}'


@pytest.mark.parametrize("sweeper", ["dtd", "basic"])
def test_a_run_in_the_folder_of_a_sweep_is_refused(monkeypatch, capfd, sweeper):
    assert dtd_run(monkeypatch, *SWEEP, f"hydra/sweeper={sweeper}") == 0
    capfd.readouterr()
    there = sorted(Path("outputs/sweeps/a").glob("[!.]*"))
    assert dtd_run(monkeypatch, *SMALL, "hydra.run.dir=outputs/sweeps/a") == 2
    assert "it holds multirun.yaml" in capfd.readouterr().err
    assert sorted(Path("outputs/sweeps/a").glob("[!.]*")) == there


@pytest.mark.parametrize("sweeper", ["dtd", "basic"])
def test_a_sweep_that_was_killed_before_its_first_run_goes_on(monkeypatch, sweeper):
    def killed(config, path, **_):
        Path(path).write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OmegaConf, "save", killed)
        assert dtd_run(monkeypatch, *SWEEP, f"hydra/sweeper={sweeper}") == 130
    assert not list(Path("outputs/sweeps/a").glob("*/.files"))
    killed = Path("outputs/sweeps/a")
    (killed / "multirun.yaml").write_text("half")
    left = [
        killed / f".{name}.0123456789abcdef.unfinished"
        for name in ("runs.json", "multirun.yaml", ".sweep")
    ]
    mine = killed / ".photo.0123.unfinished"
    for path in (*left, mine):
        path.write_text("half")
    assert dtd_run(monkeypatch, *SWEEP, f"hydra/sweeper={sweeper}") == 0
    assert not [path for path in left if path.exists()]
    assert mine.exists()


def test_a_lock_is_held_by_one(tmp_path):
    lock = partial(held, tmp_path, "x", waits=False)
    with lock(), pytest.raises(ValueError, match=f"process {os.getpid()} on "):
        lock().__enter__()
    with lock():
        pass


# Files that change


def test_a_file_that_changes_during_a_sweep_is_refused(monkeypatch, capfd):
    """The folder is named after what the file held when the sweep began."""
    import dtd_cli.run.run

    prepare = dtd_cli.run.run.prepare
    first = "a,b,c\n3,3,3\n"

    def prepared(config):
        Path("rows.csv").write_text("a,b,c\n3,3,2\n")
        return prepare(config)

    def prepared_and_put_back(config):
        was = Path("rows.csv").stat()
        outcome = prepared(config)
        Path("rows.csv").write_text(first)
        # As a copy with its times does.
        os.utime("rows.csv", ns=(was.st_atime_ns, was.st_mtime_ns))
        return outcome

    Path("rows.csv").write_text(first)
    settings = [*CSV, "network.seed=2", "inputs.path=rows.csv", "plots=none", "progress=false"]
    with monkeypatch.context() as changing:
        changing.setattr(dtd_cli.run.run, "prepare", prepared)
        assert dtd_run(monkeypatch, "-m", "report=false", *settings, "seed=3,4", "sweep=a") == 2
        said = capfd.readouterr().err.splitlines()
        assert len(said) == 2
        assert all("inputs.path=rows.csv: what it names changed" in line for line in said)
        Path("rows.csv").write_text(first)
        assert dtd_run(monkeypatch, *settings, "hydra.run.dir=run") == 2
        Path("rows.csv").write_text(first)
        changing.setattr(dtd_cli.run.run, "prepare", prepared_and_put_back)
        assert dtd_run(monkeypatch, *settings, "hydra.run.dir=run") == 2
    assert not list(Path("outputs").rglob("DONE"))
    assert not Path("run").exists()


# Reports


def test_a_report_is_of_one_generation_or_the_other(monkeypatch, sweep):
    """Interrupted at a file that it writes, the earlier one stays whole."""
    import dtd_cli.records.files as files

    write_report(sweep, progress=False)
    before = {p.name: p.read_bytes() for p in (sweep / "report").iterdir()}
    assert dtd_run(monkeypatch, *SWEEP, "seed=5") == 0
    replace = Path.replace
    for killed_at in range(0, 99, 9):
        count = iter(range(99))

        def killed(self, target, killed_at=killed_at, count=count):
            if next(count) == killed_at:
                raise KeyboardInterrupt
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(files.Path, "replace", killed)
            try:
                write_report(sweep, progress=False)
                break
            except KeyboardInterrupt:
                pass
        assert {p.name: p.read_bytes() for p in (sweep / "report").iterdir()} == before
    assert killed_at > 8
    assert (sweep / "report" / "runs.csv").read_text().count("\n") == 4
    assert not list(sweep.glob(".report.*unfinished"))


def test_what_a_killed_report_left_is_taken_away_and_nothing_else(sweep):
    killed, other = sweep / ".report.0123.unfinished", sweep / ".report.holiday.unfinished"
    killed.mkdir()
    (killed / ".files").write_text("runs.csv\n")
    (killed / "runs.csv").write_text("half")
    (killed / ".runs.csv.0123.unfinished").write_text("half")
    other.mkdir()
    (other / "photo.png").write_text("mine")
    write_report(sweep, progress=False)
    assert not killed.exists()
    assert (other / "photo.png").read_text() == "mine"


def test_what_is_put_into_a_report_while_the_next_is_written_stays(monkeypatch, sweep):
    from dtd_cli.report import story

    write_report(sweep, progress=False)
    page = story.page

    def meanwhile(*arguments):
        (sweep / "report" / "notes.txt").write_text("mine")
        return page(*arguments)

    monkeypatch.setattr(story, "page", meanwhile)
    with pytest.raises(ValueError, match=r"notes\.txt, which is not"):
        write_report(sweep, progress=False)
    assert (sweep / "report" / "index.html").exists()
    (notes,) = sweep.glob(".report.*/notes.txt")
    assert notes.read_text() == "mine"


def test_where_names_cannot_be_swapped_a_report_is_replaced_all_the_same(monkeypatch, sweep):
    import dtd_cli.records.replacement as replacement

    write_report(sweep, progress=False)
    before = (sweep / "report" / "runs.csv").stat().st_ino
    monkeypatch.setattr(replacement.ctypes, "CDLL", lambda *_, **__: None)
    write_report(sweep, progress=False)
    assert (sweep / "report" / "runs.csv").stat().st_ino != before
    assert not list(sweep.glob(".*unfinished"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("photo.png", "photo.png, which is not"),
        ("photos/photo.png", "photos, which is not"),
        (".photo.log", ".photo.log, which is not"),
        ("", "it is no folder"),
    ],
)
def test_a_report_touches_nothing_of_others(monkeypatch, name, said):
    assert dtd_run(monkeypatch, *RUN) == 0
    photo = Path("run/report", name) if name else Path("precious/photo.png")
    photo.parent.mkdir(parents=True)
    photo.write_text("mine")
    if not name:
        Path("run/report").symlink_to(photo.parent.resolve())
    with pytest.raises(ValueError, match=said):
        write_report(Path("run"), progress=False)
    assert photo.read_text() == "mine"
    assert [path.name for path in photo.parent.iterdir()] == [photo.name]


def test_files_of_file_managers_are_in_nobodys_way(monkeypatch, sweep):
    run, *_ = runs("a").values()
    write_report(sweep, progress=False)
    names = ".DS_Store", ".directory", "Thumbs.db", "desktop.ini"
    seen = [folder / name for name in names for folder in (sweep, sweep / "report", run)]
    for path in seen:
        path.write_text("mine")
    before = (sweep / "report" / "runs.csv").stat().st_ino
    write_report(sweep, progress=False)
    assert (sweep / "report" / "runs.csv").stat().st_ino != before
    assert dtd_run(monkeypatch, *SWEEP, "force=true") == 0
    assert {path.read_text() for path in seen} == {"mine"}
    assert not list(sweep.glob(".report.*unfinished"))


# Pipes, interrupts, and processes that are left


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--info"], ["--cfg", "job"], [*SWEEP, "report=true"]],
    ids=["help", "info", "cfg", "sweep"],
)  # fmt: skip
def test_nobody_reads_what_is_printed(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    without = "from dtd_cli.report import story\nstory._pictures = lambda *_: ()\n"
    code = without * ("-m" in arguments) + SCRIPT
    command = [sys.executable, "-c", code, *arguments]
    answer = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )  # fmt: skip
    os.close(writer)
    assert (answer.returncode, answer.stderr) == (0, "")
    if "-m" in arguments:
        assert len(list(Path("outputs/sweeps/a").glob("*/DONE"))) == 1
        assert Path("outputs/sweeps/a/report/index.html").exists()


def test_a_second_interrupt_ends_at_once():
    """The first is held up, by what a run does about it."""
    slow = (
        "from dtd_cli.records.folder import RunFolder\nimport time\n"
        "RunFolder.failed = lambda *_: (print('held up', flush=True), time.sleep(60))\n"
    )
    endless = ["training.epochs=1000000", "progress=false", "hydra.run.dir=run"]
    with interruptible(slow + IN_TRAINING + SCRIPT, *endless) as run:
        for word in ("reached\n", "held up\n"):
            assert word in iter(run.stdout.readline, "")
            run.send_signal(signal.SIGINT)
        _, error = run.communicate(timeout=30)
    assert (run.returncode, error) == (130, "")


BUSY = """
import time
from joblib import Parallel, delayed
from dtd_cli.app import workers
workers.prepare()
def work():
    print('ready', flush=True)
    time.sleep(60)
Parallel(n_jobs=2)(delayed(work)() for _ in range(2))
"""

IDLE = """
import time
from joblib.externals.loky.process_executor import _ExecutorManagerThread
def sends_nothing(self):
    print('ready', flush=True)
    time.sleep(60)
_ExecutorManagerThread.add_call_item_to_queue = sends_nothing
"""


def members(session):
    """The processes of a session that live, with their parents."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, _, of = path.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found[int(path.parent.name)] = int(parent)
    return found


@pytest.mark.parametrize("code", [BUSY, IDLE + SCRIPT], ids=["busy", "before_the_first_run"])
def test_workers_end_with_their_parent(code):
    parallel = [*SWEEP, "seed=3,4", "launch=parallel", "hydra.launcher.n_jobs=2"]
    with interruptible(code, *parallel, start_new_session=True) as parent:
        assert parent.stdout.readline() == "ready\n"
        children = [child for child, of in members(parent.pid).items() if of == parent.pid]
        assert len(children) > 2
        parent.kill()
        parent.wait()
        until = time.monotonic() + 60
        while left := members(parent.pid):
            if time.monotonic() > until:
                os.killpg(parent.pid, signal.SIGKILL)
                pytest.fail(f"{len(left)} processes are left")
            time.sleep(0.1)


RC = "backend: nope\nnonsense: 3\nsavefig.dpi: 10\nfont.size: 40\ntext.usetex: True\n"


def test_nothing_of_the_users_environment_is_in_what_is_written(monkeypatch):
    """How pictures are drawn elsewhere, and which letters the terminal has."""
    run = ["network=notebook", "network.seed=2", "training=none", "inputs=notebook", "plots=all"]
    run.append("progress=false")
    assert dtd_run(monkeypatch, *run, "hydra.run.dir=plain") == 0
    home = Path("home/.config/matplotlib")
    home.mkdir(parents=True)
    for folder in (home, Path()):
        (folder / "matplotlibrc").write_text(RC)
    strange = {
        "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LANG": "C", "MPLBACKEND": "module://nope",
        "MATPLOTLIBRC": str(home), "MPLCONFIGDIR": str(home), "HOME": str(Path("home").resolve()),
    }  # fmt: skip
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, *run, 'hydra.run.dir="ä"'],
        env=os.environ | strange, capture_output=True, check=False,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert rb"\xe4" in answer.stdout
    drawn = {path for path in all_files("plain") if path.endswith((".png", ".csv"))}
    assert len([path for path in drawn if path.endswith(".png")]) > 3
    for name in drawn:
        assert Path("ä", name).read_bytes() == Path("plain", name).read_bytes(), name


@pytest.mark.parametrize("first", ["dtd_cli.plots", "dtd_cli.report.story"])
def test_a_matplotlibrc_in_the_working_folder_is_not_read(first):
    """It would be waited for."""
    os.mkfifo("matplotlibrc")
    code = f"import {first}, matplotlib; print(matplotlib.rcParams['font.size'])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert (answer.stdout, answer.stderr) == ("10.0\n", "")
