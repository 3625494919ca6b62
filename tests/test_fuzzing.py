"""Random overrides of every group and setting: a whole run, or one line that says what is wrong."""

from __future__ import annotations

import csv
import random
import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dtd.networks.files.state_dicts import save
from dtd.networks.modules.reading import read as network_of
from dtd_cli.app.choices import groups
from dtd_cli.app.locations import EXPERIMENTS
from dtd_cli.app.overrides import _keys
from dtd_cli.config.errors import SettingError
from dtd_cli.networks.files import File
from test_cli import COLUMNS, OTHERS, dtd_run, visible
from test_configs import composed

# What takes long is refused; what is left takes milliseconds.
SMALL = {
    "network.hidden": "[4]", "training.epochs": 1, "inputs.n": 2, "inputs.points": 3,
    "inputs.path": "rows.csv", "inputs.label": "label", "network.path": "net.pt",
    "input_roots.candidates": 20, "roots.candidates": 20,
}  # fmt: skip
DRAWN = {"training": "none", "seed": 3}
RUNNING = [
    {},
    {"inputs": "csv", "network.init": "no_bias"},
    {**DRAWN, "network": "notebook", "inputs": "notebook", "network.seed": 2},
    {**DRAWN, "network": "notebook", "inputs": "csv", "network.seed": 2},
    {**DRAWN, "network": "file", "inputs": "csv"},
    {**DRAWN, "network": "paper", "inputs": "positive", "network.seed": 1},
    {**DRAWN, "inputs": "grid", "network.init": "no_bias"},
    {"experiment": "notebook"},
]
FIXED = ["relevance.max_visits=20000", "plots=none", "progress=false", "hydra.run.dir=run"]
NOT_DRAWN = {"threads", "progress", "plots", "device", "sweep", "relevance.max_visits"}
VALUES = [
    "0", "1", "2", "3", "17", "-1", "0.5", "-0.5", "1e-9", "1e30", "nan", "inf", "-inf", "null",
    "true", "abc", "[]", "[1]", "[0,1]", "[2,3]", "[a]", "{a:1}", "''", "predicted", "relu", "real",
    "box", "nonnegative", "mse", "float32", "no_bias", "missing.csv", "net.pt", "rows.csv", "label",
]  # fmt: skip
WEIGHTS = ["whole.pt", "old.pt", "own.safetensors"]
RUBBISH = [
    "abc", "=", "rule=", "rule=z+=", "~rule", "~seed", "+x=1", "++x=1", "a.b.c=1", "rule=[",
    "seed=${nope}", "seed=${network.seed}", "rule.name=w2", "rule.gamma={}", "network=[mlp]",
    "seed=1,2", "seed=range(3)", "inputs={n: 1}", "relevance=null", "network.hidden=[[1]]",
    "explain.output=", "compare_input_roots=1", "+roots@compare_input_roots.more=random",
    "compare_input_roots.more.sigma=3", "experiment=[notebook]", "--cfg", "x y=1", "é=1",
]  # fmt: skip
MAY_BE_EMPTY = {
    "residual", "distance", "admissible", "same_region", "gradient_norm", "gradient_gap",
    "output_change", "position", "scale", "distance_median", "distance_ratio_median",
    "distance_ratio_largest", "gap", "rank", "parent", "epsilon", "stderr", "relevance_sum_stderr",
    "cosine", "roots", "relevance_at_root", "root", "gradient", "limit_error",
    "limits_at_root", "class", "predicted", "label", "row", "index", "part",
    *(f"unit_{layer}" for layer in range(4)),
}  # fmt: skip
EDGES = [
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1" * 400, "-0.0",
    "5e-324", "1e308", "1e400", "0x10", "1_000", "٣", "1.", "+1", "é漢", "🎈", "'a\tb'",
    "'a b'", "'\x1b[31m'", "\u202e", "\udcff", "../x", "a/b", "~", "$HOME", "%s", "'{'",
    "\\", "'\"'", "'\n'", "'null'", "[nan]", "{é:1}", "[[[[]]]]",
    "${nope:1}", "${oc.env:HOME}", "???", "&a", "*a",
    "x" * 5000,
]  # fmt: skip
"""Values at the ends of what numbers and texts can be."""
TEXTS = {path.stem: path.read_text() for path in EXPERIMENTS.rglob("*.yaml")}


def is_sweep(experiment):
    """Whether an experiment, or one that it builds on, is many runs."""
    text = TEXTS[experiment]
    bases = re.findall(r"^  - (\w+)$", text, re.MULTILINE)
    return "sweeper:" in text or any(is_sweep(base) for base in bases if base in TEXTS)


