"""The experiments: every one runs, its tables are measured right, and the README holds them."""

from __future__ import annotations

import csv
import math
import operator
import os
import re
import sys
from dataclasses import replace
from itertools import pairwise
from statistics import mean, median

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file
from scipy.spatial import HalfspaceIntersection

import document
import dtd
import rerun
import shown
import width
from dtd_cli.app.choices import groups
from runs import NoResult, Run, runs
from tables import TABLES
from test_cli import dtd_run

NAMES = groups()["experiment"]
SMALL = rerun.QUICK | {
    "maximum": ("inputs.points=3,4",),
    "full_backward": ("inputs.n=3", "roots.directions=4"),
    # The network with seed 7 is dead.
    "roots_leave_region": ("inputs.n=4", "rule=z+,w2", "seed=1,7"),
    "roots_leave_region_gamma": ("inputs.n=4", "rule.gamma=1", "seed=1"),
    "rank_collapse": ("inputs.n=3", "rule=z+", "seed=0,1"),
    "output_scaling": ("inputs.n=2", "seed=2"),
    "output_scaling_published": ("inputs.n=2", "seed=1"),
    "regions_2d": ("inputs.points=3", "plots=none", "seed=1"),
    "root_strategies": ("inputs.n=2",),
    "constant_roots": ("inputs.n=3", "rule=zero,z+"),
    "conservation_width": ("seed=0", "network.hidden=[32,32]", "training.epochs=1"),
    "conservation_width_cnn": ("seed=0", "network.channels=[2,4]", "training.epochs=1"),
    "conservation_width_cnn_wide": (
        "seed=0",
        "network.channels=[2,4]",
        "relevance.sampled_paths=500",
        "training.epochs=1",
    ),
    "conservation_width_depth": ("seed=0", "network.hidden=[8,8,8]", "training.epochs=1"),
    **{
        f"conservation_width_{name}": ("seed=0", "network.hidden=[16,16]")
        for name in ("gamma_random", "random", "x")
    },
    **{
        f"conservation_width_{name}": ("seed=0", "network.hidden=[32,32]", "training.epochs=1")
        for name in ("gamma", "mnist", "slow", "x_trained")
    },
}
FEWER = {
    "conservation": ["rule=z+,gamma", "network.hidden=[16],[16,16]"],
    "conservation_box": ["network.hidden=[16],[16,16]"],
    "conservation_degree": ["rule=gamma", "network.hidden=[16]"],
    "conservation_degree_box": ["network.hidden=[16,16]"],
    "conservation_degree_random": ["rule=gamma", "relevance.degree=2,inf"],
    "conservation_integral": ["rule=z+"],
    "conservation_random": ["rule=z+", "network.hidden=[16]"],
    "conservation_random_box": ["network.hidden=[16]"],
    "published_protocol": ["rule=z+,pinv", "inputs.n=4"],
    "published_protocol_gamma": ["rule.gamma=1", "inputs.n=4"],
    "rules_2layer": ["rule=z+,zero"],
    "upper_relevance": ["rule=w2"],
    "faithfulness": ["inputs.n=2"],
    "faithfulness_mnist": ["inputs.n=1"],
    "conservation_width_cnn": ["network.channels=[1,2]"],
    "conservation_width_cnn_wide": ["network.channels=[1,2]"],
    "constant_roots": ["inputs.n=2"],
    "any_explanation": ["training.epochs=2"],
}
OF_MNIST = {
    "conservation_width_cnn",
    "conservation_width_cnn_wide",
    "conservation_width_mnist",
    "faithfulness_mnist",
}
"""A tenth of the images is enough to train on."""
SMALLER = {
    name: (
        *settings,
        *["inputs.n=2"] * name.startswith("conservation"),
        *["relevance.sampled_paths=200"] * name.startswith("conservation_width"),
        *["training.test_fraction=0.9"] * (name in OF_MNIST),
        *["plots=none"] * ("plots=none" not in settings),
        *FEWER.get(name, []),
    )
    for name, settings in SMALL.items()
}
"""Few rules and depths, two samples and no pictures; test_configs.py runs all rules, and
test_plots.py draws all pictures."""


