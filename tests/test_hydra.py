"""Hydra as its users know it: own options, any sweeper and launcher, callbacks, its settings."""

from __future__ import annotations

import ast
import json
import os
from importlib import import_module
from pathlib import Path

import hydra
import pytest
import yaml
from hydra.core.plugins import Plugins

import dtd_cli
from test_cli import dtd_run, visible
from test_sweeps import NOTEBOOK, contents, runs

SMALL = [*NOTEBOOK, "plots=none", "progress=false"]
SWEEP = ["-m", *SMALL, "report=false"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mine(tmp_path):
    """A folder with options of the user's own."""
    own = {
        "experiment/ours": "# @package _global_\nseed: 7\n",
        "rule/soft": "name: gamma\ngamma: 0.125\n",
        "inputs/mine": "defaults: [csv]\npath: rows.csv\nn: 1\n",
        "network/narrow": "defaults: [mlp]\nhidden: [2]\n",
        "network/none": "defaults: [mlp]\nname: nothing\n",
    }
    for name, text in own.items():
        path = tmp_path / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "rows.csv").write_text("a,b,c\n3,3,3\n")
    return tmp_path / "mine"


def figures(folder):
    return json.loads((Path(folder) / "summary.json").read_text())


# Own options


@pytest.mark.parametrize("where", [["--config-dir", "mine"], ["hydra.searchpath=[file://mine]"]])
def test_options_of_ones_own(mine, monkeypatch, capfd, where):
    own = ["experiment=ours", "rule=soft", "inputs=mine"]
    base = [a for a in SMALL if not a.startswith("inputs=")]
    assert dtd_run(monkeypatch, *where, *base, *own, "hydra.run.dir=run") == 0
    config = yaml.safe_load(Path("run/.hydra/config.yaml").read_text())
    assert (config["seed"], config["rule"]["gamma"]) == (7, 0.125)
    capfd.readouterr()
    assert dtd_run(monkeypatch, *where, *SMALL, "rule=hard") == 2
    said = capfd.readouterr().err
    assert said.startswith("dtd-run: rule=hard: allowed are gamma, pinv, soft,")
    assert said.endswith("; zB is for the first layer alone (input_rule=zB)\n")
    sweep = ["-m", *base, "report=false", "sweep=a"]
    assert dtd_run(monkeypatch, *where, *sweep, *own, "rule=soft,x") == 0
    assert dtd_run(monkeypatch, *SWEEP, "rule=gamma", "rule.gamma=0.125", "sweep=b") == 0
    (soft,) = (name for name in runs("a") if "rule=gamma" in name)
    assert "rule.gamma=0.125" in soft


def test_a_network_of_ones_own(mine, monkeypatch, capfd):
    settings = [
        "--config-dir", "mine", "training=none", "inputs=mine", "plots=none", "progress=false",
        "network.outputs=2", "network.output_activation=linear",
    ]  # fmt: skip
    assert dtd_run(monkeypatch, *settings, "network=narrow", "hydra.run.dir=run") == 0
    assert figures("run")["network"][:2] == [3, 2]
    assert dtd_run(monkeypatch, *settings, "network=none", "hydra.run.dir=other") == 2
    assert capfd.readouterr().err.startswith("dtd-run: network=nothing: allowed are mlp, cnn,")
    sweep = ["-m", *settings, "report=false"]
    assert dtd_run(monkeypatch, *sweep, "network=narrow,mlp", "sweep=a") == 0
    # The same network has the same folder, whoever named it.
    assert dtd_run(monkeypatch, *sweep, "network=mlp", "network.hidden=[2]", "sweep=b") == 0
    assert set(runs("b")) < set(runs("a"))


def test_a_glob_sweeps_the_options_that_fit(monkeypatch, capfd):
    assert dtd_run(monkeypatch, *SWEEP, "rule=glob([w*,x])", "sweep=a") == 0
    assert {name.partition("rule=")[2].partition(",")[0] for name in runs("a")} == {"w2", "x"}
    assert dtd_run(monkeypatch, *SWEEP, "rule=glob([zB,zero])", "sweep=b") == 2
    said = capfd.readouterr()
    assert "1 done, 0 skipped, 1 failed" in said.out
    (line,) = said.err.splitlines()
    assert line.endswith(": rule=zB: for the first layer only; allowed is input_rule=zB")
    assert dtd_run(monkeypatch, *SWEEP, "rule=glob(y*)") == 2
    assert "rule=glob(y*): it fits none of gamma" in capfd.readouterr().err


