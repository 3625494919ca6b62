"""``dtd-report``: what it says of real runs, computed again from their files with few words."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
from scipy.stats import spearmanr

from dtd.errors import InvalidSetting
from dtd_cli.records.reading import UnreadableError
from dtd_cli.report import story, write_report
from dtd_cli.report.command import main
from dtd_cli.report.results import read_results
from dtd_cli.report.scan import scan


@pytest.fixture
def sweep(swept, tmp_path):
    """A copy to change."""
    return shutil.copytree(swept, tmp_path / "sweep")


@pytest.fixture
def again(reported, tmp_path):
    """A copy to change, with its report."""
    return shutil.copytree(reported, tmp_path / "sweep")


def runs_of(sweep):
    """The folders of the runs by rule and seed."""
    found = {}
    for path in sweep.rglob(".hydra/overrides.yaml"):
        given = dict(line[2:].split("=", 1) for line in path.read_text().splitlines())
        found[given["rule"], int(given["seed"])] = path.parents[1]
    return found


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def report_files(sweep):
    return {path.name: path.read_bytes() for path in (sweep / "report").iterdir()}


def section(page, name):
    start = page.index(f'<details id="{name}"')
    return page[start : page.index("</details>", start)]


def shares(run):
    """The ledger's entries as shares of f, by method, layer and entry: one for each sample."""
    f = {row["sample"]: float(row["f"]) for row in rows(run / "inputs.csv")}
    found = defaultdict(list)
    for row in rows(run / "layers.csv"):
        for entry in list(row)[4:-1]:
            share = float(row[entry]) / f[row["sample"]]
            found[row["method"], int(row["layer"]), entry].append(share)
    return found


def root_shares(run):
    """Of the active units the share with a root, and what the roots are like."""
    found = {}
    units = defaultdict(list)
    for row in rows(run / "roots.csv"):
        units[row["finder"], int(row["layer"])].append(row)
    for (finder, layer), group in units.items():
        active = [row for row in group if row["status"] != "inactive"]
        rooted = [row for row in group if row["status"] in ("found", "approximate")]
        found[finder, layer, "root_share"] = len(rooted) / len(active)
        for name in ("admissible", "same_region"):
            inside = sum(row[name] == "True" for row in rooted)
            found[finder, layer, f"{name}_share"] = inside / len(rooted)
    return found


def expected_summary(sweep):
    """What ``summary.csv`` is to say of the ledger and the roots, from the runs' own files."""
    values = defaultdict(list)
    for (rule, _), run in sorted(runs_of(sweep).items()):
        if not (run / "DONE").exists():
            continue
        for (method, layer, entry), per_sample in shares(run).items():
            values[rule, method, "", layer, f"{entry}_share"].append(statistics.mean(per_sample))
            if entry == "relevance_sum":
                key = (rule, method, "", layer, "relevance_sum_share_median")
                values[key].append(statistics.median(per_sample))
                # No limit of these networks is infinite.
                values[rule, method, "", layer, "left_out_share"].append(0)
        for (finder, layer, name), share in root_shares(run).items():
            values[rule, "", finder, layer, name].append(share)
    return values


def close(got, want):
    return math.isclose(float(got), want, rel_tol=1e-12, abs_tol=1e-14)


def test_the_summary_is_what_the_runs_say(reported):
    expected = expected_summary(reported)
    assert len(expected) > 50
    seen = set()
    for row in rows(reported / "report" / "summary.csv"):
        if not row["layer"]:
            continue
        key = (row["rule"], row["method"], row["finder"], int(row["layer"]), row["quantity"])
        over_seeds = expected[key]
        low, middle, high = statistics.quantiles(over_seeds, method="inclusive")
        assert int(row["runs"]) == len(over_seeds) == 3
        assert close(row["mean"], statistics.mean(over_seeds))
        assert close(row["std"], statistics.stdev(over_seeds))
        assert close(row["min"], min(over_seeds))
        assert close(row["max"], max(over_seeds))
        assert close(row["q25"], low)
        assert close(row["median"], middle)
        assert close(row["q75"], high)
        seen.add(key)
    assert seen == set(expected)


