"""The verdict of a report: its figures computed again, and what is made of them."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from collections import defaultdict
from operator import mul

import pandas as pd
import pytest

from dtd_cli.records.folder import RunFolder
from dtd_cli.report import write_report
from dtd_cli.report.answer import in_words
from dtd_cli.report.run import Run, Status
from dtd_cli.report.sections import verdict
from dtd_cli.report.study import Study
from dtd_cli.report.verdict import candidates, number
from test_report import close, rows, runs_of, section


def cosine(u, v):
    return sum(map(mul, u, v)) / math.hypot(*u) / math.hypot(*v)


def deciding(run):
    """The figures of a run, by method and quantity."""
    f = {row["sample"]: float(row["f"]) for row in rows(run / "inputs.csv")}
    vectors = defaultdict(lambda: defaultdict(list))
    for row in rows(run / "relevance.csv"):
        if row["layer"] == "0":
            vectors[row["method"]][row["sample"]].append(float(row["relevance"]))
    found = {}
    seconds = json.loads((run / "environment.json").read_text())["durations"]["explain"]
    for method, own in vectors.items():
        kept = [sum(values) / f[sample] for sample, values in own.items()]
        found[method, "kept"] = statistics.median(kept)
        largest = max(abs(v) / f[sample] for sample, values in own.items() for v in values)
        found[method, "largest_input_relevance"] = largest
        found[method, "in_doubt_share"] = 0.0
        found[method, "explain_seconds"] = seconds
        pairs = [(v, vectors["train_free"][sample]) for sample, v in own.items()]
        pairs = [(u, v) for u, v in pairs if any(u) and any(v)]
        if pairs and method != "train_free":
            found[method, "cosine_to_train_free"] = statistics.mean(cosine(*p) for p in pairs)
    return found


def test_what_decides_is_what_the_runs_say(reported):
    expected = defaultdict(list)
    for (rule, _), run in sorted(runs_of(reported).items()):
        if rule != "zB":
            for key, value in deciding(run).items():
                expected[rule, *key].append(value)
    table = rows(reported / "report" / "summary.csv")
    told = {(r["rule"], r["method"], r["quantity"]): r for r in table if r["method"]}
    for key, values in expected.items():
        assert close(told[key]["median"], statistics.median(values))
        assert close(told[key]["min"], min(values))
    whole = {key[2] for key, row in told.items() if not row["layer"]}
    assert whole == {key[2] for key in expected}


def test_the_page_begins_with_them(reported):
    page = (reported / "report" / "index.html").read_text()
    answer = page[page.index('<section id="answer"') : page.index("<nav")]
    assert answer.count("<tr>") == 1 + 2 * 3
    assert "Recursive relevance: " in answer
    assert "e−16" not in page
    assert section(page, "configurations").count("<tr>") == 1 + 2


SETTINGS = {
    "z+": {"rule": "z+", "network": "mlp"},
    "w2": {"rule": "w2", "network": "mlp"},
    "x": {"rule": "x", "network": "mlp"},
    "other": {"rule": "w2", "network": "paper"},
    "alone": {"rule": "x", "network": "paper"},
}


@pytest.fixture
def study():
    """Two runs of each of five configurations; of their results only that they have no warnings."""
    runs = [
        Run(None, f"run{seed}", {**settings, "seed": seed}, Status.DONE)
        for settings in SETTINGS.values()
        for seed in range(2)
    ]
    results = dict.fromkeys(range(10), type("Results", (), {"warnings": ()}))
    return Study.of(runs, results)


def figures(study, **kept):
    values = [value for name in SETTINGS for value in kept[name]]
    return pd.DataFrame(
        {
            "run": range(10), "method": "recursive", "quantity": "kept", "value": values,
            "configuration": [study.labels[run] for run in range(10)],
        }
    )  # fmt: skip


SPREAD = {
    "w2": (0.5, 0.7), "z+": (0.9, 1.0), "x": (1.2, 1.0), "other": (0.1, 0.1), "alone": (0.2, 0.2)
}  # fmt: skip


def best(study, **kept):
    subjects = candidates(study, figures(study, **{**SPREAD, **kept}))
    assert list(subjects) == ["network=mlp", "network=paper"]
    return {
        (subject, one.how): one.figures["kept"].best
        for subject, rivals in subjects.items()
        for one in rivals
    }


def test_best_is_marked_among_those_that_explain_the_same(study):
    marked = best(study)
    # Its spread reaches that of the best.
    assert [how for (subject, how), is_best in marked.items() if is_best] == ["z+", "x", "x"]
    assert list(marked)[:3] == [("network=mlp", how) for how in ("z+", "x", "w2")]
    alone = best(study, x=(1.5, 1.6))
    assert [how for (_, how), is_best in alone.items() if is_best] == ["z+", "x"]


def test_where_all_tie_none_is_best(study):
    same = dict.fromkeys(SETTINGS, (1.0, 1 + 1e-9))
    assert not any(best(study, **same).values())
    said = dict(in_words(candidates(study, figures(study, **same))))
    assert said["network=mlp"][0] == (
        "Recursive relevance: all 3 configurations tie with 2 seeds each, and keep 1 of f(x)."
    )


def test_what_is_a_median_and_what_is_a_mean(study):
    *_, (subject, said) = in_words(candidates(study, figures(study, **SPREAD)))
    assert subject == ""
    assert said == [
        "Shares of f(x) are medians over the samples of a run, and cosines means.",
        "Over 2 seeds all are medians, with the quartiles in brackets.",
        "The ledger has means over the samples, so that its order may be another.",
    ]


def test_the_least_seconds_are_the_fastest(study):
    seconds = figures(study, **SPREAD).assign(quantity="explain_seconds")
    [rivals, _] = candidates(study, seconds).values()
    table = verdict(rivals, study)
    marks = {cell.mark for row in table.rows for cell in row}
    assert marks == {"fastest", ""}


def test_in_words(study):
    said = dict(in_words(candidates(study, figures(study, **SPREAD))))
    assert said["network=mlp"] == [
        "Recursive relevance: z+ and x tie: they come nearest to f(x), with 0.95 (0.925 to 0.975) "
        "of it; w2 is furthest off, with 0.6 (0.55 to 0.65)."
    ]
    assert said["network=paper"] == [
        "Recursive relevance: x comes nearest to f(x), with 0.2 of it; w2 is furthest off, "
        "with 0.1."
    ]


def test_rounding_is_zero():
    assert [number(v) for v in (1.57e-16, -1.57e-16, 1e-7, -0.12345)] == [
        "0", "0", "1e−07", "−0.123"
    ]  # fmt: skip


@pytest.mark.usefixtures("no_pictures")
def test_faithfulness_is_told_where_it_was_measured(reported, tmp_path):
    shutil.copytree(runs_of(reported)["z+", 0], tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    areas = [("train_free", "low", 0, 0.25), ("train_free", "low", 1, 0.5),
             ("train_free", "mean", 0, 0.125), ("random", "low", 0, 9.0)]  # fmt: skip
    table = pd.DataFrame(areas, columns=["method", "baseline", "sample", "area"])
    with folder.adding(["faithfulness.csv"]):
        folder.write_table("faithfulness.csv", table)
    page = write_report(tmp_path, progress=False).read_text()
    told = rows(tmp_path / "report" / "summary.csv")
    flipped = {
        (r["method"], r["quantity"], float(r["median"])) for r in told if "flipped" in r["quantity"]
    }
    assert flipped == {
        ("train_free", "flipped_to_low", 0.375), ("train_free", "flipped_to_mean", 0.125)
    }  # fmt: skip
    assert "flipped to black" in page
    with folder.adding(["faithfulness.csv"]):
        folder.write_table("faithfulness.csv", table.assign(area="a lot"))
    page = write_report(tmp_path, progress=False).read_text()
    assert "faithfulness.csv: " in page
    assert "flipped to black" not in page