SWEEPS = set(filter(is_sweep, TEXTS))
"""Experiments that are many runs; they have tests of their own."""
CHOICES = {
    group: (*(option for option in options if option not in SWEEPS), "nonsense")
    for group, options in groups().items()
    if group not in ("logger", "plots")
}


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 4)).state_dict(), "net.pt")
    rows = "\n".join(f"{i},{i % 3},{i % 2 + 0.5},{i % 2}" for i in range(12))
    (tmp_path / "rows.csv").write_text(f"a,b,c,label\n{rows}\n")


@cache
def keys(choices):
    """The settings that there are with these choices."""
    try:
        return sorted(set(_keys(composed(*choices))) - NOT_DRAWN)
    except Exception:  # what cannot be composed is for the program to refuse
        return ["seed"]


@st.composite
def overrides(draw):
    """Something that runs, with a few other choices and values."""
    given = dict(draw(st.sampled_from(RUNNING)))
    drawn = draw(st.dictionaries(st.sampled_from(sorted(CHOICES)), st.integers(0, 99), max_size=2))
    for group, index in drawn.items():
        given[group] = CHOICES[group][index % len(CHOICES[group])]
    known = keys(tuple(f"{key}={value}" for key, value in given.items() if key in CHOICES))
    small = {key: value for key, value in SMALL.items() if key in known}
    values = st.dictionaries(
        st.sampled_from(known), st.sampled_from(VALUES) | st.sampled_from(EDGES), max_size=1
    )
    given = {**small, **given, **draw(values)}
    rubbish = draw(st.sampled_from([[]] * 5 * len(RUBBISH) + [[argument] for argument in RUBBISH]))
    return [*(f"{key}={value}" for key, value in given.items()), *rubbish, *FIXED]


def check_tables(folder):
    """No number is NaN or infinite; empty is only what there is nothing to say of."""
    for path in folder.glob("*.csv"):
        with path.open(newline="") as lines:
            for row in csv.DictReader(lines):
                for column, value in row.items():
                    # Of a root that is not, a solver's distance is infinite.
                    assert value.lower() not in ("nan", "-inf"), (path, row)
                    assert value.lower() != "inf" or path.name == "solutions.csv", (path, row)
                    assert value or column in MAY_BE_EMPTY, (path, row)


def mutated(chance, content):
    """A few bytes of a file changed, taken away or doubled, or its end cut off."""
    content = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 9])):
        # What a file begins with says what it is.
        first = chance.randrange(chance.choice([len(content), min(len(content), 400)]))
        last = first + chance.choice([1, 4, 99])
        part = content[first:last]
        content[first:last] = chance.choice(
            [b"", part * 2, part[::-1], bytes(len(part)), chance.randbytes(len(part))]
        )
    return bytes(content[: chance.choice([len(content)] * 4 + [chance.randrange(len(content))])])


@pytest.mark.parametrize("examples", [100, pytest.param(3000, marks=pytest.mark.exhaustive)])
def test_mutated_files_of_weights(examples):
    """Each is read, or refused in one line."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, "whole.pt")
    torch.save(net.state_dict(), "old.pt", _use_new_zipfile_serialization=False)
    save(network_of(net).network, Path("own.safetensors"))
    files = [(Path(name).suffix, Path(name).read_bytes()) for name in WEIGHTS]
    count = Counter()
    for seed in range(examples):
        chance = random.Random(seed)
        suffix, content = chance.choice(files)
        path = Path(f"net{suffix}")
        path.write_bytes(mutated(chance, content))
        try:
            network = File(seed=0, output_activation=None, path=str(path)).network
        except SettingError as error:
            said = str(error)
        else:
            said = ""
            assert all(layer.weight.isfinite().all() for layer in network.layers)
        assert said == "" or said.startswith("network.path=net.")
        assert len(said.splitlines()) <= 1
        count["refused" if said else "read"] += 1
    assert min(count["read"], count["refused"]) > examples // 20


@pytest.mark.parametrize("examples", [10, pytest.param(200, marks=pytest.mark.exhaustive)])
def test_any_overrides(monkeypatch, capfd, examples):
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(arguments=overrides())
    def holds(arguments):
        shutil.rmtree("run", ignore_errors=True)
        files = set(Path().iterdir())
        status = dtd_run(monkeypatch, *arguments)
        said = capfd.readouterr()
        assert "Traceback" not in said.out + said.err
        if status == 0:
            assert {*COLUMNS, *OTHERS} <= visible("run")
            check_tables(Path("run"))
            assert OmegaConf.load("run/.hydra/config.yaml")
        else:
            assert status == 2, said.err
            assert len(said.err.splitlines()) == 1, said.err
            assert said.err.startswith("dtd-run: ")
            assert set(Path().iterdir()) == files

    holds()