def test_the_runs_table_has_a_row_for_each_run(reported):
    table = rows(reported / "report" / "runs.csv")
    runs = runs_of(reported)
    assert len(table) == len(runs) == 9
    for row in table:
        run = runs[row["rule"], int(row["seed"])]
        assert reported / row["folder"] == run
        assert (row["network"], row["training"], row["inputs"]) == ("mlp", "adam", "digits")
        if row["rule"] == "zB":
            assert (row["status"], row["counted"], row["duration"]) == ("failed", "False", "")
            assert row["reason"] == (run / "FAILED").read_text().strip()
            assert row["f_mean"] == ""
            continue
        summary = json.loads((run / "summary.json").read_text())
        durations = json.loads((run / "environment.json").read_text())["durations"]
        assert (row["status"], row["reason"], row["counted"]) == ("done", "", "True")
        assert row["widths"] == "64-5-10"
        assert close(row["duration"], sum(durations.values()))
        assert float(row["f_mean"]) == summary["f_mean"]
        assert float(row["training.test_accuracy"]) == summary["training"]["test_accuracy"]
        kept = summary["conserved_by_layer"]["recursive"]["0"]
        assert float(row["conserved_by_layer.recursive.0"]) == kept
    # Of the settings only the main ones and those that differ.
    assert not {"training.epochs", "network.hidden", "network.seed", "sweep"} & set(table[0])


def test_relevance_is_that_of_the_runs_to_the_last_digit(reported):
    table = (reported / "report" / "relevance.csv").read_text().splitlines()
    assert table[0] == "run,rule,seed,method,sample,layer,order,neuron,activation,relevance,limits"
    number = {row["folder"]: row["run"] for row in rows(reported / "report" / "runs.csv")}
    expected = [
        f"{number[run.relative_to(reported).as_posix()]},{rule},{seed},{line}"
        for (rule, seed), run in runs_of(reported).items()
        if rule != "zB"
        for line in (run / "relevance.csv").read_text().splitlines()[1:]
    ]
    assert sorted(table[1:]) == sorted(expected)


def vectors(sweep):
    """The input's relevance by seed and sample, and then by method and configuration."""
    found = defaultdict(lambda: defaultdict(list))
    for (rule, seed), run in runs_of(sweep).items():
        if not (run / "DONE").exists():
            continue
        for row in rows(run / "relevance.csv"):
            if row["layer"] == "0":
                method = row["method"]
                name = "" if method == "gradient_x_input" else rule
                found[seed, row["sample"]][method, name].append(float(row["relevance"]))
                if method == "gradient_x_input":
                    del found[seed, row["sample"]][method, name][64:]
    return found


def test_similarity_is_what_the_definitions_say(reported):
    samples = vectors(reported)
    table = rows(reported / "report" / "similarity.csv")
    # Recursive and train-free by two rules, and gradient x input, which knows no rule.
    assert len(table) == 5 * 5
    for row in table:
        a = row["method"], row["configuration"]
        b = row["other_method"], row["other_configuration"]
        pairs = [(sample[a], sample[b]) for sample in samples.values()]
        # A sample without any relevance has no direction.
        pairs = [(u, v) for u, v in pairs if any(u) and any(v)]
        cosines = [
            sum(x * y for x, y in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))
            for u, v in pairs
        ]
        ranks = [spearmanr(u, v).statistic for u, v in pairs]
        assert int(row["samples"]) == len(pairs)
        assert len(pairs) >= 5
        assert math.isclose(float(row["cosine"]), statistics.mean(cosines), abs_tol=1e-12)
        assert math.isclose(float(row["spearman"]), statistics.mean(ranks), abs_tol=1e-12)


