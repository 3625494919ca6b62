"""The last lines of a run, and what it warns of: each warning is provoked once."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import dtd
from dtd.domains import Domain
from dtd.explainer.reach import largest_relevance, without_relevance
from dtd_cli.inputs import Grid
from dtd_cli.report.deciding import deciding_table
from dtd_cli.report.page import page
from dtd_cli.report.results import read_results
from dtd_cli.report.run import Run
from dtd_cli.report.study import Study
from dtd_cli.report.tables import runs_table
from test_cli import dtd_run

OWN = ["network=file", "network.path=net.pt", "network.output_activation=linear", "training=none",
       "inputs=csv", "inputs.path=x.csv"]  # fmt: skip
OUTSIDE = "the data leave the domain"
NEGATIVE = "for inputs that are never negative"
FAR = "times |f(x)| as its relevance"


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(x, *layers):
    """The table and the weights of a network of one's own."""
    frame = pd.DataFrame(x, columns=list("abcd")[: len(x[0])])
    frame.to_csv("x.csv", index=False)
    tensors = {}
    for index, (weight, bias) in enumerate(layers):
        tensors[f"{index}.weight"] = torch.tensor(weight, dtype=torch.float64)
        tensors[f"{index}.bias"] = torch.tensor(bias, dtype=torch.float64)
    torch.save(tensors, "net.pt")


def ran(monkeypatch, capfd, *arguments, folder="run"):
    """What a run said on the terminal, and the summary that it wrote."""
    arguments = [*arguments, "plots=none", "progress=false", f"hydra.run.dir={folder}"]
    assert dtd_run(monkeypatch, *arguments) == 0
    said = capfd.readouterr()
    assert not said.err
    summary = json.loads(Path(folder, "summary.json").read_text())
    told = [line.removeprefix("warning: ") for line in said.out.splitlines()
            if line.startswith("warning: ")]  # fmt: skip
    assert told == summary["warnings"]
    log = Path(folder, "dtd-run.log").read_text()
    assert all(text in log for text in told)
    return said.out, summary


def one_about(summary, words):
    (text,) = [text for text in summary["warnings"] if words in text]
    return text


def none_about(summary, words):
    assert not [text for text in summary["warnings"] if words in text]


def test_inputs_that_are_negative_under_z_plus(monkeypatch, capfd):
    """Measured on the data, all rows of it; what the warning names helps."""
    write([[0.5, 0.5], [0.25, 2.0], [0.5, -1.5]], ([[1.0, 2.0], [-1.0, 1.0]], [0.1, 0.2]))
    for rule in ("z+", "gamma"):
        _, summary = ran(monkeypatch, capfd, *OWN, f"rule={rule}", "inputs.n=1")
        text = one_about(summary, NEGATIVE)
        assert f"the rule {rule} " in text
        assert "features b go down to -1.5" in text
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=z+", "input_rule=w2")
    none_about(summary, NEGATIVE)
    remedy = re.search(r"or (input_rule=zB .*)$", text)
    assert remedy
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=z+", *shlex.split(remedy[1]))
    none_about(summary, NEGATIVE)
    write([[0.5, 0.5]], ([[1.0, 2.0]], [0.1]))
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=z+")
    assert summary["warnings"] == []


def test_a_box_that_is_there_is_not_named(monkeypatch, capfd):
    _, summary = ran(monkeypatch, capfd, "inputs=grid", "inputs.low=-1", "inputs.points=3",
                     "network.hidden=[3]", "network.output_activation=linear",
                     "training=none")  # fmt: skip
    assert one_about(summary, NEGATIVE).endswith("or input_rule=zB")


def test_data_that_leave_their_domain(monkeypatch, capfd):
    """A table is refused before, as a sample is; rows of inputs of one's own are not."""
    wider = Grid.open

    def narrow(self, input_size):
        source = wider(self, input_size)
        high = torch.tensor([1.0, 0.5])
        return replace(source, domain=Domain(source.domain.low, high))

    grid = ["inputs=grid", "inputs.points=3", "inputs.n=2", "training=none",
            "network.output_activation=linear"]  # fmt: skip
    monkeypatch.setattr(Grid, "open", narrow)
    _, summary = ran(monkeypatch, capfd, *grid)
    assert "in features x2:" in one_about(summary, OUTSIDE)


