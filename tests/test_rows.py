"""Rows that are explained: which they are, what is known of them, and in what units."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dtd_cli.plots.tables import Tables
from dtd_cli.records.columns import INPUT_TEXTS
from test_cli import dtd_run

SMALL = [
    "inputs=csv", "inputs.path=rows.csv", "inputs.label=kind", "network.hidden=[6]",
    "network.output_activation=linear", "training.epochs=12", "training.learning_rate=0.05",
    "training.nonpositive_biases=false", "plots=none", "progress=false", "hydra.run.dir=run",
]  # fmt: skip
CLASSES = ["None", "left", "right"]


@pytest.fixture(autouse=True)
def _rows(tmp_path, monkeypatch):
    """90 rows of three classes, one of which has a name that pandas takes for a missing value."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = 10 + 3 * rng.standard_normal((90, 2))
    kind = np.select([x[:, 0] < 9, x[:, 0] > 11], ["left", "right"], "None")
    frame = pd.DataFrame({"id": [f"p{i}" for i in range(90)], "f": x[:, 0], "size": x[:, 1]})
    frame.assign(kind=kind).to_csv("rows.csv", index=False)


def run(monkeypatch, *settings):
    assert dtd_run(monkeypatch, *SMALL, "inputs.index=id", *settings) == 0
    return pd.read_csv(
        "run/inputs.csv", dtype=dict.fromkeys(INPUT_TEXTS, str), keep_default_na=False
    )


def test_every_row_can_be_found_again(monkeypatch):
    data = pd.read_csv("rows.csv", keep_default_na=False)
    inputs = run(monkeypatch)
    rows = inputs["row"].astype(int)
    found = data.iloc[rows]
    assert inputs["index"].tolist() == found["id"].tolist()
    assert inputs["label"].tolist() == found["kind"].tolist()
    assert inputs["f.1"].tolist() == found["f"].tolist()
    assert inputs["size"].tolist() == found["size"].tolist()
    assert set(inputs["part"]) == {"test"}
    # As docs/settings.md says.
    assert rows.tolist() == np.random.default_rng(0).permutation(90)[:18].tolist()
    assert inputs["class"].tolist() == [CLASSES[output] for output in inputs["output"]]
    right = (inputs["predicted"] == inputs["label"]).mean()
    assert right == json.loads(Path("run/summary.json").read_text())["training"]["test_accuracy"]
    tables = Tables.read(Path("run"))
    assert tables.features == ["f", "size"]
    first = tables.explained[0]
    explained = inputs[inputs["status"] == "explained"].iloc[0]
    assert first.title.startswith(f"sample {first.number}, row {explained['row']}, class ")


def test_rows_that_are_named(monkeypatch):
    everything = run(monkeypatch, "training.test_fraction=0").set_index("row")
    inputs = run(monkeypatch, "training.test_fraction=0", "inputs.rows=[17,3,80]")
    assert inputs["row"].tolist() == ["17", "3", "80"]
    assert set(inputs["part"]) <= {"train", "validation"}
    assert inputs["f"].tolist() == everything.loc[["17", "3", "80"], "f"].tolist()


