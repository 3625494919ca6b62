"""``dtd-run`` as users meet it: what it writes, what it answers, what it costs to ask.

Most runs share this process; ``dtd_run`` is the command with another ``sys.argv``.
"""

from __future__ import annotations

import csv
import gc
import json
import logging
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra._internal.hydra import Hydra
from omegaconf import OmegaConf

from dtd_cli.app import command as cli
from dtd_cli.app import imports, one_run
from dtd_cli.app.status import causes
from dtd_cli.config.renamed import RENAMED
from dtd_cli.records.columns import INPUTS

TINY = ["inputs.n=2", "training.epochs=2", "plots=none", "progress=false"]
COLUMNS = {
    "relevance.csv": "method,sample,layer,order,neuron,activation,relevance,limits",
    "layers.csv": "method,sample,layer,order,upper_sum,relevance_sum,zero_order,unresolved,"
    "remainder,negative_sum,limits",
    "roots.csv": "method,sample,layer,neuron,finder,status,relevance,residual,distance,admissible,"
    "same_region,gradient_norm,gradient_gap,output_change,evaluations,certified,limit,limit_error",
    "root_points.csv": "method,sample,layer,neuron,finder,index,value",
}
OTHERS = {"inputs.csv", "summary.json", "environment.json", "network.safetensors", "DONE"}


SAYS_THE_MODE = ("experiment", "hydra.mode", "--c", "searchpath")
"""Without any of these ``-m`` alone says whether it is a sweep. Hydra composes a whole
configuration to find that out, which is a third of the time of a refusal."""


def dtd_run(monkeypatch, *arguments):
    """The exit status of ``dtd-run`` with these arguments, in this process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "argv", ["dtd-run", *map(str, arguments)])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    try:
        with pytest.MonkeyPatch.context() as patch:
            if not any(word in argument for argument in sys.argv for word in SAYS_THE_MODE):
                patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
            return cli._status()
    except SystemExit as end:
        return end.code
    finally:
        # Hydra's log files belong to the run, not to the process.
        for handler in {*root.handlers, *one_run.log_file.handlers} - set(handlers):
            handler.close()
        root.handlers, one_run.log_file.handlers = handlers, []
        root.setLevel(level)


def subprocess_run(folder, *arguments):
    command = [sys.executable, "-c", "from dtd_cli.app.command import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@contextmanager
def interruptible(code, *arguments, **options):
    """A process that runs ``code`` and can be interrupted; it is gone in the end, however it ends.

    In the background job of a script SIGINT is ignored, also by all that it starts.
    """
    hears = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", hears + code, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def tables(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.csv"))}


def visible(folder):
    """The names in a run's folder, the log and what is hidden left out."""
    names = {p.name for p in Path(folder).iterdir()} - {"dtd-run.log"}
    return {name for name in names if not name.startswith(".")}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["--version"]], ids=" ".join)
