"""Sweeps: whose folder is whose, what is done again, what is said of failures, and launchers."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from dtd.errors import InvalidSetting
from dtd_cli.app.launchers import check_installed, processes
from test_cli import TINY, dtd_run, interruptible, tables

NOTEBOOK = [
    "network=notebook", "network.seed=2", "training=none", "inputs=notebook", "plots=none",
]  # fmt: skip
SCRIPT = "from dtd_cli.app.command import main; main()"
SMALL = [*NOTEBOOK, "seed=3", "rule=z+,w2,x", "progress=false"]
"""Three runs."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def runs(sweep):
    """The folders of a sweep's runs, by name."""
    folders = Path("outputs/sweeps", sweep).iterdir()
    hidden = (".", "report")
    return {p.name: p for p in folders if p.is_dir() and not p.name.startswith(hidden)}


def contents(sweep):
    return {name: tables(folder) for name, folder in runs(sweep).items()}


def swept(monkeypatch, sweep, *arguments):
    return dtd_run(monkeypatch, "-m", "report=false", *arguments, f"sweep={sweep}")


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """The folder in which a sweep of one run ended; not to be changed."""
    folder = tmp_path_factory.mktemp("one_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert swept(patch, "a", *NOTEBOOK, "seed=3") == 0
    return folder / "outputs"


@pytest.mark.usefixtures("no_pictures")
def test_a_sweep_ends_with_its_report(monkeypatch, capsys):
    assert dtd_run(monkeypatch, "-m", *SMALL, "sweep=a") == 0
    report = Path("outputs/sweeps/a/report")
    assert f"report: {report}/index.html" in capsys.readouterr().out
    assert (report / "index.html").exists()
    assert (report / "runs.csv").read_text().count("\n") == 4


def test_an_experiment_that_is_a_sweep_names_its_failures(monkeypatch, capsys):
    """Without -m: the experiment itself says that it is a sweep."""
    dead = ["experiment=output_scaling", "inputs.threshold=1e9", "inputs.n=1", "seed=0"]
    assert dtd_run(monkeypatch, *dead, "report=false", "progress=false", "sweep=a") == 2
    said = capsys.readouterr()
    assert "only 0 of" in said.err
    assert "launcher" not in said.out


def test_a_report_that_fails_takes_no_run_its_result(monkeypatch, capsys):
    def fail(folder, progress, verify):
        raise OSError("disk full")

    monkeypatch.setattr("dtd_cli.report.write_report", fail)
    assert dtd_run(monkeypatch, "-m", *NOTEBOOK, "seed=3", "sweep=a") == 0
    assert "no report: OSError: disk full" in capsys.readouterr().out
    assert all((folder / "DONE").exists() for folder in runs("a").values())


# Identity


def test_a_folder_is_named_after_its_configuration(monkeypatch):
    """Before the run begins, which here fails at once."""
    monkeypatch.setattr("dtd_cli.run.run.prepare", lambda config: 1 / 0)
    long = "network.hidden=[" + ",".join(["7"] * 200) + "]"
    assert swept(monkeypatch, "a", *TINY, "rule=gamma", "rule.gamma=0.25,0.5", "seed=0,1") == 1
    names = runs("a")
    assert len(names) == 4
    for gamma in ("0.25", "0.5"):
        for seed in ("0", "1"):
            wanted = {"rule=gamma", f"seed={seed}", f"rule.gamma={gamma}", "inputs.n=2"}
            (_,) = (name for name in names if wanted <= set(name.rpartition("-")[0].split(",")))
    assert swept(monkeypatch, "b", *TINY, long, "relevance.methods=[train_free]") == 1
    (name,) = runs("b")
    assert len(name.encode()) < 255


@pytest.mark.parametrize(
    "settings",
    [
        ["seed=3"],
        ["inputs=notebook", "seed=3", "rule=z+"],
        ["seed=3", "device=cpu", "progress=true", "sweep=a"],
        ["seed=3", "inputs.n=1"],
    ],
    ids=" ".join,
)
def test_the_same_configuration_finds_its_folder(monkeypatch, one_run, settings):
    """However it is written, and wherever and how it is run."""
    shutil.copytree(one_run, "outputs")
    before = contents("a")
    said_twice = {setting.partition("=")[0] for setting in settings}
    others = [a for a in [*NOTEBOOK, "sweep=a"] if a.partition("=")[0] not in said_twice]
    assert dtd_run(monkeypatch, "-m", *others, *settings, "report=false") == 0
    assert contents("a") == before


@pytest.mark.parametrize(
    "setting",
    ["seed=4", "dtype=float32", "threads=2", "relevance.max_points=7", "plots=all", "roots=random",
     "input_rule=z+", "explain.output=0", "network.output_activation=linear"],
)  # fmt: skip
def test_another_configuration_has_another_folder(monkeypatch, one_run, setting):
    """The folder is named before the run begins, which here fails at once."""
    import dtd_cli.run.run

    monkeypatch.setattr(dtd_cli.run.run, "prepare", lambda config: 1 / 0)
    shutil.copytree(one_run, "outputs")
    base = [a for a in [*NOTEBOOK, "seed=3"] if a.partition("=")[0] != setting.partition("=")[0]]
    assert swept(monkeypatch, "a", *base, setting) == 1
    assert len(runs("a")) == 2


def test_another_content_of_a_file_is_another_run(monkeypatch):
    table = Path("rows.csv")
    settings = ["network=notebook", "network.seed=2", "training=none", "inputs=csv"]
    for text in ("a,b,c\n3,3,3\n", "a,b,c\n3,3,2\n", "a,b,c\n3,3,3\n"):
        table.write_text(text)
        assert swept(monkeypatch, "a", *settings, "inputs.path=rows.csv") == 0
    assert len(runs("a")) == 2


def test_a_configuration_named_twice_is_one_run(monkeypatch, capfd):
    assert swept(monkeypatch, "a", *NOTEBOOK, "seed=3,3,4") == 0
    assert len(runs("a")) == 2
    assert "2 done, 0 skipped, 0 failed" in capfd.readouterr().out


# Resume


def test_what_is_done_is_skipped_and_the_rest_is_done(monkeypatch, capfd):
    assert swept(monkeypatch, "a", *SMALL) == 0
    said = capfd.readouterr().out.splitlines()
    names = runs("a")
    assert len(said) == 4
    assert {line.partition(": done in ")[0] for line in said[:3]} == set(names)
    before = contents("a")
    lost, *kept = names.values()
    (lost / "DONE").unlink()
    times = {folder: (folder / "relevance.csv").stat().st_mtime_ns for folder in names.values()}
    assert swept(monkeypatch, "a", *SMALL) == 0
    said = capfd.readouterr().out.splitlines()
    assert {f"{folder.name}: done before, skipped" for folder in kept} <= set(said)
    assert said[-1] == "1 done, 2 skipped, 0 failed: outputs/sweeps/a"
    assert contents("a") == before
    for folder, when in times.items():
        assert ((folder / "relevance.csv").stat().st_mtime_ns == when) == (folder != lost)
    assert swept(monkeypatch, "a", *SMALL, "force=true") == 0
    assert "3 done, 0 skipped" in capfd.readouterr().out
    assert all((f / "relevance.csv").stat().st_mtime_ns > times[f] for f in names.values())
    assert contents("a") == before


def test_a_failed_run_is_done_again(monkeypatch):
    import dtd_cli.run.run

    with monkeypatch.context() as broken:
        broken.setattr(dtd_cli.run.run, "explain", lambda *_: 1 / 0)
        assert swept(monkeypatch, "a", *NOTEBOOK, "seed=3") == 1
    (folder,) = runs("a").values()
    assert (folder / "FAILED").exists()
    assert swept(monkeypatch, "a", *NOTEBOOK, "seed=3") == 0
    assert not (folder / "FAILED").exists()
    assert (folder / "DONE").exists()


# Failures


def test_all_failures_are_named_and_the_others_go_on(monkeypatch, capfd):
    arguments = [*NOTEBOOK, "seed=3", "explain.output=5,0,7"]
    assert swept(monkeypatch, "a", *arguments) == 2
    said = capfd.readouterr()
    assert len(said.err.splitlines()) == 2
    for output in (5, 7):
        (line,) = (line for line in said.err.splitlines() if f"explain.output={output}" in line)
        assert line.startswith("dtd-run: outputs/sweeps/a/inputs=notebook,")
        assert "allowed is an output from 0 to 0" in line
    assert "1 done, 0 skipped, 2 failed" in said.out
    failed = [folder for folder in runs("a").values() if (folder / "FAILED").exists()]
    assert len(failed) == 2
    assert all("explain.output" in (folder / "FAILED").read_text() for folder in failed)
    assert all((folder / ".hydra" / "config.yaml").exists() for folder in failed)


def test_a_traceback_is_in_the_log_of_its_run(monkeypatch, capfd):
    import dtd_cli.run.run

    prepare = dtd_cli.run.run.prepare

    def broken(config):
        if config.top.seed == 4:
            raise RuntimeError("two\nlines")
        return prepare(config)

    monkeypatch.setattr(dtd_cli.run.run, "prepare", broken)
    assert swept(monkeypatch, "a", *NOTEBOOK, "seed=3,4,5") == 1
    said = capfd.readouterr()
    assert "Traceback" not in said.err + said.out
    assert len(said.err.splitlines()) == 1
    (folder,) = (f for f in runs("a").values() if not (f / "DONE").exists())
    assert (folder / "FAILED").read_text() == "RuntimeError: two lines\n"
    assert "Traceback" in (folder / "dtd-run.log").read_text()


def test_an_interrupted_sweep(monkeypatch):
    arguments = [*NOTEBOOK, "seed=range(3,13)", "progress=false", "sweep=a"]
    with interruptible(SCRIPT, "-m", "report=false", *arguments) as sweep:
        sweep.stdout.readline()
        sweep.send_signal(signal.SIGINT)
        _, error = sweep.communicate()
    assert sweep.returncode == 130
    assert "Traceback" not in error
    unfinished = [folder for folder in runs("a").values() if not (folder / "DONE").exists()]
    assert len(unfinished) <= 1
    assert all((f / "FAILED").read_text() == "interrupted\n" for f in unfinished)


# Launchers


# slurm_local starts a process for each run.
@pytest.mark.parametrize(
    ("launch", "seeds"),
    [
        ("parallel", (3,)),
        ("slurm_local", (3,)),
        *(
            pytest.param(*case, marks=pytest.mark.exhaustive)
            for case in (("parallel", (3, 4)), ("slurm_local", (3, 4)))
        ),
    ],
)
def test_launchers_give_the_same_bytes_and_name_failures(monkeypatch, capfd, launch, seeds):
    arguments = [*NOTEBOOK, f"seed={','.join(map(str, seeds))}", "progress=false"]
    assert swept(monkeypatch, "serial", *arguments, "explain.output=0") == 0
    capfd.readouterr()
    assert swept(monkeypatch, "other", *arguments, "explain.output=0,5", f"launch={launch}") == 2
    said = capfd.readouterr().err
    assert len(said.splitlines()) == len(seeds), said
    found = contents("other")
    assert len(found) == 2 * len(seeds)
    assert {name: files for name, files in found.items() if files} == contents("serial")


def test_processes_share_the_cores():
    import joblib

    cores = joblib.cpu_count()
    assert processes(1) == cores
    assert processes(2) == max(1, cores // 2)
    assert processes(10**6) == 1


def test_a_cluster_job_asks_for_the_threads_of_a_run():
    from test_configs import composed

    for launch in ("slurm", "slurm_local"):
        config = composed(f"launch={launch}", "threads=3", hydra=True)
        assert config.hydra.launcher.cpus_per_task == 3


def test_a_launcher_that_is_not_installed(monkeypatch):
    import dtd_cli.app.launchers

    monkeypatch.setattr(dtd_cli.app.launchers, "find_spec", lambda name: None)
    with pytest.raises(InvalidSetting, match=r"launch=slurm: .*pip install 'dtd-run\[cluster\]'"):
        check_installed("launch", "slurm")