def test_data_in_a_box_that_is_rounded_do_not_leave_it(monkeypatch, capfd):
    write([[0.1, 0.3], [0.7, 0.6]], ([[1.0, 2.0]], [0.1]))
    _, summary = ran(monkeypatch, capfd, *OWN, "inputs.domain=data", "dtype=float32")
    none_about(summary, OUTSIDE)


def test_a_network_that_has_learned_nothing(monkeypatch, capfd):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.random((60, 3)), columns=list("abc"))
    table["label"] = ["one"] * 40 + ["two"] * 20
    table.to_csv("x.csv", index=False)
    arguments = ["inputs=csv", "inputs.path=x.csv", "inputs.label=label", "network.hidden=[3]",
                 "network.output_activation=linear", "training.epochs=1", "inputs.n=2"]  # fmt: skip
    out, summary = ran(monkeypatch, capfd, *arguments, "training.learning_rate=1e-12")
    text = one_about(summary, "learned nothing")
    training = summary["training"]
    assert training["test_accuracy"] <= training["test_commonest_class"] < 1
    assert f"{training['test_commonest_class']:.3g} of" in text
    assert "training.epochs" in text
    said = f"test accuracy {training['test_accuracy']:.3g}, commonest class"
    assert any(line.startswith(said) for line in out.splitlines())
    table["label"] = np.where(table["a"] > 0.5, "one", "two")
    table.to_csv("x.csv", index=False)
    _, summary = ran(monkeypatch, capfd, *arguments, "training.learning_rate=0.05",
                     "training.epochs=60")  # fmt: skip
    none_about(summary, "learned nothing")


def labelled(labels):
    frame = pd.read_csv("x.csv")
    frame.assign(label=labels).to_csv("x.csv", index=False)
    return "inputs.label=label"


X = [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]


@pytest.mark.parametrize(
    ("weight", "labels", "figures"),
    [
        # The first two rows are of output 0, the others of output 1.
        (np.eye(2), ["a", "b", "b", "b"], {"accuracy": 0.75, "commonest_class": 0.75}),
        (np.eye(2), ["a", "a", "b", None], {"accuracy": 1.0, "commonest_class": 2 / 3}),
        (np.eye(2), [1, 0, 1, 1], {"accuracy": 0.75, "commonest_class": 0.75}),
        # A single output tells two classes by its sign, and numbers by its value.
        ([[-1.0, 1.0]], ["no", "yes", "yes", "yes"], {"accuracy": 0.75, "commonest_class": 0.75}),
        ([[1.0, 1.0]], [1.0, 2.5, 1.0, 3.0], {"mse": 0.0625, "r2": 1 - 0.0625 / 0.796875}),
        # Outputs that cannot stand for the labels.
        (np.eye(2), ["a", "b", "c", "c"], {}),
        ([[1.0, 1.0]], ["a", "b", "c", "c"], {}),
    ],
    ids=str,
)
def test_a_network_that_is_given_is_measured_on_all_labels(
    monkeypatch, capfd, weight, labels, figures
):
    write(X, (weight, np.zeros(len(weight))))
    out, summary = ran(monkeypatch, capfd, *OWN, labelled(labels))
    assert summary["training"] == pytest.approx({f"data_{k}": v for k, v in figures.items()})
    said = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures.items())
    assert (f"data {said}" in out.splitlines()) == bool(figures)
    if figures.get("accuracy") == 0.75:
        assert "inputs.standardize" in one_about(summary, "learned nothing")
    else:
        none_about(summary, "learned nothing")