FIGURE, TABLE = (re.compile(rf"<{tag}.*?</{tag}>", re.DOTALL) for tag in ("figure", "table"))


PICTURES = 6
"""How many the report has."""


@pytest.mark.parametrize("count", [1, pytest.param(PICTURES, marks=pytest.mark.exhaustive)])
def test_made_again_it_is_the_same(again, monkeypatch, count):
    """So many of its pictures are drawn again."""
    pictures = story._pictures
    monkeypatch.setattr(story, "_pictures", lambda *given: [*pictures(*given)][-count:])
    first = report_files(again)
    assert {"index.html", "runs.csv", "relevance.csv", "summary.csv", "similarity.csv"} <= set(
        first
    )
    assert {"ledger.png", "similarity.png", "same_region.png"} <= set(first)
    assert {f"heatmaps_{m}.png" for m in ("recursive", "train_free", "gradient_x_input")} <= set(
        first
    )
    write_report(again, progress=False)
    second = report_files(again)
    page, new_page = (files.pop("index.html").decode() for files in (first, second))
    assert FIGURE.findall(page)[-count:] == FIGURE.findall(new_page)
    assert TABLE.findall(page) == TABLE.findall(new_page) != []
    # Fewer pictures are fewer words; the others stand in their order, and none is new.
    words = iter(page.split())
    assert all(word in words for word in new_page.split())
    assert new_page == page or count < PICTURES
    files, new_files = (found.pop(".files").split() for found in (first, second))
    assert {*new_files} <= {*files}
    assert second.items() <= first.items()
    assert len(second) == len(first) - PICTURES + count


def test_pictures_of_methods_with_foreign_names_have_names_of_their_own(monkeypatch):
    methods = {(method, 0): None for method in ("α", "β", "recursive")}
    group = SimpleNamespace(relevance=methods, run="a")
    monkeypatch.setattr(story, "problems", lambda study: [[group]])
    monkeypatch.setattr(story, "read_explanations", lambda study, group: group[0])
    monkeypatch.setattr(story.heatmaps, "heatmaps", lambda group, method: None)
    monkeypatch.setattr(story.heatmaps, "numbered", lambda group: "")
    names = [name for name, *_ in story._heatmaps(None)]
    assert names == ["heatmaps___0.png", "heatmaps___1.png", "heatmaps_recursive.png"]


def listed(sweep):
    """The runs by rule and seed."""
    return {(run.settings["rule"], run.settings["seed"]): run for run in scan(sweep, False)}


def only_one(sweep):
    """Of the runs that are done one stays: pictures of few runs cost little."""
    _, *others = sorted(path.parent for path in sweep.rglob("DONE"))
    for run in others:
        shutil.rmtree(run)


def test_a_run_that_was_cut_off(sweep):
    (runs_of(sweep)["z+", 1] / "DONE").unlink()
    found = listed(sweep)
    assert found["z+", 1].status == "interrupted"
    assert found["z+", 0].status == "done"
    assert found["zB", 0].status == "failed"


def test_a_run_that_never_began(sweep):
    shutil.rmtree(runs_of(sweep)["z+", 1])
    found = listed(sweep)
    assert found["z+", 1].status == "missing"
    assert "rule=z+ seed=1" in found["z+", 1].reason
    assert len(found) == 9


