"""What goes wrong around a run: full disks, folders that cannot be written, signals, odd files."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from test_cli import CSV, FILE, TINY, dtd_run, interruptible, visible
from test_cli import subprocess_run as run_from_shell

NOTEBOOK = ["network=notebook", "network.seed=2", "training=none", "inputs=notebook", "seed=3"]
QUIET = ["plots=none", "progress=false", "hydra.run.dir=run"]
SCRIPT = "from dtd_cli.app.command import main; main()"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@contextmanager
def no_file_beyond(limit):
    """No file may grow beyond the limit, in this process and those that it starts: a full disk."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def assert_no_result(folder, said):
    (line,) = said.splitlines()
    assert "File too large" in line
    assert "DONE" not in visible(folder)
    assert not list(folder.rglob(".*unfinished"))
    assert "File too large" in (folder / "FAILED").read_text()


@pytest.mark.parametrize(
    ("sweep", "limit"), [(False, 3000), (False, 9000), (True, 15000), (True, 20000)]
)
def test_a_full_disk(tmp_path, monkeypatch, capfd, limit, sweep):
    place = ["-m", "sweep=full", "report=false"] if sweep else ["hydra.run.dir=run"]
    with no_file_beyond(limit):
        status = dtd_run(monkeypatch, *place, *TINY)
    said = capfd.readouterr().err
    assert status == 1, said
    (folder,) = tmp_path.glob("outputs/sweeps/full/*/") if sweep else [tmp_path / "run"]
    assert_no_result(folder, said)


def test_a_full_disk_from_the_shell(tmp_path):
    """So early that the log has no room either, which is noticed when the process ends."""
    with no_file_beyond(700):
        answer = run_from_shell(tmp_path, "hydra.run.dir=run", *TINY)
    assert answer.returncode == 1, answer.stderr
    assert_no_result(tmp_path / "run", answer.stderr)


def test_a_disk_that_is_full_before_a_sweep_begins(monkeypatch, capfd):
    with no_file_beyond(700):
        assert dtd_run(monkeypatch, "-m", "sweep=full", *TINY) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "File too large" in line


@pytest.mark.parametrize("place", [["hydra.run.dir=taken/run"], ["-m", "hydra.sweep.dir=taken/a"]])
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, capfd, place):
    """Nor can root make a folder below a file, and it can where permissions forbid it."""
    Path("taken").write_text("")
    assert dtd_run(monkeypatch, *place, *NOTEBOOK) == 1
    *_, line = capfd.readouterr().err.splitlines()
    assert "taken" in line
    assert Path("taken").read_text() == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(monkeypatch, capfd):
    Path("mine").mkdir(mode=0o500)
    assert dtd_run(monkeypatch, *NOTEBOOK, "hydra.run.dir=mine/run") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "PermissionError" in line
    assert "mine" in line


def test_a_folder_that_turns_read_only_has_no_result(monkeypatch, capfd):
    """As root can write where it may not, the writing itself is refused."""
    from dtd_cli.records.folder import RunFolder

    def refused(self, name, content):
        raise PermissionError(13, "Permission denied", str(self.path / name))

    monkeypatch.setattr(RunFolder, "write", refused)
    assert dtd_run(monkeypatch, *NOTEBOOK, *QUIET) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "Permission denied: 'run/" in line.replace(str(Path.cwd()) + "/", "")
    assert visible("run") == set()


def at_import(module):
    return f"""
import sys
def tell(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        print("reached", flush=True)
sys.addaudithook(tell)
"""


IN_TRAINING = """
from dtd_cli.training import adam as training
step, told = training.adam, []
def stepped(*arguments, **settings):
    if not told:
        told.append(True)
        print("reached", flush=True)
    return step(*arguments, **settings)
training.adam = stepped
"""


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(at_import("torch"), id="torch"),
        pytest.param(at_import("pandas"), id="pandas", marks=pytest.mark.exhaustive),
        pytest.param(IN_TRAINING, id="training"),
    ],
)
def test_an_interrupted_run(tmp_path, told):
    """While it imports, which takes long, or while it trains."""
    arguments = ["training.epochs=100000", "progress=false", "hydra.run.dir=run"]
    with interruptible(told + SCRIPT, *arguments, cwd=tmp_path) as run:
        assert run.stdout.readline() == "reached\n"
        run.send_signal(signal.SIGINT)
        _, error = run.communicate()
    assert run.returncode == 130
    assert error == ""
    assert (tmp_path / "run" / "FAILED").read_text() == "interrupted\n"
    assert "DONE" not in visible(tmp_path / "run")