def test_an_output_that_is_zero_for_most(monkeypatch, capfd):
    write([[1.0, 3.0], [1.0, 4.0], [3.0, 1.0]], ([[1.0, -1.0]], [0.0]))
    nonnegative = [*OWN, "inputs.domain=nonnegative"]
    relu = "network.output_activation=relu"
    _, summary = ran(monkeypatch, capfd, *nonnegative, relu)
    assert one_about(summary, "f(x) is 0").startswith(
        "f(x) is 0 for 2 of 3 samples, so they are skipped: "
    )
    # What it advises.
    _, summary = ran(monkeypatch, capfd, *nonnegative)
    none_about(summary, "f(x) is 0")
    # Zeros of a linear output come from no ReLU.
    write([[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]], ([[1.0, -1.0]], [0.0]))
    _, summary = ran(monkeypatch, capfd, *nonnegative)
    none_about(summary, "f(x) is 0")


def test_relevance_that_is_zero_for_most(monkeypatch, capfd):
    """The roots of ``zero`` are the origin, where a network with negative biases is dead."""
    layers = [([[1.0, 1.0], [1.0, 2.0]], [-0.5, -0.1]), ([[1.0, 1.0]], [-0.1])]
    write([[1.0, 0.5], [0.5, 1.0], [2.0, 1.0]], *layers)
    out, summary = ran(monkeypatch, capfd, *OWN, "rule=zero", "inputs.domain=nonnegative")
    assert "recursive: keeps 0 of f(x) (median), nothing for 3 of 3 samples, largest" in out
    assert one_about(summary, "no relevance arrives").startswith("recursive: for 3 of 3 samples")
    assert summary["without_relevance"] == {
        "recursive": 3, "train_free": 0, "gradient_x_input": 0,
    }  # fmt: skip
    _, summary = ran(monkeypatch, capfd, *OWN, "inputs.domain=nonnegative")
    none_about(summary, "no relevance arrives")


def test_inputs_that_say_nothing(monkeypatch, capfd):
    """f is the bias: each method is told what helps it."""
    write([[0.0, 0.0]], ([[1.0, 1.0]], [1.0]))
    methods = "relevance.methods=[recursive,train_free,simple_taylor,gradient_x_input]"
    nowhere = ["rule=x", "inputs.domain=nonnegative", "taylor_roots=polytope"]
    out, summary = ran(monkeypatch, capfd, *OWN, *nowhere, methods)
    remedies = {
        "recursive": "take another rule, relevance.degree=inf, or a network of fewer layers",
        "train_free": "take another rule",
        "simple_taylor": "take other taylor_roots",
        "gradient_x_input": "each input is zero, or the output does not change with it; take other "
        "inputs, or another method",
    }
    told = [text for text in summary["warnings"] if "no relevance arrives" in text]
    assert sorted(told) == sorted(
        f"{method}: for 1 of 1 samples no relevance arrives in the input, so there is nothing to "
        f"be seen in it; layers.csv says in which layer it is lost; {remedy}"
        for method, remedy in remedies.items()
    )
    for method in remedies:
        assert f"{method}: keeps 0 of f(x) (median), nothing for 1 of 1 samples\n" in out


def test_a_contribution_far_beyond_f(monkeypatch, capfd):
    """1 - 0.99 is decomposed into 1 and -0.99 by rules that take activations as positive."""
    write([[1.0, 1.0], [1.0, -0.99]], ([[1.0, 1.0]], [0.0]))
    out, summary = ran(monkeypatch, capfd, *OWN, "rule=z+")
    largest = summary["largest_relevance"]["recursive"]
    assert largest == {"share": pytest.approx(100), "sample": 1, "layer": 0, "neuron": 0}
    told = [text for text in summary["warnings"] if FAR in text]
    assert [text.partition(":")[0] for text in told] == list(summary["largest_relevance"])
    assert told[0].startswith("recursive: of sample 1, unit 0 of layer 0 has 1e+02 times")
    assert "the root of unit 0 of layer 1, where the residual is 0" in told[0]
    assert "roots=polytope" in told[0]
    assert "the root of" not in told[1]
    assert told[1].endswith("relevance; take another rule, or conclude nothing from it")
    assert "largest |R| is 100 |f(x)| (sample 1, layer 0, unit 0)" in out
    assert told[2].endswith("compare it with another method")
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=w2", "relevance.methods=[recursive]")
    none_about(summary, FAR)