@pytest.mark.usefixtures("no_pictures")
def test_trouble_is_named_first_and_the_others_are_reported(sweep):
    runs = runs_of(sweep)
    (runs["z+", 0] / "DONE").unlink()
    path = runs["z+", 1] / "relevance.csv"
    path.write_text(path.read_text()[:-20])
    shutil.rmtree(runs["gamma", 2])
    page = write_report(sweep, progress=False).read_text()
    assert "9 runs: 3 done, 3 failed, 1 interrupted, 1 missing, 1 broken." in page
    trouble = section(page, "runs-without-a-result")
    assert page.index(trouble) < page.index('id="configurations"')
    for word in (
        "relevance.csv has another size",
        "never begun: rule=gamma seed=2",
        "neither DONE nor",
    ):
        assert word in trouble
    for seed in range(3):
        assert (runs["zB", seed] / "FAILED").read_text().strip() in unescape(trouble)
    assert trouble.count("<tr>") == 1 + 6
    counts = {(row["rule"], row["runs"]) for row in rows(sweep / "report" / "summary.csv")}
    assert counts == {("z+", "1"), ("gamma", "2")}
    table = rows(sweep / "report" / "relevance.csv")
    assert {(r["rule"], r["seed"]) for r in table} == {("z+", "2"), ("gamma", "0"), ("gamma", "1")}


@pytest.mark.parametrize(
    ("name", "broken", "reason"),
    [
        ("relevance.csv", lambda text: text[:-20], "relevance.csv: cut off"),
        (
            "relevance.csv",
            lambda text: "".join(text.splitlines(keepends=True)[:-30]),
            "relevance.csv: some samples have fewer rows",
        ),
        ("relevance.csv", lambda text: "", "relevance.csv: cut off"),
        ("relevance.csv", lambda text: text.replace("0.0,0.0", "a,b"), "relevance.csv: relevance"),
        ("relevance.csv", lambda text: text.replace("neuron", "unit"), "no column neuron"),
        ("layers.csv", lambda text: text + "a,b,c,d,e,f,g,h,i,j,k,l,m\n", "layers.csv: "),
        ("layers.csv", None, "layers.csv: "),
        ("inputs.csv", lambda text: text[:100], "inputs.csv: cut off"),
        ("summary.json", lambda text: text[:50], "summary.json: "),
        ("summary.json", lambda text: "{}", "summary.json: network: "),
        ("summary.json", lambda text: "[]", "summary.json: "),
        ("environment.json", lambda text: "", "environment.json: "),
    ],
)
def test_a_broken_file(sweep, name, broken, reason):
    run = runs_of(sweep)["z+", 1]
    read_results(run)
    path = run / name
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken(path.read_text()))
    with pytest.raises(UnreadableError) as error:
        read_results(run)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["a: [", "a list", "- 1", "\x00", ""])
def test_a_broken_configuration(sweep, content):
    run = runs_of(sweep)["z+", 1]
    (run / ".hydra" / "config.yaml").write_text(content)
    (found,) = [run for run in scan(sweep, False) if run.status == "broken"]
    assert found.path == run
    assert found.reason.startswith(".hydra/config.yaml: ")


@pytest.mark.usefixtures("no_pictures")
def test_a_repeated_run_counts_once(sweep):
    shutil.copytree(runs_of(sweep)["z+", 1], sweep / "zzz again")
    write_report(sweep, progress=False)
    table = rows(sweep / "report" / "runs.csv")
    (first, again) = [r for r in table if (r["rule"], r["seed"]) == ("z+", "1")]
    assert (first["counted"], again["counted"]) == ("False", "True")
    summary = rows(sweep / "report" / "summary.csv")
    # A run of which no sample has a direction has no cosine.
    counts = {row["runs"] for row in summary if row["quantity"] != "cosine_to_train_free"}
    assert counts == {"3"}


@pytest.mark.usefixtures("no_pictures")
def test_runs_with_other_columns_stand_in_one_table(sweep):
    """Relevance of a newer run may have a column more."""
    run = runs_of(sweep)["z+", 1]
    header, *lines = (run / "relevance.csv").read_text().splitlines()
    (run / "relevance.csv").write_text(
        "\n".join([header + ",stderr", *(f"{line},0.125" for line in lines)]) + "\n"
    )
    # Version 0.1 did not list the files.
    (run / "DONE").write_text("")
    write_report(sweep, progress=False)
    table = rows(sweep / "report" / "relevance.csv")
    assert {(row["stderr"]) for row in table if (row["rule"], row["seed"]) == ("z+", "1")} == {
        "0.125"
    }
    others = [row for row in table if (row["rule"], row["seed"]) == ("z+", "2")]
    assert {row["stderr"] for row in others} == {""}
    assert [row["relevance"] for row in others] == [
        row["relevance"] for row in rows(runs_of(sweep)["z+", 2] / "relevance.csv")
    ]


