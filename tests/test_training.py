"""Training: good enough, biases that the theory needs, and nothing changed that was given."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Network
from dtd_cli.app.locations import CONF
from dtd_cli.config.typed import option
from dtd_cli.inputs import Digits, Source
from dtd_cli.networks import FullyConnected
from dtd_cli.training import TRAININGS
from dtd_cli.training.adam import _Steps
from dtd_cli.training.losses import LOSSES
from dtd_cli.training.training import Split
from test_inputs import table as csv

Adam, NoTraining = TRAININGS["adam"], TRAININGS["none"]


def adam(loss="cross_entropy", epochs=40, test_fraction=0.2, nonpositive_biases=True, rate=0.005,
         validation_fraction=0.0, patience=20, decay="none"):  # fmt: skip
    settings = {"loss": loss, "epochs": epochs, "learning_rate": rate, "batch_size": 64}
    settings |= {"decay": decay}
    settings |= {"test_fraction": test_fraction, "nonpositive_biases": nonpositive_biases}
    settings |= {"validation_fraction": validation_fraction, "patience": patience}
    return option("training", TRAININGS, {"name": "adam", **settings})


def default(**settings):
    defaults = OmegaConf.to_container(OmegaConf.load(CONF / "training" / "adam.yaml"))
    return option("training", TRAININGS, defaults | settings)


def train(training, network, source, seed=0):
    return training(network, source, training.split(len(source.rows), seed), seed, False)


def held_out(training, source, seed=0):
    return source.rows[training.split(len(source.rows), seed).candidates]


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


DATA = {
    "iris": (load_iris, "cross_entropy", "accuracy", 0.93),
    "wine": (load_wine, "cross_entropy", "accuracy", 0.95),
    "breast_cancer": (load_breast_cancer, "cross_entropy", "accuracy", 0.95),
    "diabetes": (load_diabetes, "mse", "r2", 0.4),
}


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        *(("iris", 3), ("diabetes", 1), ("wine", 1), ("breast_cancer", 1)),
        pytest.param("diabetes", 3, marks=pytest.mark.exhaustive),
        pytest.param("wine", 3, marks=pytest.mark.exhaustive),
        pytest.param("breast_cancer", 3, marks=pytest.mark.exhaustive),
    ],
)
def test_the_defaults_reach(tmp_path, name, seeds):
    """As docs/settings.md says, from a CSV file with standardised features."""
    load, loss, figure, least = DATA[name]
    load(as_frame=True).frame.to_csv(tmp_path / "rows.csv", index=False)
    inputs = csv(tmp_path / "rows.csv", label="target", standardize=True)
    given = inputs.open(None)
    training = default(loss=loss)
    reached = []
    for seed in range(seeds):
        split = training.split(len(given.rows), seed)
        source = inputs.fitted(given, split.train)
        network = mlp(len(source.names), training.output_size(source.labels), (32, 16), seed)
        trained = training(network, source, split, seed, progress=False)
        assert all((layer.bias <= 0).all() for layer in trained.network.layers)
        reached.append(trained.figures[f"test_{figure}"])
    assert np.mean(reached) >= least, reached


def test_the_best_epoch_is_kept():
    """Training goes on for ``patience`` epochs, and what they did is undone."""
    source = table(halves)
    rate = 0.05
    stopped = train(adam(epochs=300, validation_fraction=0.2, patience=7, rate=rate),
                    mlp(2, 2), source)  # fmt: skip
    epochs = stopped.figures["epochs_kept"]
    assert 1 < epochs < 293
    # The same updates, without an end by the validation part.
    split = adam(validation_fraction=0.2).split(len(source.rows), 0)
    losses = []
    for count in range(epochs - 1, epochs + 8):
        training = adam(epochs=count, rate=rate)
        known = Split(split.train, split.validation[:0], split.test)
        network = training(mlp(2, 2), source, known, 0, False).network
        z = network.with_output_relu(False).forward(source.rows[split.validation].float())
        targets = LOSSES["cross_entropy"].targets(source.labels, 2)[split.validation]
        losses.append(LOSSES["cross_entropy"].value(z, targets).item())
        if count == epochs:
            assert torch.equal(network.layers[0].weight, stopped.network.layers[0].weight)
    assert np.argmin(losses) == 1


def test_numbers_have_units():
    """Targets of another size and place give the same network, but for its units."""

    def trained(factor, shift, free):
        labels = lambda rows: factor * rows[:, 0].clamp(min=0).numpy() + shift  # noqa: E731
        training = adam("mse", epochs=20, rate=0.02, nonpositive_biases=not free)
        network = mlp(2, 1, output_activation="linear")
        *hidden, last = network.layers
        parts = {name: factor * part for name, part in last.parameters.items()}
        if free:
            parts["bias"] = parts["bias"] + shift
        return train(training, Network((*hidden, last.with_parameters(parts))), table(labels))

    x = rows_of(5).float()
    for free in (True, False):
        one, other = trained(1, 0, free), trained(1000, 5000, free)
        expected = 1000 * one.network.forward(x) + (5000 if free else 0)
        torch.testing.assert_close(other.network.forward(x), expected, rtol=1e-3, atol=1)
        assert other.figures["test_r2"] == pytest.approx(one.figures["test_r2"], abs=1e-3)
        assert ("target_mean" in other.figures) != free


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_digits(seed):
    source = Digits(None, None).open(None)
    network = mlp(64, 10, (32, 16), seed)
    trained = train(adam(), network, source, seed)
    assert trained.figures["test_accuracy"] >= 0.93
    assert trained.figures["train_accuracy"] >= trained.figures["test_accuracy"] - 0.02
    assert held_out(adam(), source, seed).shape == (360, 64)
    assert all((layer.bias <= 0).all() for layer in trained.network.layers)
    assert trained.network.layers[-1].relu
    assert trained.network.layers[0].weight.dtype == torch.float32


def test_the_accuracy_is_that_of_the_rows_held_out():
    source = Digits(None, None).open(None)
    trained = train(adam(epochs=3), mlp(64, 10), source)
    label_of = {tuple(row): label for row, label in zip(source.rows.tolist(), source.labels,
                                                        strict=True)}  # fmt: skip
    rows = held_out(adam(), source)
    labels = torch.tensor([label_of[tuple(row)] for row in rows.tolist()])
    # Without the last ReLU, as in training.
    path = trained.network.activations(rows)
    z = trained.network.layers[-1].preactivation(path[-2])
    right = (z.argmax(1) == labels).double().mean().item()
    assert right == trained.figures["test_accuracy"]


def test_biases_are_free_where_they_may_be():
    network = mlp(2, 2)
    trained = train(adam(epochs=5, nonpositive_biases=False), network, table(halves))
    assert any((layer.bias > 0).any() for layer in trained.network.layers)


@pytest.mark.parametrize("nonpositive_biases", [True, False])
def test_what_was_given_stays_as_it_was(nonpositive_biases):
    network, source = mlp(2, 2), table(halves)
    before = [(layer.weight.clone(), layer.bias.clone()) for layer in network.layers]
    rows = source.rows.clone()
    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    train(adam(epochs=3, nonpositive_biases=nonpositive_biases), network, source)
    for layer, (weight, bias) in zip(network.layers, before, strict=True):
        assert torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)
        assert not layer.weight.requires_grad
    assert torch.equal(source.rows, rows)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_the_seed_decides():
    def weights(seed):
        return train(adam(epochs=2), mlp(2, 2), table(halves), seed).network.layers[0].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize("decay", ["none", "cosine"])
def test_the_steps_are_those_of_pytorch(decay):
    network, source, epochs = mlp(2, 2), table(halves), 3
    training = adam(epochs=epochs, nonpositive_biases=False, decay=decay)
    trained = train(training, network, source).network
    split = training.split(len(source.rows), 0)
    targets = LOSSES["cross_entropy"].targets(source.labels, 2)
    first, last = (
        [torch.nn.Parameter(layer.weight.flatten(1).T.float().clone()),
         torch.nn.Parameter(layer.bias.float().clone())]
        for layer in network.layers
    )  # fmt: skip
    optimizer = torch.optim.Adam([*first, *last], lr=0.005)
    order, batches = torch.Generator().manual_seed(0), math.ceil(len(split.train) / 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for _ in range(epochs):
        rows = torch.from_numpy(split.train)
        rows = rows[torch.randperm(len(rows), generator=order)]
        for batch in rows.split(64):
            hidden = torch.relu(source.rows[batch].float() @ first[0] + first[1])
            missed = torch.nn.functional.cross_entropy(hidden @ last[0] + last[1], targets[batch])
            optimizer.zero_grad()
            missed.backward()
            optimizer.step()
            if decay == "cosine":
                schedule.step()
    for layer, (weight, bias) in zip(trained.layers, (first, last), strict=True):
        torch.testing.assert_close(layer.weight.float(), weight.T, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(layer.bias.float(), bias, rtol=1e-5, atol=1e-6)


def test_steps_of_weights_in_another_order_in_memory():
    """A fused step that goes through memory would mix the entries up."""
    weight = torch.linspace(-1, 1, 12).reshape(3, 4)
    turned = weight.T.contiguous().T
    assert turned.stride() != weight.stride()
    reached = []
    for parameter in (weight.clone(), turned):
        parameter.requires_grad_()
        steps = _Steps([parameter])
        for _ in range(3):
            steps.down((parameter * torch.arange(12.0).reshape(3, 4)).square().sum(), 0.1)
        reached.append(parameter.detach())
    torch.testing.assert_close(*reached, rtol=1e-5, atol=1e-6)
    assert not torch.equal(reached[0], weight)


def test_a_training_is_done_once_for_runs_that_differ_elsewhere(monkeypatch):
    fitted, fit = [], Adam._fit

    def counted(*given):
        fitted.append(given)
        return fit(*given)

    monkeypatch.setattr(Adam, "_fit", counted)
    network, source = mlp(2, 2), table(halves)

    def weights(training, network, source, seed=0):
        return train(training, network, source, seed).network.layers[0].weight

    base = {"training": adam(epochs=2), "network": network, "source": source, "seed": 0}
    first = weights(**base)
    again = weights(adam(epochs=2), mlp(2, 2), table(halves))
    assert torch.equal(first, again)
    assert len(fitted) == 1
    others = [
        {"training": adam(epochs=3)},
        {"seed": 1},
        {"network": mlp(2, 2, seed=1)},
        {"source": replace(source, rows=source.rows * 2)},
        {"source": replace(source, labels=source.labels[::-1].copy())},
    ]
    for other in others:
        before = len(fitted)
        weights(**base | other)
        assert torch.equal(weights(**base), first)
        assert len(fitted) == before + 2
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    before = len(fitted)
    weights(**base)
    assert len(fitted) == before + 1


def test_also_where_no_gradients_are_kept():
    with torch.no_grad():
        trained = train(adam(epochs=2), mlp(2, 2), table(halves))
    assert not torch.equal(trained.network.layers[0].weight, mlp(2, 2).layers[0].weight)
    assert not trained.network.layers[0].weight.requires_grad


def test_classes_with_names():
    training = adam(epochs=60, rate=0.02)
    source = table(halves, size=400)
    assert training.output_size(source.labels) == 2
    trained = train(training, mlp(2, 2), source)
    assert trained.figures["test_accuracy"] > 0.9
    # Classes are outputs in sorted order: left, right.
    sides = trained.network.forward(torch.tensor([[-3.0, 0.0], [3.0, 0.0]])).argmax(1)
    assert sides.tolist() == [0, 1]


def test_numbers_by_mse():
    source = table(lambda rows: 2 * rows[:, 0].clamp(min=0).numpy(), size=400)
    training = adam("mse", epochs=60, rate=0.02)
    assert training.output_size(source.labels) == 1
    trained = train(training, mlp(2, 1), source)
    assert trained.figures["test_mse"] < 0.05
    assert set(trained.figures) == {
        "train_mse",
        "test_mse",
        "train_r2",
        "test_r2",
        "epochs_kept",
        "target_mean",
    }


def test_classes_by_mse():
    source = table(halves, size=400)
    trained = train(adam("mse", epochs=60, rate=0.02), mlp(2, 2), source)
    assert trained.figures["test_mse"] < 0.15


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0, 0), (0.25, 30), (0.001, 1)])
def test_the_split(fraction, held_out):
    source = table(halves)
    training = adam(epochs=1, test_fraction=fraction, validation_fraction=0.2)
    split = training.split(120, 0)
    trained = train(training, mlp(2, 2), source)
    assert len(split.candidates) == (held_out or 120)
    assert ("test_accuracy" in trained.figures) == (held_out > 0)
    assert len(split.validation) == math.ceil(0.2 * (120 - held_out))
    # Every row is in one part.
    assert sorted(np.concatenate(list(split.parts.values()))) == list(range(120))


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
        train(training, mlp(2, outputs), table(labels))


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
    with pytest.raises(InvalidSetting, match=r"training=adam: row 1 .*has no label"):
        adam(loss).output_size(labels)
    assert NoTraining().output_size(labels) == 2


def test_training_that_diverges():
    with pytest.raises(InvalidSetting, match=r"learning_rate=1e\+30: training diverged"):
        train(adam(rate=1e30), mlp(2, 2), table(halves))


def test_no_training():
    network, source = mlp(2, 2), table(halves)
    trained = train(NoTraining(), network, source)
    assert trained.network is network
    assert torch.equal(held_out(NoTraining(), source), source.rows)
    predicted = network.forward(source.rows.to(network.dtype)).argmax(1).numpy()
    right = np.array(["left", "right"])[predicted] == source.labels
    assert trained.figures["data_accuracy"] == pytest.approx(right.mean())
    assert trained.figures["data_commonest_class"] >= 0.5
    assert NoTraining().output_size(source.labels) == 2
    assert NoTraining().output_size(None) == 1