# Sweepers and launchers


@pytest.mark.usefixtures("no_pictures")
def test_hydras_own_sweeper_gives_the_same_folders_and_resumes(monkeypatch, capfd):
    both = [*SWEEP, "seed=3,4"]
    assert dtd_run(monkeypatch, *both, "sweep=ours") == 0
    assert dtd_run(monkeypatch, *both, "hydra/sweeper=basic", "sweep=basic") == 0
    assert contents("basic") == contents("ours")
    capfd.readouterr()
    again = ["report=true", "hydra/sweeper=basic", "sweep=basic"]
    assert dtd_run(monkeypatch, *both, *again, "seed=3,4,5") == 0
    said = capfd.readouterr().out
    assert said.count("done before, skipped") == 2
    assert said.count("done in") == 1
    assert "report: outputs/sweeps/basic/report/index.html" in said


def test_hydras_own_sweeper_and_another_launcher(monkeypatch):
    # A launcher of one process would leave its plugins in this one.
    parallel = ["hydra/sweeper=basic", "launch=parallel", "hydra.launcher.n_jobs=2", "sweep=a"]
    assert dtd_run(monkeypatch, *SWEEP, "seed=3,4", *parallel) == 0
    assert len(runs("a")) == 2


def test_a_failure_in_hydras_own_sweeper(monkeypatch, capfd):
    other = ["hydra/sweeper=basic", "sweep=a", "explain.output=5,0"]
    assert dtd_run(monkeypatch, *SWEEP, *other) == 2
    *_, line = capfd.readouterr().err.splitlines()
    assert line.startswith("dtd-run: ")
    assert line.endswith("explain.output=5: allowed is an output from 0 to 0")
    assert sum((folder / "DONE").exists() for folder in runs("a").values()) == 1


# SQLAlchemy keeps its pool; optuna's samplers are experimental.
@pytest.mark.filterwarnings("ignore")
def test_optuna_optimises_the_figure_that_objective_names(monkeypatch, capfd):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = [
        *SWEEP, "rule=gamma", "rule.gamma=0.01,1,100", "hydra/sweeper=optuna", "sweep=a",
        "hydra.sweeper.n_trials=3", "hydra.sweeper.direction=minimize",
        "hydra/sweeper/sampler=grid",
    ]  # fmt: skip
    name = "conserved_by_layer.gradient_x_input.0"
    path = f"objective={name}"
    assert dtd_run(monkeypatch, *search, path) == 0
    best = yaml.safe_load(Path("outputs/sweeps/a/optimization_results.yaml").read_text())
    kept = [figures(folder)["conserved_by_layer"] for folder in runs("a").values()]
    assert best["best_value"] == min(k["gradient_x_input"]["0"] for k in kept)
    assert len(kept) == 3
    assert dtd_run(monkeypatch, *search, path) == 0
    assert "done before, skipped" in capfd.readouterr().out
    assert dtd_run(monkeypatch, *search, "objective=nonsense") == 2
    assert "objective=nonsense: this run has no such figure, but kept, " in capfd.readouterr().err


def test_figures_for_a_sweeper(monkeypatch):
    from dtd_cli.records.objective import figures as found
    from dtd_cli.records.objective import objective

    settings = ["studies=[agreement]", "hydra.run.dir=run"]
    assert dtd_run(monkeypatch, *SMALL, *settings) == 0
    summary, known = figures("run"), found(Path("run"))
    kept = summary["conserved_by_layer"]["recursive"]["0"]
    assert objective(known, "kept") == kept
    assert objective(known, "f_mean") == summary["f_mean"]
    rows = Path("run/agreement.csv").read_text().splitlines()
    (row,) = (row for row in rows if row.startswith("recursive,"))
    assert objective(known, "cosine") == pytest.approx(float(row.rpartition(",")[2]))
    assert objective(known, ["kept", "cosine"]) == (kept, known["cosine"])