class Here:
    """Does each piece of work in this process, where all is imported already."""

    def each(self, work, items):
        return (work(*item) for item in items)


def runs_here(monkeypatch):
    """An experiment is run as the tests run the program."""
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(rerun, "dtd_run", lambda: sys.exit(dtd_run(monkeypatch, *sys.argv[1:])))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((SMALLER, Here()), id="few"),
        pytest.param((SMALL, rerun.Processes(1)), id="all", marks=pytest.mark.exhaustive),
    ],
)
def folder(tmp_path_factory, request):
    """The small runs of all experiments, and their tables."""
    folder = tmp_path_factory.mktemp("experiments")
    experiments, processes = request.param
    with pytest.MonkeyPatch.context() as patch:
        for name, value in os.environ.items():
            patch.setenv(name, value)
        if isinstance(processes, Here):
            runs_here(patch)
        rerun.run_all(folder, experiments, processes)
        rerun.measure_all(folder, folder / "results", processes)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return folder / "results"


def rows(run, name):
    with (run.path / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else math.nan


def finished(folder, experiment, **settings):
    """The runs with these settings."""
    names = {"rule": "rule.name", "init": "network.init", "points": "inputs.points",
             "roots": "relevance.root_dependence", "seed": "seed",
             "gamma": "rule.gamma", "search": "input_roots.name"}  # fmt: skip
    found = [
        run
        for run in runs(folder / experiment)
        if run.done and all(run.setting(names[k]) == value for k, value in settings.items())
    ]
    assert found
    return found


def test_every_experiment_is_rerun(folder):
    assert set(rerun.QUICK) == set(NAMES)
    assert {name for table in TABLES.values() for name in table.experiments} == set(NAMES)
    for name in NAMES:
        assert any(run.done for run in runs(folder / name))


def test_same_region(folder, results):
    stored = pd.read_csv(results / "roots_leave_region.csv")
    for rule in ("z+", "w2"):
        (run,) = finished(folder, "roots_leave_region", rule=rule)
        f = {row["sample"]: float(row["f"]) for row in rows(run, "inputs")}
        layer = [row for row in rows(run, "roots") if row["layer"] == "0"]
        unit = {
            finder: {(r["sample"], r["neuron"]): r for r in layer if r["finder"] == finder}
            for finder in ("closed_form", "polytope")
        }
        active = {
            key: row
            for key, row in unit["closed_form"].items()
            if row["status"] in ("found", "approximate")
        }
        (row,) = stored[(stored["rule"] == rule) & (stored["status"] == "done")].to_dict("records")
        assert row["units"] == len(active) > 20
        assert row["same_region"] == pytest.approx(
            mean(r["same_region"] == "True" for r in active.values())
        )
        assert row["same_output"] == pytest.approx(
            mean(abs(float(r["output_change"])) < 1e-9 * f[r["sample"]] for r in active.values())
        )
        assert row["distance"] == pytest.approx(
            median(float(r["distance"]) for r in active.values())
        )
        assert row["certified"] == pytest.approx(
            mean(unit["polytope"][key]["status"] == "found" for key in active)
        )
        for method, column in (("train_free", "published"), ("recursive", "published_exact")):
            away = {r["sample"]: False for r in rows(run, "published_roots")}
            for r in rows(run, "published_roots"):
                away[r["sample"]] |= r["method"] == method and r["another_gradient"] == "True"
            assert row[column] == pytest.approx(mean(away.values()))


def test_dead_networks_are_named(results):
    stored = pd.read_csv(results / "roots_leave_region.csv")
    assert (stored["status"] == "dead").sum() == 2
    table = shown.same_region(stored)
    assert "1 network; dead: seed 7." in table
    assert table.count("`z+`") == 1


def test_summed_root(folder, results):
    stored = pd.read_csv(results / "rules_2layer.csv")
    assert {"z+", "zero", "gamma"} <= set(stored["rule"])
    (run,) = finished(folder, "rules_2layer", rule="z+")
    for row in stored[stored["rule"] == "z+"].to_dict("records"):
        entries = [r for r in rows(run, "summed_root") if int(r["neuron"]) == row["neuron"]]
        gradient = [float(r["gradient"]) for r in entries]
        assert row["gradient_norm"] == pytest.approx(math.hypot(*gradient))
        assert row["root_2"] == float(entries[1]["root"])
        assert row["relevance_at_root"] == float(entries[2]["relevance_at_root"])


def weights_of(run):
    """Weights and biases of the layers of a run's network."""
    stored = load_file(run.path / "network.safetensors")
    names = sorted({name.rpartition(".")[0] for name in stored}, key=int)
    return [
        [stored[f"{name}.{kind}"].double().numpy() for kind in ("weight", "bias")] for name in names
    ]


def test_changes_at_published_points(folder, results):
    stored = pd.read_csv(results / "published_protocol.csv")
    stored = stored[stored["rule"] == "z+"]
    (run,) = finished(folder, "published_protocol", rule="z+")
    f = {r["sample"]: float(r["f"]) for r in rows(run, "inputs")}
    points = [r for r in rows(run, "published_roots") if r["method"] == "train_free"]
    change = [float(r["output_change"]) for r in points]
    falls = [-c / f[r["sample"]] for c, r in zip(change, points, strict=True)]
    away = {r["sample"] for r in points if r["another_gradient"] == "True"}
    bins = stored[(stored["points"] == "train_free") & (stored["hidden"] == "[10, 10]")]
    for row in bins.to_dict("records"):
        inside = [row["low"] <= fall < row["high"] for fall in falls]
        if row["low"] == bins["low"].min():
            inside = [fall < row["high"] for fall in falls]
        assert row["share"] == pytest.approx(mean(inside))
        assert row["unchanged"] == mean(abs(c) < 1e-6 for c in change)
        assert row["rises"] == mean(c >= 1e-6 for c in change)
        assert row["inputs"] == len(away) / len(f)
    assert bins["share"].sum() == pytest.approx(1)
    assert bins["share"].max() < 1


def test_proportions_along_a_ray(folder, results):
    stored = pd.read_csv(results / "upper_relevance.csv").set_index(["rule", "method", "c"])
    (run,) = finished(folder, "upper_relevance", rule="w2")
    for method in ("train_free", "recursive"):
        at = {}
        for r in rows(run, "upper_relevance"):
            if r["method"] == method:
                key = (r["sample"], round(float(r["c"]), 6))
                at.setdefault(key, []).append(float(r["relevance"]))
        distances = []
        for (sample, c), values in at.items():
            if c == 0.75:
                wanted = [c * value for value in at[sample, 1.0]]
                apart = zip(values, wanted, strict=True)
                distances.append(sum(abs(a - b) for a, b in apart) / sum(map(abs, wanted)))
        assert stored.loc[("w2", method, 0.75), "distance"] == pytest.approx(median(distances))


def test_the_mean_root_of_the_scan(folder, results):
    stored = pd.read_csv(results / "gamma_scan.csv")
    (run,) = finished(folder, "gamma_scan", gamma=10)
    found = {}
    for r in rows(run, "root_points"):
        if r["layer"] == "0" and r["finder"] == "random":
            found.setdefault(r["neuron"], []).append(float(r["value"]))
    (w1, b1), (w2, b2) = weights_of(run)
    hidden = np.maximum(w1 @ np.mean(list(found.values()), 0) + b1, 0)
    (row,) = stored[stored["gamma"] == 10].to_dict("records")
    assert row["units"] == len(found) > 0
    assert [row[f"mean_{unit}"] for unit in range(5)] == pytest.approx(hidden)
    assert row["f_mean"] == pytest.approx(max((w2 @ hidden + b2).item(), 0))


def test_the_region_that_chains_are_in(folder, results):
    """Its corners, where the kinks of all units meet, from the weights alone."""
    stored = pd.read_csv(results / "region_chains.csv")
    (run,) = finished(folder, "region_chains", search="metropolis")
    layers, reach = weights_of(run), run.setting("input_roots.radius")
    for sample, x in enumerate(run.features().to_numpy()):
        slope, shift, kinks = np.eye(2), np.zeros(2), []
        for w, b in layers:
            slope, shift = w @ slope, w @ shift + b
            active = slope @ x + shift > 0
            sign = np.where(active, -1, 1)[:, None]
            kinks.append(np.c_[sign * slope, sign[:, 0] * shift])
            slope, shift = slope * active[:, None], shift * active
        far = reach * x.max()
        low, high = np.maximum(0, x - far), x + far
        box = np.r_[np.c_[-np.eye(2), low], np.c_[np.eye(2), -high]]
        # A unit that everything below leaves dead has no kink.
        halves = np.r_[np.concatenate(kinks), box]
        halves = halves[np.abs(halves[:, :2]).max(1) > 0]
        width = np.ptp(HalfspaceIntersection(halves, x).intersections, axis=0)
        some = stored[(stored["search"] == "metropolis") & (stored["sample"] == sample)]
        assert some["whole"].to_numpy() == pytest.approx(width, rel=1e-6)
        assert (some["covered"] <= 1 + 1e-9).all()


def test_full_backward(folder, results):
    (run,) = finished(folder, "full_backward")
    conserved = [
        float(r["conserved"]) for r in rows(run, "agreement") if r["method"] == "recursive"
    ]
    stored = pd.read_csv(results / "full_backward.csv").set_index(["method", "quantity"])
    assert stored.loc[("recursive", "conserved"), "median"] == pytest.approx(median(conserved))
    sizes = pd.read_csv(results / "full_backward_regions.csv").set_index(["layer", "quantity"])
    for layer in (0, 1, 2):
        widths = [float(r["high"]) - float(r["low"]) for r in rows(run, "region_size")
                  if int(r["layer"]) == layer]  # fmt: skip
        assert sizes.loc[(layer, "width"), "median"] == pytest.approx(median(widths))
    tree = pd.read_csv(results / "full_backward_tree.csv")
    assert list(tree["units"]) == [10, 10 * tree["roots"][0], tree["roots"][1]]


def test_output_scaling(folder, results):
    stored = pd.read_csv(results / "output_scaling.csv")
    (run,) = finished(folder, "output_scaling", init="nonpositive_bias", seed=2)
    want = [(float(r["c"]), float(r["ratio"])) for r in rows(run, "output_scaling")
            if float(r["c"]) in (0, 0.25, 0.5, 0.75)]  # fmt: skip
    some = stored[(stored["init"] == "nonpositive_bias") & (stored["seed"] == 2)]
    np.testing.assert_allclose(some[["c", "ratio"]], want)
    assert len(want) == 8


def test_regions(folder, results):
    stored = pd.read_csv(results / "regions_2d.csv")
    stored = stored[stored["reach"] == 5].set_index("init")
    for init in ("default", "nonpositive_bias"):
        (run,) = finished(folder, "regions_2d", init=init)
        cells = {}
        for row in rows(run, "regions"):
            cells.setdefault(row["region"], []).append(row)
        area = flat = 0.0
        for cell in cells.values():
            corners = [(float(r["x_i"]), float(r["x_k"])) for r in cell]
            # Triangles from the first corner.
            x, y = corners[0]
            size = sum(
                abs((a - x) * (d - y) - (c - x) * (b - y)) / 2
                for (a, b), (c, d) in pairwise(corners[1:])
            )
            area += size
            flat += size * (float(cell[0]["gradient_i"]) == 0 == float(cell[0]["gradient_k"]))
        assert stored.loc[init, "regions"] == len(cells)
        assert stored.loc[init, "flat_area"] == pytest.approx(flat / area)


def test_maximum(folder, results):
    stored = pd.read_csv(results / "maximum.csv")
    (run,) = finished(folder, "maximum", points=4)
    x = {r["sample"]: (float(r["x1"]), float(r["x2"])) for r in rows(run, "inputs")}
    for method in ("train_free", "simple_taylor"):
        worst = 0.0
        for r in rows(run, "relevance"):
            if r["method"] == method and r["layer"] == "0":
                one, two = x[r["sample"]]
                high, low = max(one, two) - min(one, two) / 2, min(one, two) / 2
                first_is_larger = one >= two
                wanted = high if first_is_larger == (r["neuron"] == "0") else low
                worst = max(worst, abs(float(r["relevance"]) - wanted))
        fine = stored[(stored["method"] == method) & np.isclose(stored["spacing"], 1 / 3)]
        assert fine["error"].item() == pytest.approx(worst, abs=1e-15)
        assert (worst < 1e-12) == (method == "train_free")


def test_constant_roots(results):
    stored = pd.read_csv(results / "constant_roots.csv").set_index(["rule", "roots"])
    shared = stored.loc[("zero", "constant")]
    assert shared["spread"] == 0
    assert shared["error"] < 1e-12
    assert stored.loc[("z+", "constant"), "spread"] > 0.1
    assert stored.loc[("z+", "constant"), "error"] > 1e-3


def test_rank_collapse(folder, results):
    stored = pd.read_csv(results / "rank_collapse.csv").set_index(["seed", "layers"])
    (run,) = finished(folder, "rank_collapse", seed=1)
    for layers in (1, 10):
        want = [float(r["mean_cosine"]) for r in rows(run, "rank_collapse")
                if int(r["layers"]) == layers]  # fmt: skip
        assert stored.loc[(1, layers), "mean_cosine"] == pytest.approx(mean(want))


def test_tables_that_are_the_runs_own(folder, results):
    (run,) = finished(folder, "notebook")
    stored = pd.read_csv(results / "notebook_ledger.csv", keep_default_na=False)
    stored = stored.set_index(["method", "roots"])
    for row in rows(run, "layers"):
        if row["layer"] == "0":
            assert stored.loc[(row["method"], row["roots"]), "remainder"] == float(row["remainder"])
    places = {(r["finder"], r["neuron"]): number(r["position"]) for r in rows(run, "search_roots")
              if r["layer"] == "0"}  # fmt: skip
    roots = pd.read_csv(results / "notebook_roots.csv")
    assert len(roots) == len(places) == 10
    for row in roots.to_dict("records"):
        wanted = places[row["finder"], str(row["neuron"])]
        assert row["position"] == wanted or math.isnan(wanted)
    strategies = pd.read_csv(results / "root_strategies.csv")
    (run,) = finished(folder, "root_strategies")
    assert len(strategies) == sum(r["layer"] == "0" for r in rows(run, "strategies"))
    named = pd.read_csv(results / "any_explanation.csv")
    assert named["largest_difference"].item() < 1e-9
    assert named["largest_residual"].item() < 1e-9


def test_what_was_measured_can_be_shown(results):
    empty = "".join(f"<!-- table {name} -->\n<!-- end {name} -->\n" for name in TABLES)
    full = rerun.written(empty, results)
    assert rerun.written(full, results) == full
    for name in (name for name, table in TABLES.items() if not table.missing):
        block = full.partition(f"<!-- table {name} -->\n")[2].partition("<!-- end")[0]
        table = [line for line in block.splitlines() if line.startswith("|")]
        assert len(table) > 2
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_the_readme_shows_what_is_stored():
    text = rerun.README.read_text()
    assert rerun.written(text, rerun.RESULTS) == text
    assert {path.stem for path in rerun.RESULTS.iterdir()} == set(TABLES)


def test_the_readme_names_every_experiment_and_types_no_table():
    text = rerun.README.read_text()
    assert set(re.findall(r"^dtd-run experiment=(\w+)$", text, re.MULTILINE)) == set(NAMES)
    typed = re.sub(r"<!-- table (\w+) -->.*?<!-- end \1 -->", "", text, flags=re.DOTALL)
    assert not [line for line in typed.splitlines() if line.startswith("|")]


def test_a_table_needs_its_place():
    place = "a <!-- table t -->\nold\n<!-- end t --> b"
    assert document.filled(place, {"t": "new"}) == "a <!-- table t -->\nnew\n<!-- end t --> b"
    for wrong in ("a", place + place, "<!-- table t -->"):
        with pytest.raises(ValueError, match="table t needs one place"):
            document.filled(wrong, {"t": "new"})


@pytest.fixture
def _environment_of_its_own(monkeypatch):
    for name, value in os.environ.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_environment_of_its_own")
def test_processes_answer_in_the_order_of_what_they_are_asked():
    calls = [("a", "b"), ("c", "d"), ("e", "f")]
    assert [*rerun.Processes(2).each(operator.add, calls)] == ["ab", "cd", "ef"]


@pytest.mark.usefixtures("_environment_of_its_own")
def test_a_process_that_is_killed_is_said():
    with pytest.raises(NoResult, match="9: its process was killed"):
        list(rerun.Processes(2).each(os._exit, [(9,)]))


def test_an_experiment_without_a_result_is_named(monkeypatch, tmp_path):
    runs_here(monkeypatch)
    with pytest.raises(NoResult, match=r"seed=-1.* has no result\. seed=-1: allowed is"):
        rerun.run(tmp_path, "output_scaling_published", ("inputs.n=1", "seed=-1,2"))
    with pytest.raises(NoResult, match="experiment=notebook ended with 2:\ndtd-run: seed=-1: all"):
        rerun.run(tmp_path, "notebook", ("seed=-1",))


def test_numbers_in_words():
    assert document.share(0.12345) == "12.3 %"
    assert document.share(math.nan) == document.number(math.nan) == ""
    assert document.number(0.123456) == "0.1235"
    assert document.spread(pd.Series([0.3, 0.1, math.nan, 0.2])) == "20.0 % (10.0 % to 30.0 %)"
    assert document.grid(["a", "b"], [[1, "−|b|"]]) == "| a | b |\n| --- | --- |\n| 1 | −\\|b\\| |"


def test_a_run_without_a_result_is_not_passed_over(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "FAILED").write_text("OSError: no space\n")
    with pytest.raises(NoResult, match="no result"):
        list(runs(tmp_path))
    (tmp_path / "FAILED").write_text("inputs.threshold=0.1: only 3 of 100000\n")
    assert [run.dead for run in runs(tmp_path)] == [True]
    assert math.isnan(Run(tmp_path).setting("rule.name"))


def test_conservation_against_a_count_by_hand(folder, results):
    run = finished(folder, "conservation", rule="z+")[0]
    f = {r["sample"]: float(r["f"]) for r in rows(run, "inputs")}
    stored = pd.read_csv(results / "conservation.csv")
    hidden = str(list(run.config.network.hidden))
    stored = stored[(stored["rule"] == "z+") & stored["input_rule"].isna()]
    stored = stored[stored["hidden"] == hidden]
    assert len(stored)
    for row in stored.itertuples():
        shares = [
            float(r["relevance_sum"]) / f[r["sample"]]
            for r in rows(run, "layers")
            if r["method"] == row.method and int(r["layer"]) == row.layer
        ]
        assert row.conserved == pytest.approx(median(shares), rel=1e-12, abs=1e-15)
        assert row.below_output == len(run.config.network.hidden) + 1 - row.layer
    apart = [
        sum(abs(a - b) for a, b in zip(one, two, strict=True)) / sum(abs(b) for b in two)
        for one, two in zip(
            run.relevance("recursive").tolist(), run.relevance("train_free").tolist(), strict=True
        )
    ]
    assert stored["difference"].iloc[0] == pytest.approx(median(apart), rel=1e-12)


def test_the_box_is_for_the_input_layer_alone(results):
    stored = pd.read_csv(results / "conservation.csv")
    stored = stored[(stored["rule"] == "z+") & (stored["method"] == "recursive")]
    plain, box = (stored[stored["input_rule"].isna()], stored[stored["input_rule"] == "zB"])
    pairs = plain.merge(box, on=["hidden", "seed", "layer"], suffixes=("", "_box"))
    assert len(pairs) == len(plain) == len(box) >= 2 + 3
    upper = pairs["layer"] > 0
    assert (pairs["conserved"] == pairs["conserved_box"])[upper].all()
    assert not np.isclose(pairs["conserved"], pairs["conserved_box"])[~upper].any()


def test_degrees_add_up_to_what_the_table_shows(folder, results):
    stored = pd.read_csv(results / "conservation_degree.csv")
    stored = stored[(stored["rule"] == "gamma") & (stored["layer"] == 0)]
    stored = stored[stored["method"] == "recursive"].set_index(["hidden", "degree"])["conserved"]
    for run in finished(folder, "conservation_degree", rule="gamma"):
        shares = {r["sample"]: 0.0 for r in rows(run, "inputs")}
        f = {r["sample"]: float(r["f"]) for r in rows(run, "inputs")}
        for r in rows(run, "layers"):
            if r["method"] == "recursive" and r["layer"] == "0":
                shares[r["sample"]] += float(r["relevance_sum"]) / f[r["sample"]]
        place = (run.setting("network.hidden"), run.setting("relevance.degree"))
        assert stored[place] == pytest.approx(median(shares.values()), rel=1e-12, abs=1e-15)
    measured = pd.read_csv(results / "conservation_degree.csv")
    table = TABLES["conservation_degree"].show(measured)
    shown_once = f"| `gamma` | 2 | {' | '.join(map(document.share, stored['[16]'].sort_index()))} |"
    assert shown_once in table
    assert "| `zB` | 3 |" in table
    plain = measured[measured["input_rule"].isna()].groupby(["rule", "hidden"])["degree"].max()
    for (rule, hidden), highest in plain.items():
        # Depths of which the first degree alone was run are left out.
        assert (f"| `{rule}` | {hidden.count(',') + 2} |" in table) == (highest > 1)


@pytest.mark.parametrize("path", rerun.FIGURES, ids=lambda path: path.stem)
def test_the_figures(results, tmp_path, path):
    """From the tables that are published, which are like those that were measured here."""
    draw, names = rerun.FIGURES[path]
    published = [pd.read_csv(rerun.RESULTS / f"{name}.csv") for name in names]
    for name, table in zip(names, published, strict=True):
        assert list(pd.read_csv(results / f"{name}.csv")) == list(table)
    draw(*published, tmp_path / "figure.png")
    assert (imread(tmp_path / "figure.png")[..., :3].std((0, 1)) > 0.05).all()
    assert path.stat().st_size < 300_000


def test_widths_against_a_count_by_hand(folder, results):
    """Steps and gates of the roots of all active units, from the weights alone."""
    stored = pd.read_csv(results / "conservation_width.csv")
    run = next(r for r in finished(folder, "conservation_width")
               if r.setting("network.hidden") == "[32, 32]")  # fmt: skip
    stored = stored[stored["hidden"] == "[32, 32]"].set_index("layer")
    weights = load_file(run.path / "network.safetensors")
    layers = [(weights[f"{l}.weight"].numpy(), weights[f"{l}.bias"].numpy())
              for l in (0, 2, 4)]  # fmt: skip
    f = {row["sample"]: float(row["f"]) for row in rows(run, "inputs")}
    steps, same, changed = [], [], []
    for x in run.features().to_numpy():
        (w0, b0), *upper = layers
        a = np.maximum(w0 @ x + b0, 0)
        (w, b), last = upper
        z = w @ a + b
        for j in np.flatnonzero(z > 0):
            t = z[j] / (np.maximum(w[j], 0) @ a)
            root = np.where(w[j] >= 0, (1 - t) * a, a)
            gates = []
            for point in (a, root):
                u = w @ point + b
                gates.append(np.r_[np.delete(u, j) > 0, last[0] @ np.maximum(u, 0) + last[1] > 0])
            differ = gates[0] != gates[1]
            steps.append(t)
            same.append(not differ.any())
            # The own gate counts as one that does not change.
            changed.append(differ.sum() / (len(differ) + 1))
    assert stored["step"][1] == pytest.approx(sorted(steps)[(len(steps) - 1) // 2])
    assert stored["same_region"][1] == pytest.approx(mean(same))
    assert stored["gates"][1] == pytest.approx(mean(changed))
    shares = [float(r["relevance_sum"]) / f[r["sample"]] for r in rows(run, "layers")
              if r["method"] == "recursive" and r["layer"] == "0"]  # fmt: skip
    assert stored["kept"][0] == pytest.approx(median(shares))


def test_exponents():
    width_of = np.repeat([16, 32, 64, 128], 3)
    factor = np.tile([1, 2, 4], 4)
    rows = pd.DataFrame({"width": width_of, "fitted_from": 32, "step": factor / width_of**0.5})
    value, error = width.exponent(rows, "step")
    assert value == pytest.approx(-0.5)
    assert 0.1 < error < 1
    # Narrow networks, and values without a logarithm, are left out.
    rows.loc[rows["width"] == 16, "step"] = 1e9
    rows.loc[4, "step"] = 0
    assert abs(width.exponent(rows, "step")[0] + 0.5) < 1
    value, error = width.exponent(rows[rows["width"] < 64], "step")
    assert math.isnan(value)
    assert math.isnan(error)


def test_faithfulness_against_flipping_by_hand(folder, results):
    pytest.importorskip("quantus", reason="needs pip install -e '.[metrics]'")
    stored = pd.read_csv(results / "faithfulness.csv")
    (run,) = finished(folder, "faithfulness")
    network = dtd.load(run.path / "network.safetensors")
    x, (first, *_) = run.features().to_numpy(), rows(run, "inputs")
    order = np.argsort(-run.relevance("train_free")[0])
    for baseline, value in (("low", 0), ("mean", x.mean())):
        image, curve = x[0].copy(), [1.0]
        for pair in order.reshape(-1, 2):
            image[pair] = value
            outputs = network.forward(torch.from_numpy(image).unsqueeze(0))
            curve.append(float(outputs[0, int(first["output"])]) / float(first["f"]))
        area = sum(a + b for a, b in pairwise(curve)) / 64
        row = stored[(stored["method"] == "train_free") & (stored["baseline"] == baseline)
                     & (stored["data"] == "digits") & (stored["sample"] == 0)]  # fmt: skip
        assert row["area"].item() == pytest.approx(area, rel=1e-5)


def test_what_needs_a_package_that_is_missing_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(
        rerun, "TABLES", {"faithfulness": replace(TABLES["faithfulness"], needs="no")}
    )
    said = rerun.measure(tmp_path, tmp_path / "results", "faithfulness")
    assert said.startswith("faithfulness stays as it is: it needs no")
    text = "<!-- table faithfulness -->\nold\n<!-- end faithfulness -->"
    assert rerun.written(text, tmp_path / "results") == text