def test_a_residual_far_beyond_f(monkeypatch, capfd):
    """The origin is no root of a unit with a bias."""
    write([[0.5, 0.5], [1.0, 0.0]], ([[-9.9, -1.0]], [10.0]))
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=zero")
    text = one_about(summary, "are no roots")
    assert text.startswith("recursive: 1 of the points that closed_form found are no roots")
    assert "unit 0 of layer 1, sample 1, with 1e+02 times" in text
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=w2")
    none_about(summary, "are no roots")


def test_closed_forms_beside_other_roots_have_no_part_in_the_relevance(monkeypatch, capfd):
    """Below roots that are made, the closed form is no root, and nothing rests on it."""
    _, summary = ran(monkeypatch, capfd, "experiment=any_explanation", "inputs.n=1")
    none_about(summary, "are no roots")
    roots = pd.read_csv("run/roots.csv")
    beside = roots[(roots["finder"] == "closed_form") & (roots["layer"] == 0)]
    assert beside["residual"].abs().max() > 100


def test_roots_outside_the_domain_are_counted_in_one_line(monkeypatch, capfd):
    _, summary = ran(monkeypatch, capfd, "network=mlp", "network.hidden=[6,4]", "training=none",
                     "network.seed=2", "inputs=grid", "inputs.points=4", "rule=w2")  # fmt: skip
    text = one_about(summary, "inadmissible")
    roots = pd.read_csv("run/roots.csv")
    outside = (roots["admissible"] == False).groupby(roots["layer"]).sum()  # noqa: E712
    assert (outside > 0).all()
    for layer, count in outside.items():
        assert re.search(rf"\b{count} of \d+ by closed_form in layer {layer} ", text)


@pytest.mark.parametrize(
    ("rule", "x", "layers", "words"),
    [
        # A pole, by hand in test_integral.py, as the next one is found by search.
        (
            "x",
            [[1.0]],
            [([[1.0], [2.0]], [1.0, 1.0]), ([[-1.0, 2.0]], [1.0])],
            "1 unbounded, which have no finite relevance (samples 0)",
        ),
        (
            "w2",
            [[0.27, 0.37, 0.66]],
            [
                ([[0.85, 2.09, 0.73], [-0.47, -0.32, -0.27], [0.03, 1.27, -0.57]],
                 [0.33, -0.06, -0.12]),
                ([[-1.05, 1.43, 2.36], [0.58, 0.12, 0.37], [1.0, -0.53, -0.64]],
                 [0.33, 0.06, -0.19]),
                ([[0.99, -0.87, 0.88]], [0.07]),
            ],
            "1 unsettled, which may be wrong (samples 0)",
        ),
    ],
    ids=["unbounded", "unsettled"],
)  # fmt: skip
def test_limits_in_doubt(monkeypatch, capfd, rule, x, layers, words):
    write(x, *layers)
    expanded = [f"rule={rule}", "relevance.degree=inf", "network.output_activation=relu"]
    _, summary = ran(monkeypatch, capfd, *OWN, *expanded)
    text = one_about(summary, "one-sided limits leave 1 of 1 samples in doubt, in layers 0: ")
    assert words in text


def test_the_last_lines_tell_what_became_of_the_samples(monkeypatch, capfd):
    write([[1.0, 1.0], [1.0, 3.0], [1.0, 2.0]], ([[2.0, -1.0]], [0.0]))
    out, summary = ran(monkeypatch, capfd, *OWN, "rule=w2")
    assert summary["samples"] == {"explained": 2, "below_zero": 1, "skipped": 1}
    first, *methods, last = out.splitlines()[-5:]
    assert first == (
        "2 of 3 samples explained, 1 of them through -f because f(x) < 0; 1 skipped because "
        "f(x) = 0"
    )
    kept = summary["conserved_by_layer"]
    for line, method in zip(methods, ("recursive", "train_free", "gradient_x_input"), strict=True):
        assert line.startswith(f"{method}: keeps {kept[method]['0']:.3g} of f(x) (median), ")
    assert last.startswith("done in ")
    assert last.endswith("/run")


