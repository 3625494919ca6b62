"""What users see of relevance that one-sided limits leave in doubt: marks, and nothing averaged."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import dtd
from cases import positive_input, random_network, recursion, tensor
from dtd.relevance.limits.state import LimitState, states
from dtd.relevance.root_tree import of_roots
from dtd.relevance.root_tree import root_tree as root_tree_of
from dtd_cli.plots import Tables
from dtd_cli.plots.heatmaps import heatmaps
from dtd_cli.plots.interactions import interactions
from dtd_cli.plots.ledger import ledger, ledger_shares
from dtd_cli.plots.nested import summed_root
from dtd_cli.plots.path_graph import path_graph
from dtd_cli.plots.relevance_bars import relevance_bars
from dtd_cli.plots.root_status import root_status
from dtd_cli.plots.root_tree import root_tree
from dtd_cli.plots.series import remainder_shares, series
from dtd_cli.plots.studies import continuity
from dtd_cli.records.limits import adds_up, is_finite
from dtd_cli.records.paths import root_table
from dtd_cli.report.deciding import deciding_table
from dtd_cli.report.page import page
from dtd_cli.report.results import Doubt, read_results
from dtd_cli.report.run import Run
from dtd_cli.report.study import Study
from dtd_cli.run import run as runs
from test_cli import dtd_run
from test_plots import PIXELS, frame, some_tables

RUN = [
    "network=paper",
    "training=none",
    "inputs=positive",
    "inputs.n=4",
    "studies=[agreement,continuity]",
    "plots=none",
]
ERRORS = {0: [math.nan, math.inf, 0.3, 1e-14], 1: [math.inf, math.nan, math.nan, math.nan]}
"""What the limits of the run's recursion are said to be, by layer."""
HUGE = 1e6