@pytest.mark.parametrize("how", ["random", "wrong", "highest", "by_class"])
def test_samples_that_are_chosen(monkeypatch, how):
    first = run(monkeypatch, "inputs.n=18")
    inputs = run(monkeypatch, "inputs.n=3", f"explain.samples={how}")
    rows = inputs["row"].tolist()
    assert set(rows) <= set(first["row"])
    if how == "wrong":
        wrong = first[first["predicted"] != first["label"]]
        assert rows == wrong["row"].tolist()[:3] != []
    if how == "highest":
        assert inputs["f"].tolist() == sorted(first["f"], reverse=True)[:3]
    if how == "by_class":
        wanted = [first[first["label"] == name]["row"].iloc[0] for name in CLASSES]
        assert rows == wanted
    if how == "random":
        assert rows != first["row"].tolist()[:3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["inputs.rows=[90]"], "inputs.rows=[90]: allowed are rows from 0 to 89"),
        (["inputs.rows=[3,3]"], "inputs.rows=[3,3]: "),
        (["inputs.rows=[-1]"], "inputs.rows=[-1]: "),
        (["inputs.rows=[]"], "inputs.rows=[]: "),
        (["inputs.rows=[1]", "explain.samples=random"], "explain.samples=random: inputs.rows"),
        (["explain.samples=worst"], "explain.samples=worst: allowed are first, random, wrong"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be(monkeypatch, capfd, settings, message):
    assert dtd_run(monkeypatch, *SMALL, "inputs.index=id", *settings) == 2
    assert f"dtd-run: {message}" in capfd.readouterr().err


def test_rows_without_labels(monkeypatch, capfd):
    settings = ["inputs=csv", "inputs.path=rows.csv", "inputs.drop=[id,kind]", "training=none"]
    settings += ["progress=false", "plots=none", "explain.samples=wrong"]
    assert dtd_run(monkeypatch, *settings) == 2
    assert "explain.samples=wrong: these inputs have no labels" in capfd.readouterr().err


def test_rows_of_inputs_that_are_drawn(monkeypatch, capfd):
    settings = ["network=notebook", "training=none", "inputs=notebook", "explain.samples=random"]
    assert dtd_run(monkeypatch, *settings, "progress=false", "plots=none") == 2
    assert "explain.samples=random: these inputs are drawn" in capfd.readouterr().err


def test_none_is_wrong(monkeypatch, capfd):
    data = pd.read_csv("rows.csv", keep_default_na=False)
    data["f"] = data["kind"].map({"left": 10.0, "None": 0.0, "right": -10.0})
    data.to_csv("rows.csv", index=False)
    settings = ["explain.samples=wrong", "training.epochs=60"]
    assert dtd_run(monkeypatch, *SMALL, "inputs.index=id", "inputs.drop=[size]", *settings) == 2
    assert "explain.samples=wrong: none of the 18 rows" in capfd.readouterr().err


def test_standardised_rows_keep_their_units(monkeypatch):
    inputs = run(monkeypatch, "inputs.standardize=true", "rule=w2")
    data = pd.read_csv("rows.csv", keep_default_na=False)
    x = data[["f", "size"]].to_numpy()
    np.testing.assert_array_equal(inputs[["f.1", "size"]], x[inputs["row"].astype(int)])
    # The network sees them less the mean, and divided by the deviation, of what it trains on.
    order = np.random.default_rng(0).permutation(90)
    train = x[order[18 + 8 :]]
    mean, deviation = train.mean(0), train.std(0)
    relevance, points = pd.read_csv("run/relevance.csv"), pd.read_csv("run/root_points.csv")
    of_inputs = relevance[(relevance["layer"] == 0) & (relevance["method"] == "recursive")]
    shown = of_inputs.pivot(index="sample", columns="neuron", values="activation")
    np.testing.assert_allclose(shown, inputs[["f.1", "size"]].to_numpy()[shown.index], rtol=1e-12)
    from safetensors.torch import load_file

    weights = load_file("run/network.safetensors")
    points = points[(points["layer"] == 0) & (points["method"] == "recursive")]
    wide = points.pivot(index=["sample", "neuron"], columns="index", values="value")
    z = (torch.tensor((wide.to_numpy() - mean) / deviation) @ weights["0.weight"].T) + weights[
        "0.bias"
    ]
    own = z[torch.arange(len(wide)), torch.tensor(wide.index.get_level_values("neuron"))]
    # w2 goes to the zero of the unit.
    np.testing.assert_allclose(own, 0, atol=1e-9)


def test_standardised_rows_without_any_root(monkeypatch):
    run(monkeypatch, "inputs.standardize=true", "relevance.methods=[train_free]")
    assert pd.read_csv("run/root_points.csv").empty


def test_a_map_of_standardised_rows(monkeypatch):
    inputs = run(monkeypatch, "inputs.standardize=true", "rule=w2", "inputs.n=4")
    table = pd.read_csv("run/regions.csv")
    sample = inputs.set_index("sample").loc[table["sample"][0]]
    data = pd.read_csv("rows.csv")[["f", "size"]]
    assert table["x_i"].max() > data["f"].mean() > table["x_i"].min()
    # f is affine in a region, with the gradient that stands there.
    for _, cell in table.groupby("region"):
        steps = cell[["x_i", "x_k"]].to_numpy() - cell[["x_i", "x_k"]].to_numpy()[0]
        gradient = cell[["gradient_i", "gradient_k"]].to_numpy()[0]
        np.testing.assert_allclose(cell["f"] - cell["f"].iloc[0], steps @ gradient, atol=1e-9)
    inside = table["x_i"].min() < sample["f.1"] < table["x_i"].max()
    assert inside
    assert table["x_k"].min() < sample["size"] < table["x_k"].max()


def test_a_value_that_the_dtype_cannot_hold(monkeypatch, capfd):
    data = pd.read_csv("rows.csv", keep_default_na=False)
    data.loc[7, "size"] = 1e300
    data.to_csv("rows.csv", index=False)
    arguments = [*SMALL, "inputs.index=id"]
    assert dtd_run(monkeypatch, *arguments) == 2
    said = capfd.readouterr().err
    assert (
        "inputs: row 7 (the first is 0), column 'size' is 1e+300, which leaves the range of float32"
        in said
    )
    assert "inputs.standardize=true" in said
    alone = [a for a in arguments if "training" not in a] + ["training=none", "dtype=float32"]
    assert dtd_run(monkeypatch, *alone) == 2
    assert "allowed are smaller numbers, or dtype=float64" in capfd.readouterr().err


def test_a_target_of_numbers(monkeypatch, capfd):
    data = pd.read_csv("rows.csv", keep_default_na=False).drop(columns="kind")
    data.assign(kind=data["f"] + 0.25).to_csv("rows.csv", index=False)
    assert dtd_run(monkeypatch, *SMALL, "inputs.index=id") == 2
    said = capfd.readouterr().err
    assert "training.loss=cross_entropy: the labels are numbers" in said
    assert "training.loss=mse" in said
    inputs = run(monkeypatch, "training.loss=mse")
    assert set(inputs["class"]) == set(inputs["predicted"]) == {""}
    data.assign(kind=range(90)).to_csv("rows.csv", index=False)
    assert dtd_run(monkeypatch, *SMALL, "inputs.index=id") == 2
    assert "90 different values, more than 50 classes; " in capfd.readouterr().err
