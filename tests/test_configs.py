"""Every option of every config group: composed, read, run, and explained."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from dtd.roots import ROOT_FINDERS
from dtd.rules import RULES
from dtd_cli.app.choices import groups
from dtd_cli.app.locations import CONF, ExperimentsSearchPath
from dtd_cli.config.config import read
from test_cli import dtd_run
from test_onnx import chained, node

OPTIONS = [(group, option) for group, options in groups().items() for option in options]
SMALL = ["plots=none", "progress=false", "hydra.run.dir=run"]
DIGITS = ["network.hidden=[8]", "training.epochs=2", "inputs.n=2"]
DRAWN = ["training=none", "inputs=positive", "inputs.n=2"]
MADE_SMALL = {
    ("network", "paper"): DRAWN,
    ("network", "notebook"): DRAWN,
    ("network", "maximum"): DRAWN,
    ("network", "file"): [*DRAWN, "network.path=net.pt"],
    ("network", "onnx"): [*DRAWN, "network.path=net.onnx"],
    ("network", "module"): [*DRAWN, "network.target=own_module:make"],
    ("training", "none"): ["network.hidden=[4]", "inputs.n=2"],
    ("inputs", "csv"): ["training=none", "network=notebook", "inputs.path=rows.csv"],
    ("inputs", "positive"): ["training=none", "network=notebook", "inputs.n=2"],
    ("inputs", "grid"): [
        "training=none", "network.hidden=[8]", "network.init=no_bias", "inputs.points=3", "seed=1",
    ],
    ("inputs", "notebook"): ["training=none", "network=notebook"],
    ("roots", "milp"): ["network.hidden=[]", "training.epochs=2", "inputs.n=2"],
    ("input_roots", "milp"): ["network.hidden=[]", "training.epochs=2", "inputs.n=2"],
    ("rule", "zB"): ["network.hidden=[]", "training.epochs=2", "inputs.n=2"],
}  # fmt: skip

FEWER = {
    "random": ["candidates=20", "steps=5"],
    "interpolation": ["directions=20"],
    "metropolis": ["chains=2", "steps=5"],
    "hit_and_run": ["chains=2", "steps=5"],
}


def overrides(group, option):
    """The option, small; random searches have fewer candidates."""
    small = MADE_SMALL.get((group, option), DIGITS)
    fewer = [f"{group}.{setting}" for setting in FEWER.get(option, [])]
    both = ("roots", "input_roots") if option == "prescribed" else ()
    # Prescribed roots are for all layers, and have no default.
    fewer += [f"{name}=prescribed" for name in both]
    fewer += [f"{name}.target={[1] * 64}" for name in both]
    quick = [setting for setting in SMALL[:2] if not setting.startswith(f"{group}=")]
    return [f"{group}={option}", *small, *fewer, *quick]


# Files that change the settings of another option, whose name they keep.
VARIANTS = {"adam_cosine": "adam"}


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 4)).state_dict(), "net.pt")
    onnx.save(chained((3,), node("Gemm", np.eye(3, 4, dtype=np.float32))), "net.onnx")
    code = "from torch import nn\ndef make():\n    return nn.Linear(3, 4)\n"
    (tmp_path / "own_module.py").write_text(code)
    (tmp_path / "rows.csv").write_text("a,b,c\n3,3,3\n2.5,3,3.5\n")


def composed(*arguments, hydra=False):
    Plugins.instance().register(ExperimentsSearchPath)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(arguments), return_hydra_config=hydra)


ELSEWHERE = ("experiment", "launch", "logger", "input_rule", "input_roots")
"""All experiments run in test_experiments.py, launchers in test_sweeps.py and loggers in
test_hydra.py; the input layer has each option in the run in which all layers have it."""
RUN = [pair for pair in OPTIONS if pair[0] not in ELSEWHERE]


def check(config, group, option):
    """The configuration has the option, and is read as what the option is."""
    typed = read(config)
    if group not in ("launch", "logger"):
        assert config[group]["name"] == VARIANTS.get(option, option)
        classes = {**RULES, **ROOT_FINDERS}
        if option in classes:
            assert type(getattr(typed, group)) is classes[option]


@pytest.mark.parametrize(
    ("group", "option"),
    [pair for pair in OPTIONS if pair not in RUN and pair[0] != "experiment"],
)
def test_every_option_is_read(group, option):
    check(composed(*overrides(group, option)), group, option)


@pytest.mark.parametrize(("group", "option"), RUN)
def test_every_option_runs(tmp_path, monkeypatch, group, option, capfd):
    arguments = overrides(group, option)
    if (below := f"input_{group}") in ELSEWHERE:
        fewer = (f"{below}.{setting}" for setting in FEWER.get(option, []))
        arguments = dict.fromkeys([*arguments, f"{below}={option}", *fewer])
    status = dtd_run(monkeypatch, *arguments, SMALL[2])
    assert status == 0, capfd.readouterr().err
    assert (tmp_path / "run" / "DONE").exists()
    check(OmegaConf.load("run/.hydra/config.yaml"), group, option)


def test_every_option_that_the_program_knows_has_a_file():
    assert set(groups()["rule"]) == set(RULES)
    assert set(groups()["roots"]) == set(ROOT_FINDERS)


def test_the_input_layer_has_the_same_choice():
    assert groups()["rule"] == groups()["input_rule"]
    assert groups()["roots"] == groups()["input_roots"]
    # Prescribed roots are for all layers, not for f alone.
    assert set(groups()["taylor_roots"]) == set(groups()["roots"]) - {"prescribed"}
    for group in ("rule", "roots"):
        for option in groups()[group]:
            config = composed(f"{group}={option}", f"input_{group}={option}")
            first, second = (
                OmegaConf.to_container(config[name]) for name in (group, f"input_{group}")
            )
            assert first == second


def test_the_input_layer_follows_unless_it_is_told():
    typed = read(composed("rule=w2", "roots=random"))
    assert typed.input_rule is typed.rule
    assert typed.input_roots is typed.roots
    typed = read(composed("rule=w2", "input_rule=gamma", "input_rule.gamma=0.25"))
    assert typed.rule == RULES["w2"]()
    assert typed.input_rule == RULES["gamma"](0.25)


@pytest.mark.parametrize("where", ["--config-dir=mine", "hydra.searchpath=[file://mine]"])
def test_experiments_of_ones_own(tmp_path, monkeypatch, capfd, where):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    own = "# @package _global_\ndefaults:\n  - override /network: paper\nseed: 4\n"
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text(own)
    assert dtd_run(monkeypatch, where, "experiment=own", "--cfg", "job") == 0
    shown = OmegaConf.create(capfd.readouterr().out)
    assert (shown.network.name, shown.seed) == ("paper", 4)
    assert dtd_run(monkeypatch, where, "experiment=owm") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("dtd-run: experiment=owm: allowed are ")
    assert " own, " in line


def test_what_is_promised_of_the_defaults():
    config = composed()
    assert OmegaConf.to_container(config.network.hidden) == [32, 16]
    assert config.network.seed == config.seed == 0
    assert config.dtype == "float64"
    assert config.device == "auto"
    assert config.explain.output == "predicted"
    assert list(config.relevance.methods) == ["recursive", "train_free", "gradient_x_input"]
    assert config.taylor_roots.name == "milp"
    assert composed("seed=5").network.seed == 5


def test_help_names_every_option(monkeypatch, capfd):
    assert dtd_run(monkeypatch, "--help") in (0, None)
    # Hydra copies it for every group, which took more than half of the time.
    assert copy.deepcopy(ConfigStore.instance()) is ConfigStore.instance()
    words = set(capfd.readouterr().out.replace(",", " ").replace("=", " ").split())
    missing = [(group, option) for group, option in OPTIONS if option not in words]
    assert not missing
    assert set(groups()) <= words
