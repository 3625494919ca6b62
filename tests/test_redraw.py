"""``dtd-plot``: pictures of a finished run, drawn again."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from dtd_cli.app.redraw import main
from dtd_cli.records.folder import RunFolder
from test_cli import dtd_run

SMALL = ["network=notebook", "training=none", "inputs=notebook", "progress=false"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = ["plots=none", "plots.width=1", "plots.format=svg", "hydra.run.dir=run"]
        assert dtd_run(patch, *SMALL, *settings) == 0
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(finished, "run"))


def dtd_plot(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["dtd-plot", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return end.code
    return 0


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_pictures_belong_to_the_run(run, monkeypatch, capfd):
    before = {path: path.read_bytes() for path in run.glob("*.csv")}
    assert not (run / "plots").exists()
    # The run's own settings hold where none are given.
    assert dtd_plot(monkeypatch, run, "ledger", "roots") == 0
    assert capfd.readouterr().out.split() == ["run/plots/ledger.svg", "run/plots/roots.svg"]
    assert 'width="237.6pt"' in (run / "plots/ledger.svg").read_text()
    assert dtd_plot(monkeypatch, run, "ledger", "plots.format=png", "plots.dpi=60") == 0
    stems = {"ledger.svg", "ledger.png", "ledger.txt", "roots.svg", "roots.txt"}
    assert names(run / "plots") == stems
    assert RunFolder(run).problem(verify=True) == ""
    assert before == {path: path.read_bytes() for path in run.glob("*.csv")}
    # They are listed: one that is lost is missed, and the next run takes them away.
    (run / "plots/ledger.svg").write_text("changed")
    assert "plots/ledger.svg" in RunFolder(run).problem()
    assert dtd_run(monkeypatch, *SMALL, "plots=none", "hydra.run.dir=run") == 0
    assert not (run / "plots").exists()


def test_elsewhere_the_run_stays_as_it_is(run, monkeypatch):
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    (Path("paper")).mkdir()
    Path("paper/heatmaps.svg").write_text("mine")
    assert dtd_plot(monkeypatch, run, "--to", "paper") == 0
    assert {"ledger.svg", "ledger.txt"} <= names(Path("paper"))
    assert Path("paper/heatmaps.svg").read_text() == "mine"
    assert before == {path: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_a_failure_leaves_a_whole_run(run, monkeypatch):
    assert dtd_plot(monkeypatch, run, "ledger") == 0

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("dtd_cli.plots.style.save", fail)
    assert dtd_plot(monkeypatch, run, "ledger") == 1
    assert RunFolder(run).problem(verify=True) == ""


def test_a_link_is_not_followed(run, monkeypatch, capfd):
    Path("mine").mkdir()
    (run / "plots").symlink_to("../mine")
    assert dtd_plot(monkeypatch, run, "ledger") == 2
    assert "plots in it is a link; allowed is a folder" in capfd.readouterr().err
    assert not names(Path("mine"))
    assert RunFolder(run).problem(verify=True) == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "leger"], "NAME=leger: allowed are heatmaps, "),
        (["run", "heatmaps"], "NAME=heatmaps: the run has no such picture"),
        (["run", "plots.format=gif"], "plots.format=gif: allowed are png, pdf, svg"),
        (["run", "plots.methods=[mine]"], "allowed are those of the run: recursive, train_free"),
        (["run", "plots.samples=[7]"], "plots.samples=[7]: allowed are those of the run: 0"),
        (["run", "plots.samples=[7"], "plots.samples=[7: not a value"),
        (["run", "rule=w2"], "rule=w2: allowed are plots.format"),
        (["nowhere"], "DIR=nowhere: no such folder; allowed is that of a finished run"),
        (["."], "DIR=.: allowed is a finished run"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(run, monkeypatch, capfd, arguments, said):
    assert dtd_plot(monkeypatch, *arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line


def test_helps_fit_a_terminal(monkeypatch, capfd):
    assert dtd_plot(monkeypatch, "--help") == 0
    dtd_run(monkeypatch, "--help")
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("conservation_box" in line for line in lines)
