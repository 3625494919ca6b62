"""``explain.output``: by index, by the name of a class, by the label, and pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from cases import positive_input, random_network
from dtd.explainer.targets import targets
from dtd.networks.files.state_dicts import save
from dtd.networks.network import Network
from test_cli import dtd_run

LABELS = ["oak", "ash", "elm", "oak"]
"""In sorted order ash is output 0, elm 1 and oak 2."""


@pytest.fixture(autouse=True)
def y(tmp_path, monkeypatch):
    """The outputs of the samples, (4, 3), of which a table and a file are in the folder."""
    monkeypatch.chdir(tmp_path)
    net = random_network((3, 4, 3), 5, "positive", output_relu=False)
    save(net, tmp_path / "net.safetensors")
    x = positive_input(3, 1, n=4)
    frame = pd.DataFrame(x.numpy(), columns=["a", "b", "c"]).assign(tree=LABELS)
    frame.to_csv("x.csv", index=False)
    return net.forward(x)


def run(monkeypatch, output, *more):
    return dtd_run(
        monkeypatch, "network=file", "network.path=net.safetensors", "training=none",
        "network.output_activation=linear", "inputs=csv", "inputs.path=x.csv", "inputs.label=tree",
        f"explain.output={output}", "relevance.methods=[train_free]", "plots=none",
        "progress=false", "hydra.run.dir=run", *more,
    )  # fmt: skip


ONE = {"1": 1, "ash": 0, "elm": 1, "oak": 2}
PAIRS = {"[0,2]": (0, 2), "[oak,ash]": (2, 0), "[elm,2]": (1, 2)}


@pytest.mark.parametrize(("output", "index"), ONE.items(), ids=ONE)
def test_one_output(y, monkeypatch, output, index):
    assert run(monkeypatch, output) == 0
    inputs = pd.read_csv("run/inputs.csv")
    assert (inputs["output"] == index).all()
    np.testing.assert_array_equal(inputs["f"], y[:, index])


@pytest.mark.parametrize(("output", "pair"), PAIRS.items(), ids=PAIRS)
def test_a_pair_is_a_difference(y, monkeypatch, output, pair):
    assert run(monkeypatch, output, "relevance.methods=[recursive,train_free]") == 0
    first, second = pair
    inputs = pd.read_csv("run/inputs.csv")
    assert (inputs["output"] == f"{first}-{second}").all()
    np.testing.assert_allclose(inputs["f"], y[:, first] - y[:, second], rtol=1e-12)
    relevance = pd.read_csv("run/relevance.csv").query("method == 'train_free'")
    top = relevance.query("layer == 2").pivot(index="sample", columns="neuron", values="relevance")
    np.testing.assert_array_equal(top[first], y[:, first])
    np.testing.assert_array_equal(top[second], -y[:, second])
    kept = relevance.query("layer == 0").groupby("sample")["relevance"].sum()
    np.testing.assert_allclose(kept, inputs["f"], rtol=1e-9)


def test_the_label_of_each_sample(y, monkeypatch):
    assert run(monkeypatch, "label", "plots=all") == 0
    inputs = pd.read_csv("run/inputs.csv")
    wanted = [2, 0, 1, 2]
    assert inputs["output"].tolist() == wanted
    np.testing.assert_array_equal(inputs["f"], y[torch.arange(4), wanted])


def test_the_label_of_samples_that_training_did_not_see(monkeypatch):
    table = pd.concat([pd.read_csv("x.csv")] * 5)
    table.to_csv("x.csv", index=False)
    arguments = ["inputs=csv", "inputs.path=x.csv", "inputs.label=tree", "network.hidden=[3]",
                 "network.output_activation=linear", "training.epochs=1", "plots=none",
                 "explain.output=label", "progress=false", "hydra.run.dir=run"]  # fmt: skip
    assert dtd_run(monkeypatch, *arguments) == 0
    inputs = pd.read_csv("run/inputs.csv")
    classes = table.assign(number=table["tree"].map({"ash": 0, "elm": 1, "oak": 2}))
    classes = classes.drop_duplicates().set_index("a")["number"]
    nearest = [classes.iloc[np.abs(classes.index - a).argmin()] for a in inputs["a"]]
    assert inputs["output"].tolist() == nearest


def test_a_setting_of_one_swept_option_only(monkeypatch, capfd):
    """What is said is which option has no such setting."""
    assert dtd_run(monkeypatch, "-m", "network=notebook", "training=none", "inputs=notebook",
                   "rule=gamma,x", "rule.gamma=2", "sweep=g") == 2  # fmt: skip
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("dtd-run: rule.gamma=2: not a setting of rule=x; ")


REFUSED = {
    "fir": ["explain.output=fir", "ash, elm, oak"],
    "[oak,fir]": ["explain.output=fir", "ash, elm, oak"],
    "[oak,oak]": ["explain.output", "two different outputs"],
    "[oak,ash,elm]": ["explain.output", "pair"],
    "3": ["explain.output=3", "0 to 2"],
    "-1": ["explain.output=-1", "predicted"],
}


def test_where_a_relu_closes_all_outputs_the_predicted_one_is_named():
    net = random_network((3, 4, 3), 5, "positive", output_relu=True)
    *hidden, last = net.layers
    far = torch.tensor([200.0, 100.0, 100.0], dtype=torch.float64)
    net = Network((*hidden, last.with_parameters(last.parameters | {"bias": last.bias - far})))
    x = positive_input(3, 1, n=4)
    path = net.activations(x)
    assert not path[-1].any()
    wanted = net.with_output_relu(False).forward(x).argmax(1).tolist()
    assert all(wanted)
    assert [output.unit for output in targets(net, path, None).outputs] == wanted


@pytest.mark.parametrize(("output", "words"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_output(monkeypatch, capfd, output, words):
    assert run(monkeypatch, output) == 2
    (line,) = capfd.readouterr().err.splitlines()
    for word in words:
        assert word in line


@pytest.mark.parametrize("output", ["label", "oak"])
def test_without_labels_there_are_no_classes(monkeypatch, capfd, output):
    assert dtd_run(monkeypatch, "network=notebook", "training=none", "inputs=notebook",
                   f"explain.output={output}", "hydra.run.dir=run") == 2  # fmt: skip
    assert "no labels" in capfd.readouterr().err