def test_a_further_search_has_a_line_of_its_own(monkeypatch, capfd):
    write([[1.0, 1.0]], ([[2.0, -1.0]], [0.0]))
    out, summary = ran(monkeypatch, capfd, *OWN, "+roots@compare_input_roots.mine=random")
    share = summary["conserved_by_input_roots"]["mine"]["0"]
    assert f"recursive, mine: keeps {share:.3g} of f(x)" in out


def test_the_report_has_the_warnings(monkeypatch, capfd, tmp_path):
    write([[1.0, 1.0], [1.0, -0.99]], ([[1.0, 1.0]], [0.0]))
    _, summary = ran(monkeypatch, capfd, *OWN, "rule=z+", "relevance.methods=[train_free]")
    results = read_results(tmp_path / "run")
    assert list(results.warnings) == summary["warnings"]
    assert len(summary["warnings"]) == 2
    study = Study.of([Run.read(tmp_path / "run", "run", verify=False)], {0: results})
    assert runs_table(study)["warnings"].tolist() == [2]
    html = page(study, deciding_table(study, []), {}, "")
    assert "<h2>Warnings</h2>" in html
    assert "for inputs that are never negative" in html


def test_the_library_notes_what_a_run_warns_of(monkeypatch, capfd):
    """In the same words, with arguments for settings; neither says it where the other does not."""
    dead = [([[1.0, 1.0], [1.0, 2.0]], [-0.5, -0.1]), ([[1.0, 1.0]], [-0.1])]
    cancelling = [([[1.0, 1.0]], [0.0])]
    for rule, x, layers, words in (
        ("zero", [[1.0, 0.5], [0.5, 1.0], [2.0, 1.0]], dead, "no relevance arrives"),
        ("z+", [[1.0, 1.0], [1.0, -0.99]], cancelling, FAR),
        ("w2", [[1.0, 1.0], [1.0, 0.5]], cancelling, None),
    ):
        write(x, *layers)
        _, summary = ran(monkeypatch, capfd, *OWN, f"rule={rule}")
        model = dtd.load("net.pt", output_relu=False)
        for method in ("recursive", "train_free", "gradient_x_input"):
            result = dtd.DTD(model, rule=rule, method=method).explain(x)
            told = {
                text.removeprefix(f"{method}: ")
                for text in summary["warnings"]
                if text.startswith(f"{method}: ") and (words is None or words in text)
            }
            noted = {note for note in result.notes if words is None or words in note}
            assert {beginning(text) for text in told} == {beginning(note) for note in noted}
            assert all(f"note: {note}" in repr(result) for note in noted)
            if method == "recursive":
                assert bool(noted) == (words is not None)
                assert not any("relevance." in note or "layers.csv" in note for note in noted)


def test_where_no_finite_relevance_exists_nothing_is_large_or_lost():
    """The numbers that stand there are those at one position beside the root."""
    write([[1.0, 1.0], [1.0, -0.99]], ([[1.0, 1.0]], [0.0]))
    explainer = dtd.DTD(dtd.load("net.pt", output_relu=False), rule="z+")
    (part,) = explainer.explain([[1.0, 1.0], [1.0, -0.99]]).parts

    def seen(infinite, relevances):
        errors = torch.tensor([torch.nan, torch.nan])
        errors[infinite] = torch.inf
        explanation = replace(part.explanation, relevances=relevances, limit_errors={0: errors})
        return [replace(part, explanation=explanation)]

    own = part.explanation.relevances
    assert largest_relevance(seen([], own)).share == pytest.approx(100)
    assert largest_relevance(seen([1], own)).share == pytest.approx(0.5)
    assert largest_relevance(seen([0, 1], own)) is None
    lost = {**own, 0: torch.zeros_like(own[0])}
    assert [without_relevance(seen(some, lost)) for some in ([], [1], [0, 1])] == [2, 1, 0]


def beginning(text):
    """What a warning and a note have in common: all but where the numbers are, and the remedy."""
    return text.partition(";")[0]