@pytest.mark.parametrize("count", [2, pytest.param(16, marks=pytest.mark.exhaustive)])
def test_runs_at_once_have_a_folder_each(tmp_path, count):
    """Copies of a process that has run before: all is imported, and they begin together."""
    script = f"""
import os, sys
from dtd_cli.app import command
arguments = sys.argv
sys.argv = [*arguments, "hydra.run.dir=before"]
assert command._status() == 0
sys.argv = arguments
for _ in range({count}):
    if os.fork() == 0:
        os._exit(command._status())
sys.exit(any([os.wait()[1] for _ in range({count})]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script, *NOTEBOOK, "plots=none", "progress=false"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert len(list(tmp_path.glob("outputs/*/*/DONE"))) == count


def test_a_run_replaced_by_a_failure_is_no_result(monkeypatch):
    """From the first file on that a new run writes, the old one no longer counts."""
    import dtd_cli.run.run

    assert dtd_run(monkeypatch, *NOTEBOOK, *QUIET) == 0
    monkeypatch.setattr(dtd_cli.run.run, "explain", lambda *_: 1 / 0)
    assert dtd_run(monkeypatch, *NOTEBOOK, *QUIET, "rule=w2") == 1
    assert "DONE" not in visible("run")
    assert "FAILED" in visible("run")


def test_a_refused_run_leaves_an_earlier_one_as_it_was(monkeypatch):
    assert dtd_run(monkeypatch, *NOTEBOOK, *QUIET) == 0
    before = {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()}
    assert Path("run/.hydra/config.yaml") in before
    assert dtd_run(monkeypatch, *NOTEBOOK, *QUIET, "explain.output=7") == 2
    assert {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()} == before


# Tables and networks


def table_run(monkeypatch, content, *arguments):
    Path("rows.csv").write_bytes(content)
    arguments = [*CSV, "network.seed=2", "inputs.path=rows.csv", *arguments, *QUIET]
    return dtd_run(monkeypatch, *arguments)


@pytest.mark.parametrize(
    "content",
    [b"a,b,c\r\n3,3,3\r\n2,3,4\r\n", b"\xef\xbb\xbfa,b,c\n3,3,3\n2,3,4\n",
     b"a,b,c\n3,3,3\n2,3,4", b'"a","b","c"\n3,3,3\n\n2,3,4\n'],
    ids=["CRLF", "BOM", "no last newline", "quotes and an empty line"],
)  # fmt: skip
def test_tables_of_all_makes(monkeypatch, content):
    assert table_run(monkeypatch, content) == 0
    inputs = pd.read_csv("run/inputs.csv")
    assert list(inputs.columns[-3:]) == ["a", "b", "c"]
    assert inputs[["a", "b", "c"]].to_numpy().tolist() == [[3, 3, 3], [2, 3, 4]]


def test_a_table_of_a_million_rows(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 9, (1_000_000, 3))
    content = b"a,b,c\n" + "\n".join(map("{},{},{}".format, *rows.T)).encode()
    assert table_run(monkeypatch, content, "inputs.n=3") == 0
    inputs = pd.read_csv("run/inputs.csv")
    assert inputs[["a", "b", "c"]].to_numpy().tolist() == rows[:3].tolist()


@pytest.mark.parametrize("entry", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["0.weight", "2.bias"])
def test_weights_that_are_no_numbers(monkeypatch, capfd, entry, name):
    tensors = torch.nn.Sequential(
        torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)
    ).state_dict()
    tensors[name].view(-1)[0] = entry
    torch.save(tensors, "net.pt")
    assert dtd_run(monkeypatch, *FILE, "inputs=notebook", "network.path=net.pt", *QUIET) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert name in line
    assert "NaN or infinite" in line


def small():
    """Widths and rules: each with one of the other; all pairs in the exhaustive tests."""
    for widths in ((3, 1), (1, 1), (1, 1, 1, 1), (3, 1, 1), (1, 4, 1)):
        for rule in ("z+", "gamma", "x", "w2", "zero", "pinv"):
            alone = rule != "z+" and widths != (1, 1, 1, 1)
            yield pytest.param(widths, rule, marks=[pytest.mark.exhaustive] * alone)


@pytest.mark.parametrize(("widths", "rule"), list(small()), ids=str)
def test_the_smallest_networks(monkeypatch, widths, rule):
    """Without a hidden layer, and with widths of 1."""
    modules = [torch.nn.Linear(*sizes) for sizes in pairwise(widths)]
    for module in modules:
        module.weight.data.fill_(0.5)
        module.bias.data.fill_(-0.01)
    layers = [part for module in modules for part in (module, torch.nn.ReLU())]
    torch.save(torch.nn.Sequential(*layers).state_dict(), "net.pt")
    header = ",".join("abc"[: widths[0]])
    Path("rows.csv").write_text(f"{header}\n{','.join('5' * widths[0])}\n")
    arguments = [*FILE, "network.path=net.pt", "inputs=csv", "inputs.path=rows.csv"]
    assert dtd_run(monkeypatch, *arguments, f"rule={rule}", *QUIET) == 0
    relevance = pd.read_csv("run/relevance.csv")
    assert relevance["relevance"].notna().all()
    layers = pd.read_csv("run/layers.csv").drop(columns="method")
    assert layers.notna().all().all()
    kept = layers[["relevance_sum", "zero_order", "unresolved", "remainder"]].sum(axis=1)
    np.testing.assert_allclose(kept, layers["upper_sum"], rtol=1e-12)


def test_what_a_pickle_would_run_is_not_run(tmp_path):
    """In a process of its own, so that nothing is there that was imported before."""

    class Code:
        def __reduce__(self):
            return Path.touch, (Path("ran"),)

    torch.save({"0.weight": Code()}, "net.pt")
    answer = run_from_shell(tmp_path, *FILE, "inputs=notebook", "network.path=net.pt")
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert not (tmp_path / "ran").exists()