@pytest.mark.usefixtures("no_pictures")
def test_one_run_alone(sweep):
    run = runs_of(sweep)["gamma", 0]
    write_report(run, progress=False)
    (row,) = rows(run / "report" / "runs.csv")
    assert (row["folder"], row["status"]) == (".", "done")
    summary = rows(run / "report" / "summary.csv")
    assert {(row["runs"], row["std"]) for row in summary} == {("1", "")}


def test_only_failed_runs(sweep):
    for (rule, _), run in runs_of(sweep).items():
        if rule != "zB":
            shutil.rmtree(run)
    (sweep / "runs.json").unlink()
    page = write_report(sweep, progress=False)
    assert "3 runs: 3 failed." in page.read_text()
    assert rows(sweep / "report" / "summary.csv") == []
    assert not list((sweep / "report").glob("*.png"))


def test_pictures_that_no_longer_apply_go(again):
    assert list((again / "report").glob("*.png"))
    for run in runs_of(again).values():
        (run / "DONE").unlink(missing_ok=True)
    write_report(again, progress=False)
    assert not list((again / "report").glob("*.png"))


def test_no_run_no_report(tmp_path):
    with pytest.raises(InvalidSetting, match="no run below"):
        write_report(tmp_path, progress=False)
    with pytest.raises(InvalidSetting, match="no run below"):
        write_report(tmp_path / "missing", progress=False)
    assert not list(tmp_path.iterdir())


def test_the_command(sweep, tmp_path):
    """It says where the page is, and needs neither torch nor pyplot."""
    only_one(sweep)
    code = (
        "import sys\nfrom dtd_cli.report import story\nfrom dtd_cli.report.command import main\n"
        # All are made and one is drawn.
        "pictures = story._pictures\n"
        "story._pictures = lambda *given: [*pictures(*given)][-1:]\n"
        "main()\n"
        "print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, "sweep"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "sweep/report/index.html\n[]\n"


def refused(monkeypatch, capfd, *arguments):
    """What the command says on standard error when it refuses these arguments."""
    monkeypatch.setattr(sys, "argv", ["dtd-report", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    out, said = capfd.readouterr()
    assert (end.value.code, out) == (2, "")
    return said


def test_the_command_finds_no_run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    (line,) = refused(monkeypatch, capfd, "empty").splitlines()
    assert line.startswith("dtd-report: empty: no run below it")
    assert not list(Path("empty").iterdir())


def test_a_report_that_cannot_be_written(sweep, monkeypatch, capfd):
    monkeypatch.chdir(sweep.parent)
    (sweep / "report").write_text("a file is in the way")
    said = refused(monkeypatch, capfd, "sweep", "--quiet")
    assert said == "dtd-report: sweep/report: it is no folder; remove it or rename it\n"
    assert (sweep / "report").read_text() == "a file is in the way"


def test_help_is_light(tmp_path):
    code = (
        "import sys\nfrom dtd_cli.report.command import main\n"
        "sys.argv = ['dtd-report', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "slow = {'torch', 'pandas', 'matplotlib', 'scipy', 'numpy', 'hydra'} & set(sys.modules)\n"
        "print(sorted(slow))\n"
    )
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *said, slow = answer.stdout.splitlines()
    assert slow == "[]"
    for name in ("DIR", "--quiet", "runs.csv", "relevance.csv", "summary.csv", "similarity.csv"):
        assert name in "\n".join(said)