def test_questions_are_answered_without_slow_imports(tmp_path, arguments):
    script = (
        "import sys\n"
        "from dtd_cli.app.command import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "slow = {'torch', 'pandas', 'matplotlib', 'sklearn', 'scipy', 'numpy', 'pydantic'}\n"
        "slow &= set(sys.modules)\n"
        "print('slow:', sorted(slow))\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    *said, slow = answer.stdout.splitlines()
    assert slow == "slow: []"
    assert said
    assert answer.stderr == ""
    assert not list(tmp_path.iterdir())


def test_a_run_from_the_shell(tmp_path):
    answer = subprocess_run(tmp_path, *TINY)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    (folder,) = tmp_path.glob("outputs/*/*")
    assert visible(folder) == {*COLUMNS, *OTHERS}
    assert (folder / ".hydra").is_dir()
    assert (folder / "dtd-run.log").read_text()


def test_an_error_from_the_shell(tmp_path):
    answer = subprocess_run(tmp_path, "seed=abc")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == "dtd-run: seed=abc: allowed is an integer\n"
    assert not written(tmp_path)


def test_files_and_their_columns(tmp_path, monkeypatch):
    assert dtd_run(monkeypatch, *TINY, "hydra.run.dir=run") == 0
    assert visible("run") == {*COLUMNS, *OTHERS}
    for name, columns in COLUMNS.items():
        header, *rows = (tmp_path / "run" / name).read_text().splitlines()
        assert header == columns
        assert rows
    header, *rows = (tmp_path / "run" / "inputs.csv").read_text().splitlines()
    assert header.startswith(",".join([*INPUTS, "pixel_0_0,"]))
    assert len(header.split(",")) == len(INPUTS) + 64
    assert len(rows) == 2
    figures = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert 0 <= figures["training"]["test_accuracy"] <= 1
    origin = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert {"command", "seed", "packages", "commit", "durations"} <= origin.keys()
    assert origin["seed"] == 0


def test_paths_add_up_to_the_relevance_of_the_input(monkeypatch):
    options = ["network.hidden=[6,5]", "relevance.paths=true", "relevance.top=3"]
    assert dtd_run(monkeypatch, *TINY, *options, "hydra.run.dir=run") == 0
    added = {"paths.csv", "flows.csv", "root_tree.csv"}
    assert visible("run") == {*COLUMNS, *OTHERS, *added}
    header = Path("run/paths.csv").read_text().splitlines()[0]
    assert header == "method,sample,rank,unit_0,unit_1,unit_2,unit_3,relevance"
    relevance = pd.read_csv("run/relevance.csv")
    inputs = relevance[relevance["layer"] == 0].groupby(["method", "sample"])["relevance"].sum()
    for name, groups in (("paths.csv", []), ("flows.csv", ["layer"])):
        table = pd.read_csv(f"run/{name}")
        sums = table.groupby(["method", "sample", *groups])["relevance"].sum()
        assert set(table["method"]) == {"recursive", "train_free"}
        for key, total in sums.items():
            assert total == pytest.approx(inputs[key[:2]], rel=1e-10)
    outputs = pd.read_csv("run/inputs.csv").set_index("sample")["output"]
    listed = pd.read_csv("run/paths.csv").query("rank != 'rest'")
    assert list(listed["unit_3"]) == list(outputs[listed["sample"]])


@pytest.mark.parametrize(
    "options",
    [
        ["experiment=any_explanation", "training.epochs=2"],
        ["network=maximum", "training=none", "inputs=grid", "rule=x", "input_roots=line"],
        ["network=paper", "training=none", "inputs=positive", "dtype=float32"],
    ],
    ids=["prescribed", "line", "float32"],
)
def test_paths_of_other_runs(monkeypatch, options):
    few = ["inputs.n=4", "plots=none", "progress=false", "relevance.paths=true"]
    assert dtd_run(monkeypatch, *options, *few, "hydra.run.dir=run") == 0
    relevance = pd.read_csv("run/relevance.csv").query("layer == 0")
    inputs = relevance.groupby(["method", "sample"])["relevance"].sum()
    paths = pd.read_csv("run/paths.csv").groupby(["method", "sample"])["relevance"].sum()
    tolerance = 1e-3 if "dtype=float32" in options else 1e-10
    assert inputs[paths.index].to_numpy() == pytest.approx(paths.to_numpy(), rel=tolerance)
    assert "recursive" in paths.index


def test_relevance_has_every_order(monkeypatch):
    assert dtd_run(monkeypatch, *TINY, "hydra.run.dir=run") == 0
    table = pd.read_csv("run/relevance.csv")
    assert set(table["method"]) == {"recursive", "train_free", "gradient_x_input"}
    units = {0: 64, 1: 32, 2: 16, 3: 10}
    for (_, _, layer), part in table.groupby(["method", "sample", "layer"]):
        assert (part["order"] == 3 - layer).all()
        assert list(part["neuron"]) == list(range(units[layer]))
    assert not table.isna().any().any()


def test_a_sweep_without_a_name(monkeypatch):
    assert dtd_run(monkeypatch, "-m", "rule=z+,w2", *TINY, "report=false") == 0
    done = list(Path("outputs/sweeps").glob("*/*/*/DONE"))
    assert len(done) == 2
    one, other = ((path.parent / "relevance.csv").read_bytes() for path in done)
    assert one != other


def test_a_sweep_says_what_failed(monkeypatch, capfd):
    assert dtd_run(monkeypatch, "-m", "explain.output=0,99", *TINY, "report=false") == 2
    (failed,) = Path("outputs/sweeps").rglob("FAILED")
    assert "explain.output=99" in failed.read_text()
    assert not (failed.parent / "DONE").exists()
    assert len(list(Path("outputs/sweeps").rglob("DONE"))) == 1
    assert "explain.output=99" in capfd.readouterr().err


@pytest.mark.parametrize("roots", ["closed_form", "random"])
def test_the_same_configuration_gives_the_same_bytes(monkeypatch, roots):
    small = ["network.hidden=[6]", f"input_roots={roots}"]
    for folder in ("first", "second"):
        torch.rand(3)  # where the global generator stands does not matter
        assert dtd_run(monkeypatch, *TINY, *small, f"hydra.run.dir={folder}") == 0
    first, second = tables("first"), tables("second")
    assert {*COLUMNS, "inputs.csv"} <= set(first)
    assert first == second


def test_another_seed_gives_other_bytes(monkeypatch):
    for seed in (0, 1):
        assert dtd_run(monkeypatch, *TINY, f"seed={seed}", f"hydra.run.dir=run{seed}") == 0
    assert tables("run0")["relevance.csv"] != tables("run1")["relevance.csv"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_floats_read_back_the_same(monkeypatch, dtype):
    """Written in the shortest form that is exact: read and written once more it is the same."""
    assert dtd_run(monkeypatch, *TINY, f"dtype={dtype}", "hydra.run.dir=run") == 0
    floats = {"relevance.csv": (5, 7), "layers.csv": (4, 10), "root_points.csv": (6, 7)}
    for name, columns in floats.items():
        with Path("run", name).open(newline="") as lines:
            _, *rows = csv.reader(lines)
        for row in rows:
            for text in row[slice(*columns)]:
                assert repr(float(text)) == text or str(np.float64(text)) == text
                if dtype == "float32" and name != "layers.csv":
                    assert float(np.float32(text)) == float(text)


def test_done_again_in_the_same_folder(monkeypatch):
    """A run into a folder that is there replaces what it holds."""
    assert dtd_run(monkeypatch, *TINY, "hydra.run.dir=run") == 0
    before = tables("run")
    assert dtd_run(monkeypatch, *TINY, "seed=1", "hydra.run.dir=run") == 0
    assert tables("run") != before
    assert visible("run") == {*COLUMNS, *OTHERS}


# What is refused. Files that the arguments name are written by ``files``.


class RunsCode:
    """Unpickled by pickle itself, it leaves a file behind."""

    def __reduce__(self):
        return (Path("code-was-run").touch, ())


def linear(*sizes):
    return {
        f"{2 * i}.{kind}": value
        for i, (inputs, units) in enumerate(pairwise(sizes))
        for kind, value in (("weight", torch.ones(units, inputs)), ("bias", torch.zeros(units)))
    }


@pytest.fixture
def files(tmp_path):
    torch.save(linear(3, 2, 1), tmp_path / "good.pt")
    torch.save(linear(3, 2, 1) | {"2.weight": torch.ones(1, 5)}, tmp_path / "chain.pt")
    torch.save(linear(3, 2, 1) | {"0.weight": torch.full((2, 3), torch.nan)}, tmp_path / "nan.pt")
    torch.save({"0.weight": RunsCode()}, tmp_path / "code.pt")
    torch.save([torch.ones(2, 2)], tmp_path / "list.pt")
    torch.save({}, tmp_path / "nothing.pt")
    (tmp_path / "garbage.pt").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "garbage.safetensors").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "good.csv").write_text("a,b,c\n1,2,3\n")
    (tmp_path / "trees.csv").write_text("a,kind\n1,oak\n2,ash\n")
    (tmp_path / "none.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b,c\n")
    (tmp_path / "nan.csv").write_text("a,b,c\n1,2,3\n4,NaN,6\n")
    (tmp_path / "gap.csv").write_text("a,b,c\n1,,3\n")
    (tmp_path / "inf.csv").write_text("a,b,c\n1,inf,3\n")
    (tmp_path / "text.csv").write_text("a,b,c\n1,2,blue\n")
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n")
    (tmp_path / "ragged.csv").write_text("a,b,c\n1,2,3\n1,2,3,4\n")
    (tmp_path / "latin.csv").write_bytes(b"a,b,\xff\xfe\n1,2,3\n")
    (tmp_path / "negative.csv").write_text("a,b,c\n1,-2,3\n")
    (tmp_path / "folder").mkdir()
    return tmp_path