def said(result):
    """The result with the ``ERRORS``, and a number that means nothing where one is infinite."""
    (part,) = result.parts
    known = part.explanation
    errors = {layer: tensor(error) for layer, error in ERRORS.items()}
    relevances = {
        layer: torch.where(errors[layer].isinf().unsqueeze(1), HUGE, values)
        if layer in errors
        else values
        for layer, values in known.relevances.items()
    }
    ledgers = {
        layer: replace(book, relevance_sum=relevances[layer].sum(1))
        for layer, book in known.ledgers.items()
    }
    explanation = replace(
        known, limit_errors={**known.limit_errors, **errors}, relevances=relevances, ledgers=ledgers
    )
    return replace(result, parts=(replace(part, explanation=explanation),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose recursion has limits in all states."""
    folder = tmp_path_factory.mktemp("doubts") / "run"
    explain = runs.explain

    def with_doubts(*arguments):
        explained = explain(*arguments)
        return {
            way: said(result) if way.method == "recursive" else result
            for way, result in explained.items()
        }

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder.parent)
        monkeypatch.setattr(runs, "explain", with_doubts)
        assert dtd_run(monkeypatch, *RUN, "progress=false", f"hydra.run.dir={folder}") == 0
    return folder


def read(folder, name):
    return pd.read_csv(folder / f"{name}.csv")


def test_the_ledger_says_it(folder):
    rows = read(folder, "layers").query("method == 'recursive'")
    words = rows.pivot(index="layer", columns="sample", values="limits")
    assert words.loc[0].tolist() == ["none", "unbounded", "unsettled", "taken"]
    assert words.loc[1].tolist() == ["unbounded", "none", "none", "none"]


def test_the_summary_counts_and_leaves_out(folder):
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["limits_by_layer"]) == {"recursive"}
    counts = summary["limits_by_layer"]["recursive"]
    assert counts["0"] == {"none": 1, "taken": 1, "unbounded": 1, "unsettled": 1}
    assert counts["1"] == {"none": 3, "unbounded": 1}
    roots = read(folder, "roots").query("status == 'found' and layer == 0")
    assert summary["roots_by_layer"]["0"]["closed_form"]["limit"] == dict(
        roots["limit"].value_counts()
    )
    f = read(folder, "inputs").set_index("sample")["f"]
    rows = read(folder, "layers").query("method == 'recursive'")
    for layer, samples in ((0, [0, 2, 3]), (1, [1, 2, 3])):
        sums = rows[rows["layer"] == layer].set_index("sample")["relevance_sum"]
        want = (sums / f)[samples].median()
        assert summary["conserved_by_layer"]["recursive"][str(layer)] == pytest.approx(want)


def test_studies_leave_out(folder):
    rows = read(folder, "agreement").query("method == 'recursive'")
    assert rows["conserved"].isna().tolist() == [False, True, False, False]
    assert rows["cosine"].isna().tolist() == [False, True, False, False]
    (pair,) = read(folder, "continuity").query("method == 'recursive'").itertuples()
    assert pair.score < HUGE / 100
    assert 1 not in (pair.sample, pair.other_sample)


def test_one_line_at_the_end_warns(folder, monkeypatch, tmp_path):
    log = (folder / "dtd-run.log").read_text()
    (line,) = [line for line in log.splitlines() if "limits" in line]
    for words in (
        "3 of 4 samples",
        "layers 0, 1",
        "1 unsettled",
        "2 unbounded",
        "(samples 0, 1, 2)",
    ):
        assert words in line
    monkeypatch.chdir(tmp_path)
    assert dtd_run(monkeypatch, *RUN, "progress=false", "hydra.run.dir=clean") == 0
    assert "limits" not in (tmp_path / "clean" / "dtd-run.log").read_text()


def test_the_report_lists_and_leaves_out(folder):
    results = read_results(folder)
    assert sorted(results.doubts) == [
        Doubt("recursive", 0, "unbounded", (1,)),
        Doubt("recursive", 1, "unbounded", (0,)),
        Doubt("recursive", 2, "unsettled", (0,)),
    ]
    figures = {(m, layer, name): value for m, _, layer, name, value in results.figures}
    # What layer 0 receives from layer 1 is not finite for sample 0.
    assert figures["recursive", 0, "left_out_share"] == 0.5
    assert figures["recursive", 1, "left_out_share"] == 0.25
    assert figures["train_free", 0, "left_out_share"] == 0
    assert all(abs(value) < HUGE / 100 for value in figures.values())
    study = Study.of([Run.read(folder, "run", verify=False)], {0: results})
    nothing = deciding_table(study, [])
    html = page(study, nothing, {}, "")
    assert "Relevance in doubt" in html
    assert html.count("unbounded ∞") == 2
    many = replace(results, doubts=[Doubt("recursive", n, "unsettled", (0,)) for n in range(99)])
    html = page(Study.of(study.runs, {0: many}), nothing, {}, "")
    assert html.count("unsettled †") == 20
    assert "The first 20 of 99 rows" in html
    sure = page(Study.of(study.runs, {0: replace(results, doubts=[])}), nothing, {}, "")
    assert "Relevance in doubt" not in sure


@pytest.mark.parametrize(
    ("widths", "seed", "point"),
    [((3, 4, 3, 1), 2, 1), pytest.param((4, 5, 4, 1), 12, 3, marks=pytest.mark.exhaustive)],
)
def test_real_limits_that_do_not_settle(widths, seed, point):
    """Roots on lines, and a limit inside another."""
    net = random_network(widths, seed, "positive")
    result = dtd.DTD(net, rule="z+", roots="line").explain(positive_input(widths[0], point))
    assert result.limits == [["unsettled"], ["taken"], ["none"]]
    points = [result.root_point(0, unit) for unit in range(widths[1])]
    worst = max(points, key=lambda point: float(point.limit_error.nan_to_num(0)))
    assert worst.limit == ["unsettled"]
    assert set(result.ledger_frame().query("layer == 0")["limits"]) == {"unsettled"}


def test_what_is_not_finite_has_no_share_of_f():
    net = random_network((3, 4, 3, 1), 1, "negative")
    result = dtd.DTD(net, rule="z+").explain(positive_input(3, 3, n=4))
    (part,) = result.parts
    endless = tensor([math.inf, *[math.nan] * (len(part.samples) - 1)])
    part = replace(part, explanation=replace(part.explanation, limit_errors={0: endless}))
    kept = replace(result, parts=(part,)).kept
    others = part.samples[1:]
    assert kept[part.samples[0]].isnan()
    assert torch.equal(kept[others], result.kept[others])


# The pictures


def doubtful(tables, states, **more):
    """The tables with states by method, sample and layer; what is unbounded is huge."""
    layers, relevance = frame(tables.layers), frame(tables.relevance)
    layers = layers.assign(limits="none", **more)
    for (method, sample, layer), state in states.items():
        for table in (layers, relevance):
            here = (table["method"] == method) & (table["sample"] == sample)
            here &= table["layer"] == layer
            if "limits" in table:
                table.loc[here, "limits"] = state
            if state == "unbounded":
                column = "relevance" if "relevance" in table else "relevance_sum"
                table.loc[here, column] = HUGE
    return replace(tables, layers=layers, relevance=relevance)


BOTH = {("recursive", 0, 0): "unsettled", ("recursive", 1, 0): "unbounded"}


def legend(picture):
    return {text.get_text() for box in picture.legends for text in box.get_texts()}


def marks(axes):
    return [text.get_text() for text in axes.texts if text.get_text() in "†∞"]


def test_bars_are_marked():
    picture = relevance_bars(doubtful(some_tables(samples=3), BOTH))
    first, second, third = picture.axes
    assert marks(first) == ["†"] * 3
    assert len(first.containers) == len(third.containers) == 3
    # No bar, and no scale, where there is no finite height.
    assert len(second.containers) == 2
    assert [len(line.get_ydata()) for line in second.lines if line.get_marker() == "$∞$"] == [0, 3]
    assert max(map(abs, second.get_xlim())) < HUGE / 100
    assert not marks(third)
    assert {"a limit may be wrong", "no finite relevance"} <= legend(picture)
    assert not legend(relevance_bars(some_tables())) & {"a limit may be wrong"}


def test_heatmaps_are_marked():
    tables = doubtful(some_tables(PIXELS, (6, 4), 3), BOTH)
    picture = heatmaps(tables)
    titles = [axes.get_title() for axes in picture.axes]
    assert sum(" †" in title for title in titles) == 1
    assert [mark for axes in picture.axes for mark in marks(axes)] == ["∞"]
    reach = [axes.images[0].get_clim()[1] for axes in picture.axes if axes.images]
    assert max(reach) < HUGE / 100
    assert legend(picture) == {"a limit may be wrong", "no finite relevance"}


def test_the_ledger_picture_leaves_out_and_marks():
    tables = some_tables(widths=(5, 4, 1), samples=4)
    states = {("recursive", 0, 1): "unsettled", ("recursive", 1, 1): "unbounded"}
    picture = ledger(doubtful(tables, states))
    names = [label.get_text() for label in picture.axes[-1].get_xticklabels()]
    assert names == ["0\ninput", "1 †", "2", "3\noutput"]
    assert "without 1 where unbounded" in picture.axes[0].get_title(loc="left")
    assert max(map(abs, picture.axes[0].get_ylim())) < HUGE / 100
    f = {sample.number: sample.f for sample in tables.explained}
    layers = frame(doubtful(tables, states).layers)
    book = ledger_shares(layers, f)["recursive"]
    wanted = ledger_shares(layers[layers["sample"] != 1], f)["recursive"]
    # Layer 0 receives from layer 1 what is not finite.
    pd.testing.assert_frame_equal(book.loc[[0, 1]], wanted.loc[[0, 1]])
    whole = ledger_shares(frame(tables.layers), f)["recursive"]
    pd.testing.assert_frame_equal(book.loc[[2]], whole.loc[[2]])


def test_rows_that_add_up():
    rows = [("recursive", "", 0, n, "none") for n in range(3)]
    rows += [("recursive", "a", 0, n, "unbounded" if n == 1 else "none") for n in range(3)]
    layers = pd.DataFrame(rows, columns=["method", "roots", "sample", "layer", "limits"])
    for table in (layers, layers.replace({"roots": {"": np.nan}})):
        assert is_finite(table, table).tolist() == [True, True, True, True, False, True]
        assert adds_up(table).tolist() == [True, True, True, False, False, True]
        assert adds_up(table.drop(columns="limits")).all()


def test_the_series_leaves_out_and_marks():
    tables = doubtful(some_tables(samples=3), BOTH, degree=1)
    picture = series(tables)
    assert [axes.get_title(loc="left") for axes in picture.axes] == ["layer 1", "layer 0 †"]
    assert legend(picture) == {"recursive", "a limit may be wrong"}
    f = {sample.number: sample.f for sample in tables.explained}
    layers = frame(tables.layers)
    found, wanted = remainder_shares(layers, f), remainder_shares(layers.query("sample != 1"), f)
    assert found.query("layer == 0").equals(wanted.query("layer == 0"))


def test_roots_in_doubt_are_counted():
    tables = some_tables(samples=2)
    table = frame(tables.roots)
    found = (table["status"] == "found") & (table["finder"] == "random") & (table["layer"] == 0)
    limit = np.where(found, np.where(table["neuron"] == 0, "unbounded", "unsettled"), "none")
    picture = root_status(replace(tables, roots=table.assign(limit=limit)))
    texts = [text.get_text() for text in picture.axes[0].texts if "n = " in text.get_text()]
    assert [text.partition(", ")[2] for text in texts] == ["", "", "", "2 †, 2 ∞"]
    assert {"a limit may be wrong", "no finite relevance"} <= legend(picture)


def flows(method, size):
    rows = [(method, sample, 0, i, 0, size) for sample in range(2) for i in range(2)]
    return pd.DataFrame(rows, columns=["method", "sample", "layer", "lower", "upper", "relevance"])


def test_paths_are_on_a_scale_of_what_is_finite():
    tables = doubtful(some_tables(["a", "b"], (1,), samples=2), BOTH)
    table = pd.concat([flows("recursive", HUGE), flows("train_free", 1.0)])
    table.loc[(table["method"] == "recursive") & (table["sample"] == 0), "relevance"] = 1.0
    picture = path_graph(replace(tables, flows=table))
    first, _, third, fourth = picture.axes
    assert first.get_title(loc="left").endswith(" †")
    assert marks(third) == ["∞"]
    assert not third.collections
    assert max(fourth.collections[0].get_linewidths()) == 13


@pytest.mark.parametrize(("state", "mark"), [("unsettled", "†"), ("unbounded", "∞"), ("", "0")])
def test_trees_and_matrices_are_marked(state, mark):
    doubts = {("recursive", 0, 0): state} if state else {}
    tables = doubtful(some_tables(["a", "b"], (1,)), doubts)
    tree = pd.DataFrame(
        [(0, 0, np.nan, 0, 0, "found", 0.0, 2.0)],
        columns=["sample", "node", "parent", "layer", "neuron", "status", "epsilon", "passed"],
    )
    picture = root_tree(replace(tables, root_tree=tree))
    assert picture.get_suptitle().endswith(mark)
    widths = picture.axes[0].collections[0].get_linewidths()
    assert widths == [0.6 if state == "unbounded" else 8.0]
    pairs = [(0, 0, i, k, 1.0) for i in range(2) for k in range(2)]
    matrix = pd.DataFrame(pairs, columns=["sample", "layer", "i", "k", "relevance"])
    picture = interactions(replace(tables, interactions=matrix))
    title = picture.axes[0].get_title(loc="left")
    assert (title.split()[-1] in "†∞") == bool(state)
    assert len(legend(picture)) == bool(state)


def test_nothing_is_said_of_tables_that_say_nothing():
    assert Tables().doubt("recursive", 0, 0) == ""
    assert some_tables().left_out == ""


def nested_tree(states):
    rows = [
        (0, 0, np.nan, 0, 0, "found", 2.0, states[0]),
        (0, 1, np.nan, 0, 1, "approximate", HUGE, states[1]),
        (0, 2, 0, 1, 0, "found", 1.0, states[2]),
    ]
    columns = ["sample", "node", "parent", "layer", "neuron", "status", "relevance", "limits"]
    return pd.DataFrame(rows, columns=columns)


def test_nested_roots_are_marked():
    picture = root_tree(Tables(nested_roots=nested_tree(["none", "unbounded", "unsettled"])))
    (axes,) = picture.axes
    assert {"a limit may be wrong", "no finite relevance"} <= legend(picture)
    marked = [(line.get_marker(), x) for line in axes.lines for x in line.get_xdata()]
    assert {("$†$", 1), ("$∞$", 0)} == {pair for pair in marked if "$" in str(pair[0])}
    # What is unbounded has no width of its own, and sets none.
    assert sorted(axes.collections[0].get_linewidths()) == [0.6, 4, 8]
    clean = nested_tree(["none"] * 3)
    for table in (clean, clean.drop(columns="limits")):
        assert not legend(root_tree(Tables(nested_roots=table))) & {"a limit may be wrong"}


def test_the_tree_says_what_is_in_doubt():
    """The relevance at a root in layer 0 may have a limit below the output that has none."""
    net, x = random_network((3, 4, 3, 1), 7, "zero"), positive_input(3, 7)
    rec = recursion(net, "gamma", gamma=0.5)
    tree = root_tree_of(rec, 0, x, of_roots)
    table = root_table(tree, np.array([5]), 0)
    for level, rows in zip(tree, table.groupby("layer"), strict=True):
        with torch.no_grad():
            errors = rec.upper_and_limits(level.start, level.anchors).limit_error
        want = [LimitState(state).name.lower() for state in states(errors).tolist()]
        assert rows[1]["limits"].tolist() == list(np.repeat(want, level.relevance.shape[1]))
    assert {"none", "taken"} == set(table["limits"])


@pytest.mark.parametrize("state", ["none", "unsettled", "unbounded"])
def test_relevance_at_a_summed_root_is_marked(state):
    tables = doubtful(some_tables(["a", "b"], (2,)), {})
    numbers = {"relevance": 1.0, "relevance_at_root": HUGE, "x": 1.0, "root": 2.0}
    rows = [
        {"sample": 0, "neuron": j, "index": i, **numbers, "limits_at_root": state}
        for j in range(2)
        for i in range(2)
    ]
    picture = summed_root(replace(tables, summed_root=pd.DataFrame(rows)))
    left = picture.axes[0]
    assert marks(left) == ["†"] * (2 * (state == "unsettled"))
    assert ("$∞$" in {line.get_marker() for line in left.lines}) == (state == "unbounded")
    assert (max(left.get_ylim()) < HUGE / 100) == (state == "unbounded")
    assert len(legend(picture)) == 2 + (state != "none")


def test_continuity_says_what_it_leaves_out():
    rows = [("recursive", 2.0, 0, 2), ("train_free", 1.0, 0, 1)]
    table = pd.DataFrame(rows, columns=["method", "score", "sample", "other_sample"])
    tables = doubtful(some_tables(samples=3), BOTH)
    picture = continuity(replace(tables, continuity=table))
    assert "without 1 sample that has no finite relevance" in heading(picture)
    labels = [label.get_text() for label in picture.axes[0].get_yticklabels()]
    assert labels == ["recursive †", "train-free"]
    assert legend(picture) == {"a limit may be wrong"}
    clean = continuity(replace(some_tables(samples=3), continuity=table))
    assert "without" not in heading(clean)
    assert not legend(clean)


def heading(picture):
    return " ".join(picture.get_suptitle().split())
