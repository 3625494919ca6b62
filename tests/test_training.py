"""Training: good enough, biases that the theory needs, and nothing changed that was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd_cli.config.typed import option
from dtd_cli.inputs import Digits, Source
from dtd_cli.networks import FullyConnected
from dtd_cli.training import TRAININGS

Adam, NoTraining = TRAININGS["adam"], TRAININGS["none"]


def adam(loss="cross_entropy", epochs=40, test_fraction=0.2, nonpositive_biases=True, rate=0.005):
    settings = {"loss": loss, "epochs": epochs, "learning_rate": rate, "batch_size": 64}
    settings |= {"test_fraction": test_fraction, "nonpositive_biases": nonpositive_biases}
    return option("training", TRAININGS, {"name": "adam", **settings})


def mlp(inputs, outputs, hidden=(8,), seed=0, output_activation="relu"):
    spec = FullyConnected(seed, output_activation, list(hidden), None, "default")
    return spec.build((inputs,), outputs)


def table(labels, rows=None, size=120):
    """What a CSV file gives: rows in double precision and labels of any type."""
    if rows is None:
        rows = rows_of(size)
    return Source(("a", "b"), Domain.real(2), rows, labels(rows) if callable(labels) else labels)


def rows_of(size):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, 2, generator=generator, dtype=torch.float64)


def halves(rows):
    return np.where(rows[:, 0].numpy() > 0, "right", "left")


@pytest.mark.parametrize("seed", [0, 1])
def test_digits(seed):
    source = Digits(None).open(None)
    network = mlp(64, 10, (32, 16), seed)
    trained = adam()(network, source, seed, progress=False)
    assert trained.figures["test_accuracy"] >= 0.93
    assert trained.figures["train_accuracy"] >= trained.figures["test_accuracy"] - 0.02
    assert trained.held_out.shape == (360, 64)
    assert all((layer.bias <= 0).all() for layer in trained.network.layers)
    assert trained.network.layers[-1].relu
    assert trained.network.layers[0].weight.dtype == torch.float32


def test_the_accuracy_is_that_of_the_rows_held_out():
    source = Digits(None).open(None)
    trained = adam(epochs=3)(mlp(64, 10), source, 0, progress=False)
    label_of = {tuple(row): label for row, label in zip(source.rows.tolist(), source.labels,
                                                        strict=True)}  # fmt: skip
    labels = torch.tensor([label_of[tuple(row)] for row in trained.held_out.tolist()])
    # Without the last ReLU, as in training.
    path = trained.network.activations(trained.held_out)
    z = trained.network.layers[-1].preactivation(path[-2])
    right = (z.argmax(1) == labels).double().mean().item()
    assert right == trained.figures["test_accuracy"]


def test_biases_are_free_where_they_may_be():
    network = mlp(2, 2)
    trained = adam(epochs=5, nonpositive_biases=False)(network, table(halves), 0, False)
    assert any((layer.bias > 0).any() for layer in trained.network.layers)


@pytest.mark.parametrize("nonpositive_biases", [True, False])
def test_what_was_given_stays_as_it_was(nonpositive_biases):
    network, source = mlp(2, 2), table(halves)
    before = [(layer.weight.clone(), layer.bias.clone()) for layer in network.layers]
    rows = source.rows.clone()
    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    adam(epochs=3, nonpositive_biases=nonpositive_biases)(network, source, 0, False)
    for layer, (weight, bias) in zip(network.layers, before, strict=True):
        assert torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)
        assert not layer.weight.requires_grad
    assert torch.equal(source.rows, rows)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_the_seed_decides():
    def weights(seed):
        return adam(epochs=2)(mlp(2, 2), table(halves), seed, False).network.layers[0].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_also_where_no_gradients_are_kept():
    with torch.no_grad():
        trained = adam(epochs=2)(mlp(2, 2), table(halves), 0, False)
    assert not torch.equal(trained.network.layers[0].weight, mlp(2, 2).layers[0].weight)
    assert not trained.network.layers[0].weight.requires_grad


def test_classes_with_names():
    training = adam(epochs=60, rate=0.02)
    source = table(halves, size=400)
    assert training.output_size(source.labels) == 2
    trained = training(mlp(2, 2), source, 0, False)
    assert trained.figures["test_accuracy"] > 0.9
    # Classes are outputs in sorted order: left, right.
    sides = trained.network.forward(torch.tensor([[-3.0, 0.0], [3.0, 0.0]])).argmax(1)
    assert sides.tolist() == [0, 1]


def test_numbers_by_mse():
    source = table(lambda rows: 2 * rows[:, 0].clamp(min=0).numpy(), size=400)
    training = adam("mse", epochs=60, rate=0.02)
    assert training.output_size(source.labels) == 1
    trained = training(mlp(2, 1), source, 0, False)
    assert trained.figures["test_mse"] < 0.05
    assert set(trained.figures) == {"train_mse", "test_mse"}


def test_classes_by_mse():
    source = table(halves, size=400)
    trained = adam("mse", epochs=60, rate=0.02)(mlp(2, 2), source, 0, False)
    assert trained.figures["test_mse"] < 0.15


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0, 0), (0.25, 30), (0.001, 1)])
def test_the_split(fraction, held_out):
    source = table(halves)
    trained = adam(epochs=1, test_fraction=fraction)(mlp(2, 2), source, 0, False)
    assert len(trained.held_out) == (held_out or 120)
    assert ("test_accuracy" in trained.figures) == (held_out > 0)
    # Every one of them is a row of the table, and none is there twice.
    rows = [tuple(row) for row in trained.held_out.tolist()]
    assert len(set(rows)) == len(rows)
    assert set(rows) <= {tuple(row) for row in source.rows.tolist()}


@pytest.mark.parametrize(
    ("training", "outputs", "labels", "message"),
    [
        (adam(), 2, None, r"^training=adam: .*no labels"),
        (adam("mse"), 1, halves, r"^training\.loss=mse: "),
        (adam(), 1, halves, r"^training\.loss=cross_entropy: .*2 classes.*1 outputs"),
        (adam(test_fraction=0.999), 2, halves, r"^training\.test_fraction=0\.999: "),
    ],
)
def test_what_does_not_fit(training, outputs, labels, message):
    with pytest.raises(InvalidSetting, match=message):
        training(mlp(2, outputs), table(labels), 0, False)


@pytest.mark.parametrize(
    "settings",
    [{"loss": "hinge"}, {"epochs": 0}, {"rate": 0.0}, {"rate": float("inf")},
     {"test_fraction": 1.0}, {"test_fraction": -0.1}],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_be(settings):
    with pytest.raises(InvalidSetting):
        adam(**settings)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("labels", [["x", np.nan, "y", "x"], [0.0, np.nan, 1.0, 0.0]])
def test_a_label_that_is_missing(loss, labels):
    labels = np.array(labels, dtype=object if isinstance(labels[0], str) else float)
    with pytest.raises(InvalidSetting, match="training=adam: data row 2 has no label"):
        adam(loss).output_size(labels)
    assert NoTraining().output_size(labels) == 2


def test_training_that_diverges():
    with pytest.raises(InvalidSetting, match=r"learning_rate=1e\+30: training diverged"):
        adam(rate=1e30)(mlp(2, 2), table(halves), 0, progress=False)


def test_no_training():
    network, source = mlp(2, 2), table(halves)
    trained = NoTraining()(network, source, 0, False)
    assert trained.network is network
    assert trained.held_out is source.rows
    assert trained.figures == {}
    assert NoTraining().output_size(source.labels) == 2
    assert NoTraining().output_size(None) == 1
