"""docs/extending.md, done as it says, in a copy of the program that is then run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.datasets import load_wine
from torch import nn

import dtd
from dtd.domains import Domain
from dtd.networks.network import Layer, Network
from dtd.regions.region import Regions
from dtd.roots import ClosedForm
from dtd.roots.contract import RootProblem

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text()
SMALL = ["plots=none", "progress=false", "inputs.n=5"]


def blocks(*kinds):
    """The code blocks of these kinds, each with the path that stands before it."""
    parts = re.split(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return [
        (re.search(r"(?:`([\w./]+)`:)?\s*$", before)[1], content)
        for before, kind, content in zip(parts[::3], parts[1::3], parts[2::3], strict=False)
        if kind in kinds
    ]


def changed(text, change):
    """The text after a change whose hunks are found by what they say."""
    for hunk in change.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        assert text.count(before) == 1, f"not once in the program:\n{before}"
        text = text.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
    return text


ONE_BY_ONE = """
import json, sys
from dtd_cli.app import command
statuses = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["dtd-run", *arguments]
    statuses.append(command._status())
print(json.dumps(statuses))
"""
REFUSED = ["roots=clipped", "roots.share=2"]


BEING_WRITTEN = shutil.ignore_patterns("*.pyc.*")
"""What is compiled by another process now."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of the program with the changes of the page."""
    folder = tmp_path_factory.mktemp("extending")
    for part in ("src", "conf", "experiments"):
        # With what is compiled; Python sees what has changed since.
        shutil.copytree(REPOSITORY / part, folder / part, ignore=BEING_WRITTEN)
    for path, content in blocks("python", "yaml"):
        assert not (folder / path).exists()
        (folder / path).write_text(content)
    for path, change in blocks("diff"):
        (folder / path).write_text(changed((folder / path).read_text(), change))
    return folder


@pytest.fixture(scope="module")
def answer(program):
    """What the commands of the page and one that is refused say, in one process of that copy."""
    shown = [shlex.split(command) for _, text in blocks("") for command in text.splitlines()]
    assert {command for command, *_ in shown} == {"dtd-run"}
    arguments = [
        [*given, *SMALL, *["training.epochs=2"] * ("training=none" not in given)]
        for given in [*(rest for _, *rest in shown), REFUSED]
    ]
    answer = python(program, ONE_BY_ONE, json.dumps(arguments))
    assert answer.returncode == 0, answer.stderr
    *_, statuses = answer.stdout.splitlines()
    assert json.loads(statuses) == [*[0] * len(shown), 2], answer.stderr
    return answer


@pytest.fixture(scope="module")
def runs(program, answer):
    """The folder in which the commands of the page ran."""
    return program


def python(folder, code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def table(folder, run, name):
    return pd.read_csv(folder / "results" / run / name)


def test_every_file_and_change_has_its_path():
    assert all(path for path, _ in blocks("python", "yaml", "diff"))
    assert len(blocks("")) == 3


def test_a_rule_from_python():
    (_, code), _ = blocks("py")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.ReLU())
    model[2].bias.data.fill_(1)
    here = {"model": model, "x": torch.rand(2, 4)}
    exec(code, here)
    rule = here["MyRule"]()
    layer = Layer(model[0].weight.detach(), model[0].bias.detach())
    problem = RootProblem(
        here["x"], layer, None, Domain.real(4), rule, torch.Generator(),
        Regions(Network((layer,)), 0, 1, torch.arange(6)),
    )  # fmt: skip
    roots = ClosedForm()(problem)
    change = (problem.anchors.unsqueeze(1) - roots.points).abs()
    # Every input changes alike, and z_j vanishes.
    want = layer.preactivation(problem.anchors) / layer.weight.abs().sum(1)
    torch.testing.assert_close(
        change[roots.contributes], want.relu().unsqueeze(2).expand_as(change)[roots.contributes]
    )
    assert roots.contributes.any()
    assert (here["result"].attribution != 0).any()


def test_a_factor_rule_from_python():
    """That of the page is ``gamma`` with γ = 1."""
    (_, first), (_, code) = blocks("py")
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    here = {"model": model, "x": torch.rand(2, 4, generator=torch.Generator().manual_seed(0))}
    exec(first + code, here)
    want = dtd.DTD(model, rule=dtd.rules.Gamma(1)).explain(here["x"], target=2)
    torch.testing.assert_close(here["result"].attribution, want.attribution)


def test_a_rule(runs):
    """``w1`` shares relevance by |w|, and its roots are the nearest by the largest change."""
    weights = load_file(runs / "results" / "w1" / "network.safetensors")
    share = np.abs(weights["0.weight"])
    rows = table(runs, "w1", "relevance.csv").query("method == 'train_free' and sample == 0")
    lower, upper = (rows.query(f"layer == {layer}")["relevance"].to_numpy() for layer in (0, 1))
    np.testing.assert_allclose(lower, upper @ (share / share.sum(1, keepdims=True)), rtol=1e-12)
    roots = table(runs, "w1", "roots.csv").query("layer == 0 and status != 'inactive'")
    points = table(runs, "w1", "root_points.csv").query("layer == 0")
    points = points.pivot(index=["sample", "neuron"], columns="index", values="value")
    anchors = table(runs, "w1", "inputs.csv").filter(regex=r"^x\d+$").to_numpy()
    assert len(points) == len(roots) > 10
    for (sample, neuron), root in points.iterrows():
        w, a = weights["0.weight"][neuron], anchors[sample]
        z = w @ a + weights["0.bias"][neuron]
        np.testing.assert_allclose(w @ (a - root), z, rtol=1e-12)
        assert np.abs(a - root).max() == pytest.approx(z / np.abs(w).sum(), rel=1e-12)


def test_a_root_strategy(runs):
    """``clipped`` stays in the region, where the closed form does not, and never goes beyond it."""
    rows = table(runs, "clipped", "roots.csv").query("layer == 0 and status != 'inactive'")
    clipped, closed = (
        rows[rows["finder"] == finder].set_index(["sample", "neuron"])
        for finder in ("clipped", "closed_form")
    )
    assert clipped["same_region"].astype(bool).all()
    assert clipped["admissible"].astype(bool).all()
    assert (clipped["distance"] <= closed["distance"] * (1 + 1e-12)).all()
    inside = closed["same_region"].astype(bool) & closed["admissible"].astype(bool)
    assert 0 < inside.sum() < len(inside)
    np.testing.assert_allclose(clipped["distance"][inside], closed["distance"][inside], rtol=1e-12)
    assert (clipped["distance"][~inside] < closed["distance"][~inside]).all()


def test_a_strategys_setting_is_checked(answer):
    assert answer.stderr == "dtd-run: roots.share=2.0: allowed is any number > 0 and <= 1\n"


def test_a_data_set(runs):
    """Rows of the data under their features' names, explained with the box that it brings."""
    features = table(runs, "wine", "inputs.csv")[load_wine().feature_names].to_numpy()
    data = load_wine().data / load_wine().data.max(0)
    assert len(features) == 5
    for row in features:
        assert np.abs(data - row).max(1).min() < 1e-6


def test_the_help_names_them(program):
    said = python(program, "from dtd_cli.app.command import main; main()", "--help").stdout
    assert {"w1", "clipped", "wine"} <= set(said.split())