ONE_OUTPUT = ["network=mlp", "network.outputs=1", "training=none", "inputs=csv",
              "inputs.path=trees.csv", "inputs.label=kind"]  # fmt: skip
FILE = ["network=file", "training=none"]
CSV = ["network=notebook", "training=none", "inputs=csv"]
NOTEBOOK = ["network=notebook", "training=none", "inputs=notebook"]
BOXED = [*CSV, "inputs.path=good.csv", "inputs.domain=box"]


def with_file(*paths):
    return [([*FILE, "inputs=notebook", f"network.path={p}"], ["network.path", p]) for p in paths]


def with_csv(*paths):
    return [([*CSV, f"inputs.path={path}"], ["inputs.path", path]) for path in paths]


REFUSED = [
    (["rule=0"], ["rule=0", "z+, zB, zero"]),
    (["rule=z"], ["rule=z", "z+"]),
    (["rule=null"], ["rule=null", "z+"]),
    (["rule=[z+,w2]"], ["rule=[z+,w2]", "z+"]),
    (["rule=z+,w2"], ["rule=z+,w2", "-m"]),
    (["roots=0"], ["roots=0", "closed_form, "]),
    (["input_rule=null"], ["input_rule=null", "z+"]),
    (["input_rule=zb"], ["input_rule=zb", "zB"]),
    (["network=mpl"], ["network=mpl", "mlp"]),
    (["experiment=nothing"], ["experiment=nothing", "notebook"]),
    (["seed=abc"], ["seed=abc", "integer"]),
    (["seed=-1"], ["seed=-1", ">= 0"]),
    (["seed=1.5"], ["seed=1.5", "integer"]),
    (["seed=null"], ["seed=", "integer"]),
    (["sede=3"], ["sede=3", "seed"]),
    (["rule.gama=3", "rule=gamma"], ["rule.gama=3", "rule.gamma"]),
    (["inputs.m=3"], ["inputs.m=3", "inputs.n"]),
    (["+extra=1"], ["extra=1", "cannot be added"]),
    (["+rule.gamma=1"], ["rule.gamma=1", "cannot be added"]),
    (["~rule"], ["rule", "cannot be removed"]),
    (["~seed"], ["seed", "cannot be removed"]),
    (["--foo"], ["--foo"]),
    (["--config-dir", "nowhere"], ["--config-dir=nowhere", "no such folder"]),
    (["relevance.walks=100"], ["relevance.walks=100", "it is relevance.paths now"]),
    (
        ["roots=prescribed", "roots.target=[a,1]"],
        ["roots.target=[a,1]", "allowed is a list of numbers"],
    ),
    (
        ["relevance.interactions=true", "relevance.methods=[train_free]"],
        ["relevance.interactions=true", "relevance.methods=recursive"],
    ),
    (["--cfg", "nonsense"], ["--cfg", "invalid choice"]),
    (["rule=x", "--foo", "seed=1"], ["--foo", "no such option"]),
    (["--resolve", "rule=x"], ["--resolve", "--cfg"]),
    (["-m", "seed=1,2", "hydra.run.dir=x"], ["hydra.run.dir=x", "sweep=NAME"]),
    (["--multirun", "--cfg", "job", "seed=1,2"], ["--cfg", "--multirun"]),
    (["nonsense"], ["nonsense", "SETTING=VALUE"]),
    (["dtype=float16"], ["dtype=float16", "float64, float32"]),
    (["device=tpu"], ["device=tpu", "cpu"]),
    (["plots.format=gif"], ["plots.format=gif", "png, pdf, svg"]),
    (["plots.samples=[99]", "training.epochs=1"], ["plots.samples=[99]", "0, 1"]),
    (["plots=some"], ["plots=some", "all, auto, none"]),
    (["relevance.methods=[lrp]"], ["relevance.methods", "train_free"]),
    (["relevance.methods=[]"], ["relevance.methods", "train_free"]),
    (["relevance.top=0"], ["relevance.top=0", ">= 1"]),
    (["relevance.max_paths=0"], ["relevance.max_paths=0", ">= 1"]),
    (["relevance.paths=some"], ["relevance.paths=some", "true or false"]),
    (
        ["relevance.paths=true", "relevance.methods=[gradient_x_input]"],
        ["relevance.paths=true", "recursive, train_free"],
    ),
    (
        ["relevance.paths=true", "relevance.max_paths=32767", "training.epochs=1"],
        ["relevance.max_paths=32767", "64-32-16-10 has 32768 paths", "a higher limit"],
    ),
    (["relevance.max_points=0"], ["relevance.max_points=0", ">= 1"]),
    (
        ["relevance.max_visits=10", "training.epochs=1"],
        ["relevance.max_visits=10", "points", "inputs.n"],
    ),
    (
        ["network.hidden=[64,64,64,64]", "training.epochs=1", "roots=random"],
        ["relevance.max_visits=100000000", "points", "inputs.n"],
    ),
    *[([f"{old}=true"], [f"{old}=true", f"it is {new} now"])
      for old, new in RENAMED.items() if "=" not in old],
    *[([old], [old, f"it is {new} now"]) for old, new in RENAMED.items() if "=" in old],
    (["rule=gamma", "rule.gamma=-1"], ["rule.gamma=-1", ">= 0"]),
    (["rule=gamma", "rule.gamma=much"], ["rule.gamma=much", "number"]),
    (["network.hidden=[0]"], ["network.hidden=[0]", ">= 1"]),
    (["network.hidden=8"], ["network.hidden=8", "list"]),
    (["network.hidden=[[8]]"], ["network.hidden=[[8]]", "allowed is a list of widths"]),
    (["network.hidden=[4,x]"], ["network.hidden=[4,x]", "element 1 ", "is x, a text; "]),
    (["network.hidden=[4,0]"], ["element 1 (the first is 0) is 0, an integer", "widths >= 1"]),
    (["explain.output=[3,-1]"], ["element 1 (the first is 0) is -1", "a pair such as [3,5]"]),
    (["network.init=zero"], ["network.init=zero", "no_bias"]),
    (["network.output_activation=tanh"], ["network.output_activation=tanh", "relu"]),
    (["training.epochs=0"], ["training.epochs=0", ">= 1"]),
    (["training.loss=hinge"], ["training.loss=hinge", "cross_entropy"]),
    (["inputs.n=0"], ["inputs.n=0", ">= 1"]),
    (["inputs=notebook"], ["training=adam", "labels"]),
    (["inputs=positive", "inputs=grid", "inputs.threshold=1"], ["no such", "inputs.points"]),
    (["inputs=grid", "inputs.threshold=1"], ["inputs.threshold is a setting of inputs=positive"]),
    (["rule=z+", "rule.gama=1"], ["rule.gama=1: no such setting; rule.gamma is a", "rule=gamma\n"]),
    ([*NOTEBOOK, "rule=z+", "input_rule=zB"], ["input_rule=zB", "inputs.domain=box"]),
    (["rule=zB", "training.epochs=1"], ["rule=zB", "input_rule=zB"]),
    (["network=paper", "training=none"], ["inputs=digits", "64", "10"]),
    ([*FILE, "inputs=notebook"], ["network.path", "???"]),
    *with_file(
        "missing.pt", "folder", "empty.pt", "empty.safetensors", "garbage.pt",
        "garbage.safetensors", "code.pt", "nan.pt", "chain.pt", "list.pt", "nothing.pt",
    ),
    ([*FILE, "network.path=good.pt"], ["inputs=digits", "64", "3"]),
    (CSV, ["inputs.path", "???"]),
    *with_csv(
        "missing.csv", "folder", "none.csv", "header.csv", "nan.csv", "gap.csv", "inf.csv",
        "text.csv", "two.csv", "twice.csv", "ragged.csv", "latin.csv",
    ),
    ([*CSV, "inputs.path=negative.csv", "inputs.domain=nonnegative"], ["negative.csv", "domain"]),
    ([*CSV, "inputs.path=good.csv", "inputs.label=d"], ["inputs.label=d", "a, b, c"]),
    (BOXED, ["inputs.low", "inputs.domain=box"]),
    ([*BOXED, "inputs.low=0", "inputs.high=2"], ["good.csv", "domain"]),
    ([*BOXED, "inputs.low=[0,0]", "inputs.high=9"], ["inputs.low=[0,0]", "3"]),
    ([*BOXED, "inputs.low=9", "inputs.high=0"], ["inputs.low=9", "low <= high"]),
    ([*BOXED, "inputs.low=1", "inputs.high=9", "input_rule=zB"], ["input_rule=zB", "origin"]),
    (["explain.output=10", "training.epochs=1"], ["explain.output=10", "0 to 9"]),
    (["explain.output=-1", "training.epochs=1"], ["explain.output=-1", "predicted"]),
    (["explain.output=best"], ["explain.output=best", "predicted"]),
    *[([*ONE_OUTPUT, f"explain.output={output}"], [f"explain.output={output}: ", "a single output"])
      for output in ("oak", "label", "[ash,oak]")],
    (["explain.output=[0,2]", "training.epochs=1"],
     ["explain.output=[0,2]: ", "a linear output (network.output_activation=linear)"]),
    (
        [*NOTEBOOK, "network.seed=2", "roots=prescribed", "roots.target=[1]"],
        ["roots=prescribed", "its target has 1 numbers; allowed are 3"],
    ),
    ([*NOTEBOOK, "network.seed=NONE"], ["explain.output", "f(x) is 0"]),
]  # fmt: skip