def launcher(launch):
    """The class of a launcher; when Hydra first looks for plugins, it executes their modules."""
    Plugins.instance()
    submitit = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
    module, name = {
        "parallel": ("hydra_plugins.hydra_joblib_launcher.joblib_launcher", "JoblibLauncher"),
        "slurm": (submitit, "SlurmLauncher"),
        "slurm_local": (submitit, "LocalLauncher"),
    }[launch]
    return getattr(import_module(module), name)


@pytest.mark.parametrize(
    ("launch", "settings"),
    [
        ("parallel", ["n_jobs=3"]),
        ("slurm", ["partition=cpu", "account=me", "qos=low", "array_parallelism=3"]),
        ("slurm_local", ["mem_gb=3", "timeout_min=3"]),
    ],
)
def test_settings_of_launchers_are_accepted(monkeypatch, launch, settings):
    """All that docs/sweeps.md names; nothing is launched."""
    seen = []

    def launched(self, overrides, initial_job_idx):
        seen.append(self.config.hydra.launcher)
        raise RuntimeError("not here")

    monkeypatch.setattr(launcher(launch), "launch", launched)
    given = [f"hydra.launcher.{setting}" for setting in settings]
    assert dtd_run(monkeypatch, *SWEEP, f"launch={launch}", *given, "sweep=a") == 1
    for name, _, value in (setting.partition("=") for setting in settings):
        assert str(seen[0][name]) == value


def test_a_launcher_that_fails_is_the_reason(monkeypatch, capfd):
    def launched(self, overrides, initial_job_idx):
        raise RuntimeError("no\nnode")

    monkeypatch.setattr(launcher("parallel"), "launch", launched)
    assert dtd_run(monkeypatch, *SWEEP, "launch=parallel", "sweep=a") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("it never began. the launcher failed: RuntimeError: no node")


# Its settings do what they say, or are refused


