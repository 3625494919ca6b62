"""Attacks at any moment: kills, power cuts, races. What is marked as done is whole, always.

Each attack is on a process of its own, a copy of one that has imported everything.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from dtd_cli.app.command import main
from dtd_cli.records.folder import RunFolder
from dtd_cli.report import write_report
from test_cli import dtd_run, tables
from test_durable import Disk, members
from test_sweeps import NOTEBOOK, contents, runs

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["dtd_cli.app.command", "dtd_cli.run.run", "dtd_cli.report.story"])

SWEEP = ["-m", "report=false", *NOTEBOOK, "progress=false", "seed=3", "rule=z+,w2,x,gamma"]
"""Four runs."""
PARALLEL = ["launch=parallel", "hydra.launcher.n_jobs=2"]
CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# What the processes do


def run(*arguments):
    sys.argv = ["dtd-run", *arguments]
    main()


def report(folder):
    write_report(folder, progress=False)


def at_change(number, act):
    """Act before the file operation with this number that changes something."""
    count = itertools.count()

    def operation(event, arguments):
        changes = event in CHANGES or (event == "open" and arguments[2] & os.O_ACCMODE)
        if changes and next(count) == number:
            act()

    sys.addaudithook(operation)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(number, work):
    at_change(number, kill)
    work()


def without_power_at(number, work):
    """Leaves in ``disk`` what was synced by then."""
    disk = Disk(pytest.MonkeyPatch())

    def cut():
        Path("disk").write_bytes(pickle.dumps(disk))
        kill()

    at_change(number, cut)
    work()


# How they are watched


def work_in_a_process(work, ready):
    os.setsid()
    with Path("said.txt").open("a") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    ready.send("ready")
    work()


def started(work, *arguments):
    """A process that has begun with the work."""
    reader, writer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=work_in_a_process, args=(partial(work, *arguments), writer))
    process.start()
    # So that nobody waits for one that could not begin.
    writer.close()
    assert reader.recv() == "ready"
    return process


def ended(process):
    """The status of a process that has ended, and with it all that it started."""
    process.join()
    while members(process.pid):
        time.sleep(0.05)
    return process.exitcode


def whole_sweep(sweep, *arguments):
    """What a sweep holds that nobody disturbs, and the seconds that it takes."""
    process = started(run, *SWEEP, *arguments, f"sweep={sweep}")
    before = time.perf_counter()
    assert ended(process) == 0
    return contents(sweep), time.perf_counter() - before


def done(sweep, whole):
    """The runs that are marked as done; each of them is whole."""
    found = []
    # The sweep may not have begun.
    with suppress(FileNotFoundError):
        found = [name for name, folder in runs(sweep).items() if (folder / "DONE").exists()]
    for name in found:
        folder = runs(sweep)[name]
        assert not RunFolder(folder).problem(verify=True)
        assert tables(folder) == whole[name]
    return found


@pytest.mark.parametrize(
    ("launch", "times"),
    [
        ([], 2),
        pytest.param([], 40, marks=pytest.mark.exhaustive),
        pytest.param(PARALLEL, 20, marks=pytest.mark.exhaustive),
    ],
    ids=["serial", "serial-all", "parallel"],
)
def test_a_sweep_killed_at_any_moment_goes_on_where_it_was(launch, times):
    whole, seconds = whole_sweep("whole", *launch)
    moments, killed = random.Random(5), 0
    while killed < times:
        sweep = started(run, *SWEEP, *launch, "force=true", "sweep=killed")
        time.sleep(moments.uniform(0, seconds))
        sweep.kill()
        killed += ended(sweep) == -signal.SIGKILL
        done("killed", whole)
    assert ended(started(run, *SWEEP, *launch, "sweep=killed")) == 0
    assert len(done("killed", whole)) == len(whole) == 4


@pytest.mark.exhaustive
def test_a_power_cut_at_any_moment(monkeypatch, tmp_path):
    """A disk that keeps only what was synced: what is done is whole, and the rest is done again."""
    whole, _ = whole_sweep("whole")
    left = []
    for number in itertools.count(step=13):
        cut, after = tmp_path / f"cut{number}", tmp_path / f"after{number}"
        cut.mkdir()
        monkeypatch.chdir(cut)
        if ended(started(without_power_at, number, partial(run, *SWEEP, "sweep=a"))) == 0:
            break
        pickle.loads(Path("disk").read_bytes()).restore(cut.stat().st_ino, after)
        monkeypatch.chdir(after)
        left += done("a", whole)
        assert dtd_run(monkeypatch, *SWEEP, "sweep=a") == 0
        assert len(done("a", whole)) == 4
        shutil.rmtree(cut)
        shutil.rmtree(after)
    assert number > 100
    assert len(left) > 10


@pytest.mark.exhaustive
def test_two_sweeps_at_once_do_nothing_twice():
    whole, seconds = whole_sweep("whole")
    moments = random.Random(5)
    for number in range(20):
        both = []
        for _ in range(2):
            both.append(started(run, *SWEEP, f"sweep={number}"))
            time.sleep(moments.uniform(0, seconds / 2))
        assert [ended(sweep) for sweep in both] == [0, 0]
        assert len(done(str(number), whole)) == 4
        assert not list(Path("outputs/sweeps").glob(f"{number}/*/FAILED"))
        assert Path("said.txt").read_text().count("done in") == 4 * (number + 2)


@pytest.mark.exhaustive
def test_a_report_killed_at_any_moment_is_of_one_generation():
    _, sweep = whole_sweep("a"), Path("outputs/sweeps/a")

    def generation():
        return {path.name: path.read_bytes() for path in (sweep / "report").iterdir()}

    report(sweep)
    seen = [generation()]
    whole_sweep("a", "seed=4")
    for number in itertools.count():
        if ended(started(killed_at, number, partial(report, sweep))) == 0:
            break
        if generation() not in seen:
            seen.append(generation())
    assert number > 50
    assert [found["runs.csv"].count(b"\n") for found in seen] == [5, 9]
    assert generation() == seen[-1]
    assert not list(sweep.glob(".report.*unfinished"))