def written(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def silent_seed():
    """A seed with which the notebook's network has no hidden unit that answers its input."""
    from dtd_cli.networks import Notebook

    generator = torch.Generator().manual_seed(0)
    x = (0.25 * torch.randn(1, 3, generator=generator) + 3).clamp(min=0)
    return next(
        seed
        for seed in range(1000)
        if Notebook(seed, "relu", None, 10.0).build((3,), 1).forward(x) <= 0
    )


def test_options_stand_anywhere(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert dtd_run(monkeypatch, "rule=x", "--cfg", "job", "seed=7") == 0
    shown = OmegaConf.create(capfd.readouterr().out)
    assert (shown.rule.name, shown.seed) == ("x", 7)
    assert dtd_run(monkeypatch, "seed=1,2", "-m", "sweep=s", *TINY, "report=false") == 0
    configs = Path("outputs/sweeps/s").glob("*/.hydra/config.yaml")
    assert sorted(OmegaConf.load(config).seed for config in configs) == [1, 2]


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=" ".join)
def test_what_is_refused(files, monkeypatch, capfd, arguments, words):
    arguments = [a.replace("NONE", str(silent_seed())) if "NONE" in a else a for a in arguments]
    before = written(files)
    status = dtd_run(monkeypatch, "progress=false", *arguments)
    said = capfd.readouterr()
    assert status == 2, said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("dtd-run: ")
    for word in words:
        assert word in said.err
    assert "Traceback" not in said.err
    assert written(files) == before


@pytest.mark.parametrize(
    ("run", "left"),
    [
        ("x", set()),
        ("x/y/z", set()),
        (".", set()),
        ("../beside/x", {"beside"}),
    ],
)
def test_a_refused_run_takes_away_no_folder_but_its_own(tmp_path, monkeypatch, run, left):
    here = tmp_path / "only" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert dtd_run(monkeypatch, "seed=-1", f"hydra.run.dir={run}") == 2
    assert here.is_dir()
    assert list(here.iterdir()) == []
    assert {path.name for path in here.parent.iterdir()} == {"here", *left}


@pytest.mark.parametrize("arguments", [["seed=abc"], ["explain.output=99", *TINY]], ids=" ".join)
def test_a_refused_run_leaves_no_folder(tmp_path, monkeypatch, arguments):
    assert dtd_run(monkeypatch, *arguments) == 2
    assert not list(tmp_path.iterdir())


def test_a_misspelt_key_in_a_sweep(tmp_path, monkeypatch, capfd):
    assert dtd_run(monkeypatch, "-m", "rule=z+,w2", "sede=1", *TINY) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "sede=1" in line
    assert "seed" in line


def test_a_refused_run_leaves_what_was_there(files, monkeypatch):
    kept = files / "kept"
    kept.mkdir()
    (kept / "notes.txt").write_text("mine")
    assert dtd_run(monkeypatch, "hydra.run.dir=kept", "explain.output=99", *TINY) == 2
    assert [path.name for path in kept.iterdir()] == ["notes.txt"]


def test_samples_without_an_answer_are_skipped(files, monkeypatch):
    torch.save({"0.weight": torch.tensor([[1.0, 0.0, 0.0]]), "0.bias": torch.zeros(1)}, "first.pt")
    Path("mixed.csv").write_text("a,b,c\n1,2,3\n-1,2,3\n2,0,0\n")
    arguments = [*FILE, "network.path=first.pt", "inputs=csv", "inputs.path=mixed.csv"]
    assert dtd_run(monkeypatch, *arguments, "plots=none", "hydra.run.dir=run") == 0
    table = pd.read_csv("run/inputs.csv")
    assert list(table["status"]) == ["explained", "skipped", "explained"]
    assert list(table["f"]) == [1.0, 0.0, 2.0]
    assert set(pd.read_csv("run/relevance.csv")["sample"]) == {0, 2}
    assert set(pd.read_csv("run/layers.csv")["sample"]) == {0, 2}


def test_any_other_failure_is_status_one(monkeypatch, capfd):
    import dtd_cli.run.run

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(dtd_cli.run.run, "explain", broken)
    assert dtd_run(monkeypatch, *TINY, "hydra.run.dir=run") == 1
    said = capfd.readouterr().err
    assert "OSError: disk full" in said
    assert "Traceback" not in said
    assert "Traceback" in Path("run/dtd-run.log").read_text()
    assert Path("run/FAILED").read_text() == "OSError: disk full\n"
    assert visible("run") == {"FAILED"}


def test_an_interrupted_run(monkeypatch):
    import dtd_cli.run.run

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(dtd_cli.run.run, "explain", interrupted)
    assert dtd_run(monkeypatch, *TINY, "hydra.run.dir=run") == 130
    assert Path("run/FAILED").read_text() == "interrupted\n"
    assert visible("run") == {"FAILED"}


def test_without_the_recursion_the_tables_of_roots_are_empty_but_have_their_columns(
    capsys, monkeypatch, tmp_path
):
    """There is no root to speak of, and a reader finds what it expects all the same."""
    monkeypatch.chdir(tmp_path)
    dtd_run(monkeypatch, "relevance.methods=[train_free]", *TINY, "hydra.run.dir=run")
    roots = pd.read_csv(tmp_path / "run" / "roots.csv")
    assert roots.empty
    assert ",".join(roots.columns) == COLUMNS["roots.csv"]


def test_errors_that_name_each_other_as_their_cause():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert [*causes(first)] == [first, second]
    second.__cause__ = KeyboardInterrupt()
    assert [*causes(first)] == [first, second, second.__cause__]


@pytest.mark.parametrize(("new", "frozen"), [({"made": sys}, 1), ({}, 0)])
def test_imports_are_frozen_once(monkeypatch, new, frozen):
    """Garbage of the runs of a sweep is found, in modules none is looked for."""
    calls = []
    monkeypatch.setattr(imports.gc, "freeze", lambda: calls.append(gc.isenabled()))
    monkeypatch.setattr(imports.sys, "modules", dict(sys.modules))
    with imports.undisturbed():
        sys.modules.update(new)
        assert not gc.isenabled()
    assert calls == [False] * frozen
    assert gc.isenabled()
