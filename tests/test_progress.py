"""Waiting: what tells how far the work is, on a terminal and without one."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from contextlib import contextmanager
from threading import Thread
from time import sleep

import pytest
import torch
from torch import nn

import dtd
from dtd.explainer.targets import targets
from dtd.relevance.paths.all import recursive_paths
from dtd_cli.app.waiting import runs_shown, say
from dtd_cli.run.progress import Lines, bars
from test_cli import dtd_run

MODEL = [(6, 5), (5, 4), (4, 2)]


class Recorder:
    """Notes the names of the work that is going on, from the outside in."""

    def __init__(self):
        self.open, self.seen = [], set()

    def __call__(self, items, what):
        self.open.append(what)
        self.seen.add(tuple(self.open))
        try:
            yield from items
        finally:
            self.open.remove(what)


def model(shapes):
    torch.manual_seed(0)
    layers = [layer for shape in shapes for layer in (nn.Linear(*shape), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


ALL = "layers", "samples"


@pytest.mark.parametrize(
    ("arguments", "work"),
    [
        ({}, (*ALL, "slopes")),
        ({"rule": "w2"}, (*ALL, "limits")),
        ({"degree": "inf"}, (*ALL, "integrals, halving 0 of 20 at most")),
        ({"degree": 2}, (*ALL, "slopes")),
        ({"interactions": True}, (*ALL, "interactions")),
        ({"input_roots": "random"}, (*ALL, "bisection", "relevances")),
        ({"input_roots": "line"}, (*ALL, "pieces")),
        ({"input_roots": "hit_and_run"}, (*ALL, "steps")),
        ({"input_roots": "polytope"}, (*ALL, "programs")),
        ({"estimator": "monte_carlo"}, (*ALL, "paths")),
        ({"method": "simple_taylor"}, ("samples", "programs", "bounds")),
    ],
    ids=str,
)
def test_all_that_may_take_long_is_told_of_one_sample_too(arguments, work):
    """Inside one sample, but not inside the roots above those that are asked for."""
    x, track = torch.rand(1, 6, dtype=torch.float64), Recorder()
    method = arguments.get("method", "recursive")
    result = dtd.DTD(model(MODEL), track=track, **arguments).explain(x)
    assert (method, *work) in track.seen
    assert not track.open
    for names in track.seen:
        assert len(set(names)) == len(names), "work inside work of the same kind"
    plain = dtd.DTD(model(MODEL), **arguments).explain(x)
    assert torch.equal(result.attribution, plain.attribution)


def test_the_paths_of_one_sample_are_told():
    x, track = torch.rand(1, 6, dtype=torch.float64), Recorder()
    explainer = dtd.DTD(model(MODEL), track=track, max_points=30)
    ((_, problem, _),) = explainer.problems(
        x, targets(explainer.network, explainer.network.activations(x), None)
    )
    list(recursive_paths(problem))
    assert ("samples", "paths") in track.seen


@contextmanager
def terminal(patch, *names):
    """Have the streams with these names be a terminal; gives what is on it, in the end."""
    ours, theirs = pty.openpty()
    shown = io.BytesIO()

    def read():
        while True:
            try:
                shown.write(os.read(ours, 4096))
            except OSError:  # nobody writes any more
                return

    reader = Thread(target=read)
    reader.start()
    try:
        with os.fdopen(theirs, "w", encoding="utf-8") as stream:
            for name in names:
                patch.setattr(sys, name, stream)
            yield shown
            patch.undo()
        reader.join()
    finally:
        os.close(ours)


def drawn(shown):
    """The bars on a terminal: what each is of, and how many of how many are done."""
    text = shown.getvalue().decode()
    return re.findall(r"([a-z]\w*):\s+\d+%\|[^|]*\| (\d+/\d+) \[\d\d:\d\d<", text)


RUN = ["network=notebook", "training=none", "inputs=positive", "inputs.n=2", "plots=none"]


def test_bars_are_for_a_terminal_that_wants_them(tmp_path, capsys):
    for name, wanted in (("wanted", "true"), ("unwanted", "false")):
        with pytest.MonkeyPatch.context() as patch, terminal(patch, "stderr") as shown:
            patch.chdir(tmp_path)
            assert dtd_run(patch, *RUN, f"progress={wanted}", f"hydra.run.dir={name}") == 0
        if name == "wanted":
            assert ("layers", "0/2") in drawn(shown)
        else:
            assert not shown.getvalue()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert dtd_run(patch, *RUN, "hydra.run.dir=no_terminal") == 0
    assert not capsys.readouterr().err
    tables = [sorted((tmp_path / name).glob("*.csv")) for name in ("wanted", "no_terminal")]
    assert len(tables[0]) > 4
    for one, other in zip(*tables, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_without_a_terminal_long_work_has_lines(caplog):
    caplog.set_level("INFO")
    assert isinstance(bars(wanted=False), Lines)
    now = 0
    track, seen = Lines(lambda: now), []
    for outer in track(range(3), "layers"):
        for inner in track(range(4), "slopes"):
            now += 30
            seen.append((outer, inner))
    assert seen == [(outer, inner) for outer in range(3) for inner in range(4)]
    assert caplog.messages == [
        # Of the layers none is done: the estimate is that of the slopes.
        "after 60 s: layers 0 of 3, slopes 2 of 4; the slopes left take about 60 s",
        "after 120 s: layers 1 of 3; the layers left take about 240 s",
        "after 240 s: layers 2 of 3; the layers left take about 120 s",
    ]


def test_a_sweep_has_one_bar_over_its_runs(tmp_path):
    with pytest.MonkeyPatch.context() as patch, terminal(patch, "stderr", "stdout") as shown:
        patch.chdir(tmp_path)
        assert dtd_run(patch, "-m", *RUN, "seed=1,2,3", "report=false") == 0
    runs = [done for what, done in drawn(shown) if what == "runs"]
    assert runs[0] == "0/3"
    assert len(set(runs)) > 1, "the bar stands still"
    # Lines are not in the same line as a bar.
    lines = [line for line in shown.getvalue().decode().splitlines() if "done in" in line]
    assert len(lines) == 3
    assert all(re.sub(r".*\r", "", line).startswith("inputs=positive") for line in lines)


def test_a_run_that_ended_before_does_not_count(tmp_path):
    for name in ("old", "again", "new"):
        (tmp_path / name).mkdir()
    for name in ("old", "again"):
        (tmp_path / name / "FAILED").write_text("killed")
    folders = [tmp_path / name for name in ("old", "again", "new")]
    with (
        pytest.MonkeyPatch.context() as patch,
        terminal(patch, "stderr") as shown,
        runs_shown(folders, wanted=True),
    ):
        (tmp_path / "again" / "FAILED").unlink()
        for name in ("again", "new"):
            (tmp_path / name / "DONE").write_text("")
        sleep(0.8)
    assert drawn(shown)[-1] == ("runs", "2/3")


def test_a_line_of_another_process_is_not_in_the_line_of_the_bar(capsys):
    with pytest.MonkeyPatch.context() as patch, terminal(patch, "stderr", "stdout") as shown:
        say("a: done", another_process=True)
        say("b: done", another_process=False)
    assert shown.getvalue() == b"\r\x1b[Ka: done\r\nb: done\r\n"
    say("c: done", another_process=True)
    assert capsys.readouterr().out == "c: done\n"