def test_folders_with_names_of_ones_own(monkeypatch, capfd):
    numbered = [*SWEEP, "hydra.sweep.subdir=run_${hydra.job.num}", "sweep=a"]
    assert dtd_run(monkeypatch, *numbered, "seed=3,4") == 0
    assert set(runs("a")) == {"run_0", "run_1"}
    capfd.readouterr()
    # What is done is known by its configuration, not by the name of its folder.
    assert dtd_run(monkeypatch, *numbered, "seed=3,5") == 0
    assert "1 done, 1 skipped" in capfd.readouterr().out
    config = yaml.safe_load(Path("outputs/sweeps/a/run_1/.hydra/config.yaml").read_text())
    assert config["seed"] == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "seed=1,2", "hydra.sweep.subdir=x"], "hydra.sweep.subdir=x: two runs have"),
        (["-m", "seed=1", "hydra.sweep.subdir=../../esc"], "hydra.sweep.subdir=../../esc: allowed"),
        (["-m", "seed=1", "hydra.sweep.subdir=/tmp/esc"], "hydra.sweep.subdir=/tmp/esc: allowed"),
        (["-m", "seed=1", "hydra.sweep.subdir=''"], "allowed is the name of a folder inside the"),
        (["-m", "seed=1", "hydra.sweep.subdir=."], "hydra.sweep.subdir=.: allowed is the name"),
        (["sweep=a"], "sweep=a: a single run is in no sweep; allowed with -m, and for a single"),
        (["hydra.sweep.subdir=x"], "hydra.sweep.subdir=x: a single run is in no sweep; allowed"),
        (["hydra.sweep.dir=x"], "hydra.sweep.dir=x: a single run is in no sweep; allowed with -m"),
        (["report=yes"], "report=yes: a single run is in no sweep; allowed with -m; dtd-report"),
        (["report=true"], "report=true: a single run is in no sweep; allowed with -m; dtd-report"),
        (["objective=kept"], "objective=kept: a single run is in no sweep; allowed with -m; sum"),
        (["launch=parallel"], "launch=parallel: a single run is in no sweep; allowed with -m"),
        (["hydra.launcher.n_jobs=2", "launch=parallel"], "launch=parallel: a single run is in no"),
        (["hydra/sweeper=basic"], "hydra/sweeper=basic: a single run is in no sweep; allowed with"),
        (["+hydra.sweeper.params.seed='1,2'"], "params.seed='1,2': a single run is in no sweep"),
        (["-m", "hydra.job.num=3"], "hydra.job.num=3: Hydra counts the runs"),
        (["-m", "hydra.mode=RUN"], "hydra.mode=RUN: allowed without -m"),
        (["hydra.job.chdir=true"], "hydra.job.chdir=true: paths are those"),
        (["hydra.job.chdir=yes"], "hydra.job.chdir=true: paths are those"),
        (["hydra.job={chdir:true}"], "hydra.job={chdir:true}: allowed are its settings one by one"),
        (["hydra.job.name=../out"], "hydra.job.name=../out: allowed is a name for the log"),
        (["hydra.job.name=''"], "hydra.job.name='': allowed is a name for the log"),
        (["hydra.job.env_set={A:b}"], "write +hydra.job.env_set.NAME"),
        (["hydra.mode=nope"], "Invalid value 'nope', expected one of [RUN, MULTIRUN]"),
        (["hydra.mode=multirun", "seed=3,4"], "seed=3,4: several values need a sweep"),
        (["-m", "+hydra.sweeper.params.rule='z+,nope'"], "rule=nope: allowed are gamma"),
        (["-m", "+hydra.sweeper.params.nope='1,2'"], "nope: no such setting"),
        (["netwrok=mlp"], "netwrok=mlp: no such setting; allowed are network"),
        (["hydra.output_subdir=x"], "hydra.output_subdir=x: a run keeps its configuration in"),
        (["seed=${nope:1}"], "seed=${nope:1}: Unsupported interpolation type nope; allowed are"),
        (["-m", "seed=${nope}"], "dtd-run: seed=${nope}: Interpolation key 'nope' not found; all"),
        (["studies=[${nope:1}]"], "studies=[${nope:1}]: Unsupported interpolation type nope"),
        (["report=${nope:1}"], "report=${nope:1}: a single run is in no sweep; allowed with -m"),
        (["report={a:1}"], "report={a:1}: a single run is in no sweep; allowed with -m"),
        (["-m", "force=${nope:1}"], "dtd-run: force=${nope:1}: Unsupported interpolation type"),
        (["-m", "report=${nope}"], "dtd-run: report=${nope}: Interpolation key 'nope' not found"),
        (["-m", "sweep=${nope}"], "dtd-run: sweep=${nope}: Interpolation key 'nope' not found"),
        (["hydra.run.dir=run_${seed}", "seed=${nope}"], "dtd-run: seed=${nope}: Interpolation"),
        (["++hydra.verbose=${nope}"], "dtd-run: hydra.verbose=${nope}: Interpolation key 'nope'"),
        (["--cfg", "job", "--resolve", "seed=${nope}"], "dtd-run: seed=${nope}: Interpolation"),
        (["compare_input_roots=${nope:1}"], "compare_input_roots=${nope:1}: Unsupported"),
        (["-m", "launch=parallel", "hydra.launcher.n_jobs=${nope}"], "n_jobs=${nope}: Interpol"),
        (["hydra.run.dir="], "hydra.run.dir: allowed is the name of a folder"),
        (["-m", "hydra.sweep.dir="], "hydra.sweep.dir: allowed is the name of a folder"),
        (["-m", "sweep="], "sweep: allowed is a name below"),
        (["-m", "sweep=../../../esc"], "sweep=../../../esc: allowed is a name below"),
        (["-m", "sweep=/tmp/esc"], "sweep=/tmp/esc: allowed is a name below"),
        (["-m", "sweep=a,b"], "sweep=a,b: allowed is one name"),
        (["-m", "seed=range(0,2,0)"], "seed=range(0,2,0): it is no range"),
        (["-m", "seed=range(0,1,nan)"], "seed=range(0,1,nan): it is no range"),
        (["-m", "seed=range(3,0)"], "seed=range(3,0): it has no values"),
        (["-m", "hydra.sweeper.params.rule=x"], "write +hydra.sweeper.params.rule"),
        (["-m", "hydra/sweeper=nope"], "hydra/sweeper=nope: allowed are basic, dtd"),
        (["-m", "hydra.sweeper=null"], "Hydra sweeper is not configured"),
        (["-m", "hydra.launcher=null"], "Hydra launcher is not configured"),
        (["hydra=null"], "Config group override must be a string"),
        (["=1"], "=1: allowed is SETTING=VALUE"),
        ([f"threads={2**63 - 1}"], "allowed is any integer >= 1 and <= 1024"),
        (["--shell-completion"], "Expecting one subcommand"),
        (["hydra.hydra_logging.root.level=NOPE"], "Unable to configure root logger"),
        (["+roots@compare_input_roots.name=random"], "compare_input_roots.name: allowed is"),
        (["+roots@compare_input_roots.null=random"], "compare_input_roots.null: allowed is"),
        (["+roots@compare_input_roots.line=random"], "is the name of another root search"),
        ([f"+roots@compare_input_roots.{'a' * 41}=random"], "allowed is a label of up to 40"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(monkeypatch, capfd, tmp_path, arguments, words):
    assert dtd_run(monkeypatch, *SMALL, *arguments) == 2
    said = capfd.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("dtd-run: ")
    assert words in line
    assert "Traceback" not in said.out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_setting_may_refer_to_another(monkeypatch):
    refers = ["seed=${network.seed}", "report=${force}"]
    assert dtd_run(monkeypatch, *SMALL, *refers, "hydra.run.dir=run") == 0
    assert "seed=${network.seed}" in yaml.safe_load(Path("run/.hydra/overrides.yaml").read_text())


def test_a_folder_is_not_entered(mine, monkeypatch, capfd):
    """Wherever it is asked for."""
    (mine / "experiment" / "ours.yaml").write_text(
        "# @package _global_\nhydra: {job: {chdir: true}}\n"
    )
    arguments = ["--config-dir", "mine", *SMALL, "experiment=ours", "hydra.run.dir=run"]
    assert dtd_run(monkeypatch, *arguments) == 2
    assert "hydra.job.chdir=true: paths are those" in capfd.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize("place", [["hydra.run.dir=run"], ["-m", "report=false", "sweep=a"]])
def test_a_job_has_its_environment_and_its_name(monkeypatch, place):
    import dtd_cli.run.run

    prepare, seen = dtd_cli.run.run.prepare, []
    monkeypatch.setattr(
        dtd_cli.run.run,
        "prepare",
        lambda config: seen.append(os.environ.get("SET_FOR_JOBS")) or prepare(config),
    )
    job = ["+hydra.job.env_set.SET_FOR_JOBS=told", "hydra.job.name=mine"]
    assert dtd_run(monkeypatch, *SMALL, *job, *place) == 0
    assert seen == ["told"]
    assert "SET_FOR_JOBS" not in os.environ
    (log,) = Path().rglob("*.log")
    assert log.name == "mine.log"
    assert "done in" in log.read_text()


def test_what_a_sweeper_goes_through_may_be_a_setting(monkeypatch):
    params = ["+hydra.sweeper.params.rule='z+,w2'", "+hydra.sweeper.params.seed='3,4'"]
    assert dtd_run(monkeypatch, *SWEEP, *params, "sweep=a") == 0
    assert dtd_run(monkeypatch, *SWEEP, "rule=z+,w2", "seed=3,4", "sweep=b") == 0
    assert set(runs("a")) == set(runs("b"))
    # What the command line says comes first.
    assert dtd_run(monkeypatch, *SWEEP, *params, "seed=5", "sweep=c") == 0
    assert len(runs("c")) == 2


def test_the_mode_makes_a_sweep(monkeypatch):
    settings = [*SMALL, "report=false", "seed=3,4", "hydra.mode=MULTIRUN", "sweep=a"]
    assert dtd_run(monkeypatch, *settings) == 0
    assert len(runs("a")) == 2


def test_a_working_folder_that_hydra_would_resolve(monkeypatch, capfd, tmp_path):
    (tmp_path / "a${x}").mkdir()
    monkeypatch.chdir(tmp_path / "a${x}")
    assert dtd_run(monkeypatch, *SWEEP) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "a${x}: Hydra reads ${ as a reference" in line


def test_keys_that_cannot_be_sorted(monkeypatch, capfd):
    assert dtd_run(monkeypatch, *SWEEP, "relevance.degree={1:2,a:3}", "sweep=a") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "relevance.degree={1:2,a:3}: allowed is any integer >= 1" in line


@pytest.mark.parametrize(
    "same", [["network.factor=1,1.0,1e0"], ["seed=1,'1'"], ["explain.output=0,'0'"]], ids=" ".join
)
def test_one_value_is_one_run_however_it_is_written(monkeypatch, same):
    assert dtd_run(monkeypatch, *SWEEP, *same, "sweep=a") == 0
    assert len(runs("a")) == 1


def test_true_is_no_seed(monkeypatch):
    """It is refused, and has no folder with the seed 1."""
    assert dtd_run(monkeypatch, *SWEEP, "seed=1,true", "sweep=a") == 2
    assert len(runs("a")) == 2


def test_the_home_folder(monkeypatch, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,c\n3,3,3\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    base = [a for a in SMALL if not a.startswith("inputs=")]
    csv = ["inputs=csv", 'inputs.path="~/rows.csv"', "hydra.run.dir=run"]
    assert dtd_run(monkeypatch, *base, *csv) == 0


# Callbacks


# MLflow prints where it began, and warns of its own store.
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_finished_run(monkeypatch, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(f"file:{tmp_path}/mlruns")
    assert dtd_run(monkeypatch, *SMALL, "logger=mlflow", "hydra.run.dir=run") == 0
    assert dtd_run(monkeypatch, *SMALL, "logger=mlflow", "explain.output=7") == 2
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'dtd-run'")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.data.metrics["f_mean"] == pytest.approx(figures("run")["f_mean"])
    assert logged.data.params["rule.name"] == "z+"
    artifacts = {artifact.path for artifact in client.list_artifacts(logged.info.run_id)}
    assert visible("run") <= artifacts


def test_weights_and_biases_have_a_finished_run(monkeypatch, capfd, tmp_path):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    assert dtd_run(monkeypatch, *SMALL, "logger=wandb", 'hydra.run.dir="run[1]"') == 0
    assert "not logged" not in capfd.readouterr().err
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    kept = {path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}
    assert all(Path("run[1]", name).read_bytes() in kept for name in visible("run[1]"))


@pytest.mark.parametrize("sweeper", ["dtd", "basic"])
def test_a_run_is_logged_once(monkeypatch, capfd, sweeper):
    """Not again where it is skipped; a logger that fails takes no result away."""
    monkeypatch.setattr("dtd_cli.app.launchers.find_spec", lambda name: True)
    logged = []

    def log(self, folder, settings, figures):
        logged.append((settings["seed"], figures["f_mean"]))
        raise ValueError("no\nserver")

    monkeypatch.setattr("dtd_cli.app.loggers.MLflow.log", log)
    sweep = ["-m", *SMALL, f"hydra/sweeper={sweeper}", "logger=mlflow", "report=false", "sweep=a"]
    for seeds in ("1", "1,2"):
        assert dtd_run(monkeypatch, *sweep, f"seed={seeds}") == 0
    assert [seed for seed, _ in logged] == [1, 2]
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.endswith(": not logged: ValueError: no server") for line in said)


@pytest.mark.parametrize("logger", ["mlflow", "wandb"])
def test_a_logger_that_is_not_installed(monkeypatch, capfd, logger):
    monkeypatch.setattr("dtd_cli.app.launchers.find_spec", lambda name: None)
    assert dtd_run(monkeypatch, *SMALL, f"logger={logger}") == 2
    assert f"pip install 'dtd-run[{logger}]'" in capfd.readouterr().err


# Its inside


def test_one_file_knows_hydras_inside():
    from dtd_cli.app.internals import WORKS_WITH

    src = Path(dtd_cli.__file__).parents[1]
    knowing = {
        path.relative_to(src).as_posix()
        for path in src.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hydra._internal")
    }
    assert knowing == {"dtd_cli/app/internals.py"}
    assert hydra.__version__ in WORKS_WITH
