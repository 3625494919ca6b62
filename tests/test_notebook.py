"""``experiment=notebook``: the numbers of the seed notebook, and what it stops short of."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from dtd_cli.plots import draw
from dtd_cli.records.methods import named
from test_cli import dtd_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        arguments = ["experiment=notebook", "plots=none", "progress=false"]
        assert dtd_run(patch, *arguments, f"hydra.run.dir={path}") == 0
    return path


@pytest.fixture(scope="module")
def relevance(folder):
    table = named(pd.read_csv(folder / "relevance.csv"))
    return {key: part["relevance"].to_numpy() for key, part in table.groupby(["method", "layer"])}


@pytest.fixture(scope="module")
def searched(folder):
    roots = pd.read_csv(folder / "roots.csv")
    roots = roots[(roots["layer"] == 0) & (roots["finder"] == "random")]
    return roots.set_index("neuron")


def test_f(folder):
    inputs = pd.read_csv(folder / "inputs.csv")
    assert inputs["f"].tolist() == pytest.approx([2.9342537], abs=5e-7)


def test_relevance_of_the_hidden_layer(relevance):
    want = [2.1210673, 0.3255214, 0, 0, 0.4876651]
    for method in ("recursive", "recursive, random_refined"):
        assert relevance[method, 1] == pytest.approx(want, abs=5e-7)


def test_roots_of_five_units(searched):
    assert list(searched.index) == [0, 1, 2, 3, 4]
    assert searched["status"][0] == "found"
    assert searched["status"][1] == "not_found"
    assert searched["status"][2] == "inactive"
    assert searched["status"][3] == "inactive"


def test_unit_0_sees_eighteen_candidates_without_relevance(folder):
    """Redrawn: input and candidates one after the other from one generator seeded with 3."""
    import torch
    from safetensors.torch import load_file

    generator = torch.Generator().manual_seed(3)
    x = (0.25 * torch.randn(1, 3, generator=generator) + 3).clamp(min=0)
    candidates = x + torch.randn(1000, 3, generator=generator)
    net = load_file(folder / "network.safetensors")
    inputs = pd.read_csv(folder / "inputs.csv")
    assert inputs[["x1", "x2", "x3"]].to_numpy()[0] == pytest.approx(x[0].tolist(), abs=0)

    def hidden_relevance(points):
        """z+ of the output unit: its root and slope, as the notebook writes them down."""
        a = (points @ net["0.weight"].T + net["0.bias"]).relu()
        z = a @ net["2.weight"].T + net["2.bias"]
        positive = a * (net["2.weight"] >= 0)
        total = positive @ net["2.weight"].T
        return (positive * net["2.weight"] * z / total.where(total != 0, 1)).where(z > 0, 0)

    relevance = hidden_relevance(candidates)
    assert int((relevance[:, 0] == 0).sum()) == 18
    assert int((relevance[:, 1] == 0).sum()) == 0


def test_the_notebooks_roots_distribute_nothing(relevance):
    """They lie inside the zero set, where the slope is zero."""
    assert (relevance["recursive", 0] == 0).all()


def test_refined_roots_do(relevance):
    refined = relevance["recursive, random_refined", 0]
    assert np.isfinite(refined).all()
    assert abs(refined).max() > 1e-3


def test_the_closed_form_stands_beside_every_search(folder):
    roots = pd.read_csv(folder / "roots.csv")
    first = roots[roots["layer"] == 0]
    assert {"random", "closed_form", "random_refined"} == set(first["finder"])
    assert len(first.drop_duplicates(["neuron", "finder"])) == 15
    assert set(first["neuron"]) == set(range(5))


def test_its_pictures(tmp_path, monkeypatch):
    """Two are drawn; that all can be is tested elsewhere."""
    monkeypatch.chdir(tmp_path)
    few = ["ledger", "strategies"]
    monkeypatch.setattr("dtd_cli.plots.draw", partial(draw, names=few))
    arguments = ["experiment=notebook", "progress=false", "hydra.run.dir=run"]
    assert dtd_run(monkeypatch, *arguments) == 0
    assert {path.stem for path in (tmp_path / "run" / "plots").glob("*.png")} == {*few}
