"""``network=module``: the user's own code, found where the command was given."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from dtd_cli.networks.digest import digest_of_module
from dtd_cli.networks.module import _made, _network
from test_cli import dtd_run

CODE = """
import torch
from torch import nn

here = 3
nothing = None

def make():
    torch.manual_seed(4)
    module = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))
    module[3].bias.data += 3
    return module.eval()

class Own:
    make = make

def training():
    return make().train()

def tanh():
    return nn.Sequential(make(), nn.Tanh())

def raising():
    raise KeyError("weights\\nare not here")

def ending():
    raise SystemExit(3)

def number():
    return 3

def with_argument(width):
    return nn.Linear(width, 2)

def images():
    torch.manual_seed(4)
    layers = [nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)]
    module = nn.Sequential(*layers).eval()
    module[4].bias.data += 3
    return module

def ten():
    torch.manual_seed(4)
    return nn.Linear(64, 10)

def from_file():
    module = nn.Linear(3, 2)
    module.load_state_dict(torch.load("weights.pt", weights_only=True))
    return module
"""


@pytest.fixture(autouse=True)
def name(tmp_path, monkeypatch):
    """The name of the user's module, another one in each test: Python keeps what it imported."""
    monkeypatch.chdir(tmp_path)
    name = f"mine_{tmp_path.name}"
    Path(f"{name}.py").write_text(CODE)
    Path(f"broken_{name}.py").write_text("import no_such_package_at_all\n")
    Path(f"exiting_{name}.py").write_text("import sys\nsys.exit('used as a script')\n")
    Path("rows.csv").write_text("a,b,c\n3,1,2\n1,1,1\n")
    with torch.random.fork_rng():
        yield name


def command(target, *more):
    return ["network=module", f"network.target={target}", "training=none", "inputs=csv",
            "inputs.path=rows.csv", "plots=none", "progress=false", *more]  # fmt: skip


@pytest.mark.parametrize("function", ["make", "Own.make"])
def test_a_module_of_ones_own(name, monkeypatch, function):
    path = list(sys.path)
    assert dtd_run(monkeypatch, *command(f"{name}:{function}", "hydra.run.dir=run")) == 0
    assert sys.path == path
    module = sys.modules[name].make()
    f = module(torch.tensor([[3.0, 1, 2], [1, 1, 1]])).amax(1).tolist()
    assert pd.read_csv("run/inputs.csv")["f"].tolist() == pytest.approx(f, rel=1e-6)
    assert len(json.loads(Path("run/environment.json").read_text())["network_sha256"]) == 64


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{}", "allowed is package.module:function"),
        ("{}:", "allowed is package.module:function"),
        (":make", "allowed is package.module:function"),
        ("no_such_module:make", "cannot be imported from .*ModuleNotFoundError"),
        ("..:make", "cannot be imported"),
        ("broken_{}:make", "cannot be imported.*no_such_package_at_all"),
        ("exiting_{}:make", "cannot be imported.*SystemExit: used as a script"),
        ("{}:absent", "has no absent"),
        ("{}:here", "here is of the type int"),
        ("{}:nothing", "nothing is of the type NoneType"),
        ("{}:raising", "raising raised: KeyError: .*are not here"),
        ("{}:ending", "ending raised: SystemExit: 3"),
        ("{}:number", "it returns 3"),
        ("{}:with_argument", "with_argument raised: TypeError.*width"),
        ("{}:tanh", r"1 \(Tanh\): it is no layer"),
        ("{}:training", r"1 \(BatchNorm1d\): it is in training mode"),
    ],
)
def test_targets_that_cannot_be(name, monkeypatch, capfd, target, said):
    target = target.format(name)
    assert dtd_run(monkeypatch, *command(f"'{target}'", "hydra.run.dir=run")) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"dtd-run: network.target={target}: ")
    with pytest.raises(ValueError, match=said):
        raise ValueError(line)
    assert not Path("run/inputs.csv").exists()


def test_the_shape_of_the_data_where_weights_leave_it_open(name, monkeypatch, capfd):
    pixels = torch.rand(2, 15, generator=torch.Generator().manual_seed(0))
    columns = [f"p{n}" for n in range(15)]
    pd.DataFrame(pixels.numpy(), columns=columns).to_csv("rows.csv", index=False)
    image, run = "inputs.image=[3,5]", "hydra.run.dir=run"
    target = f"{name}:images"
    methods = "relevance.methods=[train_free]"
    assert dtd_run(monkeypatch, *command(target, image, run, methods)) == 0
    f = sys.modules[name].images()(pixels.view(2, 1, 3, 5)).amax(1).tolist()
    assert pd.read_csv("run/inputs.csv")["f"].tolist() == pytest.approx(f, rel=1e-6)
    capfd.readouterr()
    assert dtd_run(monkeypatch, *command(target)) == 2
    assert "15 numbers and no images; allowed are inputs=mnist" in capfd.readouterr().err
    assert dtd_run(monkeypatch, *command(target, "inputs.image=[1,15]")) == 2
    assert "with the data's images of 1 x 1 x 15: 0 (Conv2d): its window" in capfd.readouterr().err


def folders(name, monkeypatch):
    """The folders of a sweep, each time as in a process of its own."""
    _made.cache_clear()
    _network.cache_clear()
    arguments = command(f"{name}:from_file", "-m", "sweep=s", "seed=0", "report=false")
    assert dtd_run(monkeypatch, *arguments) == 0
    return {path.name for path in Path("outputs/sweeps/s").iterdir() if path.is_dir()}


def test_a_run_says_that_it_trains_what_was_given(name, monkeypatch, capfd):
    def said(*training):
        arguments = [f"network.target={name}:images", "inputs=digits", "inputs.n=1", "plots=none"]
        arguments += ["relevance.methods=[gradient_x_input]", "progress=false", *training]
        assert dtd_run(monkeypatch, "network=module", *arguments) == 0
        return capfd.readouterr().out

    line = "the weights that the network came with were trained further; training=none explains"
    assert line not in said("training=none")
    assert line in said("training.epochs=1", "network.target=" + f"{name}:ten")


def test_other_weights_are_another_network():
    """Also where a network is not known before its data."""
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    first = digest_of_module(module)
    assert digest_of_module(module) == first
    module[0].bias.data += 1
    assert digest_of_module(module) != first
    assert digest_of_module(nn.Sequential(module[0])) != first


def test_other_weights_are_another_run(name, monkeypatch):
    module = nn.Linear(3, 2)
    module.bias.data += 9
    torch.save(module.state_dict(), "weights.pt")
    first = folders(name, monkeypatch)
    assert len(first) == 1
    assert folders(name, monkeypatch) == first
    module.bias.data += 1
    torch.save(module.state_dict(), "weights.pt")
    assert len(folders(name, monkeypatch)) == 2
