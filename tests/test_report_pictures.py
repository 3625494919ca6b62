"""The report's pictures: what they show is what they are given, and it can be read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from dtd_cli.plots import Tables
from dtd_cli.records.columns import INPUT_TEXTS
from dtd_cli.report.explanations import Explanations
from dtd_cli.report.pictures.dark import darken
from dtd_cli.report.pictures.heatmaps import finding, heatmaps, numbered
from dtd_cli.report.pictures.ledger import ledger
from dtd_cli.report.pictures.regions import regions
from dtd_cli.report.pictures.similarity import finding as alike
from dtd_cli.report.pictures.similarity import similarity
from dtd_cli.report.settings import label, short_labels, varied
from dtd_cli.report.similarity import similarity_table

LONG = "gamma, gamma=0.25, hidden=[64, 32, 16, 8, 4], candidates=1000"
PIXELS = [f"pixel_{row}_{column}" for row in range(3) for column in range(4)]


def some_figures(configurations, seeds=3, methods=("recursive", "train_free"), size=1.0):
    draw = np.random.default_rng(0)
    ledger_parts = [f"{part}_share" for part in
                    ("relevance_sum", "zero_order", "unresolved", "remainder")]  # fmt: skip
    rows = [
        (seed + seeds * i, method, "", layer, part, size * draw.normal(), name)
        for i, name in enumerate(configurations)
        for seed in range(seeds)
        for method in methods
        for layer in range(3)
        for part in ledger_parts
    ]
    rows += [
        (seed + seeds * i, "", finder, layer, "same_region_share", draw.uniform(), name)
        for i, name in enumerate(configurations)
        for seed in range(seeds)
        for finder in ("closed_form", "random")
        for layer in range(3)
    ]
    columns = ["run", "method", "finder", "layer", "quantity", "value", "configuration"]
    return pd.DataFrame(rows, columns=columns)


def some_explanations(names=("z+", "w2"), features=PIXELS, samples=3, seed=0):
    draw = np.random.default_rng(seed)
    head = {"sample": range(samples), "status": "explained", "output": 0, "f": 2.0}
    head |= dict.fromkeys(INPUT_TEXTS, "")
    values = draw.uniform(size=(len(features), samples))
    inputs = pd.DataFrame({**head, **dict(zip(features, values, strict=True))})
    fixed = draw.normal(size=(samples, len(features)))
    relevance = {("recursive", name): draw.normal(size=fixed.shape) for name in names}
    relevance |= {("gradient_x_input", name): fixed for name in names}
    doubts = {entry: [""] * samples for entry in relevance}
    return Explanations(7, Tables(inputs=inputs), relevance, doubts)


def readable(picture):
    """Everything that is written lies inside the picture, and names on an axis lie apart."""
    renderer = FigureCanvasAgg(picture).get_renderer()
    picture.draw_without_rendering()
    drawn, (width, height) = picture.get_tightbbox(renderer), picture.get_size_inches()
    assert -0.01 <= drawn.x0 < drawn.x1 <= width + 0.01
    assert -0.01 <= drawn.y0 < drawn.y1 <= height + 0.01
    for axes in picture.axes:
        ticks = [t.get_window_extent(renderer) for t in axes.get_xticklabels() if t.get_text()]
        ticks = sorted((box for box in ticks if box.width), key=lambda box: box.x0)
        assert all(left.x1 <= right.x0 for left, right in pairwise(ticks))
    return picture


def table_of(groups, names):
    methods = ("recursive", "gradient_x_input")
    return similarity_table(groups, [(method, name) for method in methods for name in names])


@pytest.mark.parametrize("names", [["z+"], ["z+", "w2", "x"], [f"{LONG}{i}" for i in range(12)]])
def test_all_can_be_read(names):
    readable(ledger(some_figures(names)))
    readable(regions(some_figures(names)))
    group = some_explanations(names)
    readable(similarity(table_of([group], names)))
    readable(heatmaps(group, "recursive"))
    words = some_explanations(names, ["age", "a name of many letters", "$x$"])
    readable(heatmaps(words, "recursive"))


def test_the_ledger_shows_medians_and_quartiles_over_seeds():
    figures = some_figures(["z+", "w2"], seeds=5)
    panel = ledger(figures).axes[0]
    rows = figures[(figures["method"] == "recursive") & (figures["configuration"] == "w2")]
    rows = rows[rows["quantity"] == "relevance_sum_share"]
    (line,) = [line for line in panel.lines if line.get_label() == "w2"]
    band = panel.collections[1].get_paths()[0].vertices
    for layer, value in zip(*line.get_data(), strict=True):
        seeds = rows[rows["layer"] == layer]["value"]
        assert value == seeds.median()
        edge = band[band[:, 0] == layer, 1]
        assert edge.min() == pytest.approx(np.quantile(seeds, 0.25), rel=1e-12)
        assert edge.max() == pytest.approx(np.quantile(seeds, 0.75), rel=1e-12)


def test_the_ledger_of_large_shares_is_logarithmic():
    assert ledger(some_figures(["z+"])).axes[0].get_yscale() == "linear"
    picture = readable(ledger(some_figures(["z+"], size=1e6)))
    assert picture.axes[0].get_yscale() == "symlog"


def test_one_seed_has_no_quartiles():
    assert "means of the samples, one seed" in ledger(some_figures(["z+"], 1)).get_suptitle()
    assert "of 3 seeds" in ledger(some_figures(["z+"], seeds=3)).get_suptitle()


def test_configurations_that_are_left_out_are_counted():
    picture = ledger(some_figures([f"c{i}" for i in range(11)]))
    (legend,) = picture.legends
    assert legend.get_title().get_text() == "the first 8; 3 more in summary.csv"


def test_same_region_shares():
    figures = some_figures(["z+"], seeds=3)
    panel = regions(figures).axes[0]
    rows = figures[(figures["finder"] == "closed_form")].groupby("layer")["value"].median()
    layers, shares = panel.containers[0][0].get_data()
    assert dict(zip(layers, shares, strict=True)) == rows.to_dict()
    assert panel.get_ylim() == (-0.03, 1.03)


def test_heatmaps_are_on_one_scale_in_the_place_of_the_pixels():
    group = some_explanations()
    picture = heatmaps(group, "recursive")
    assert picture.get_suptitle().endswith("all on one scale")
    images = [axes.images[0] for axes in picture.axes if axes.images]
    inputs, heats = images[:3], images[3:]
    values = [group.relevance["recursive", name] for name in ("z+", "w2")]
    reach = np.abs(values).max()
    assert {image.get_clim() for image in heats} == {(-reach, reach)}
    for image, want in zip(heats, np.concatenate(values), strict=True):
        np.testing.assert_array_equal(image.get_array(), want.reshape(3, 4))
    assert len({image.get_clim() for image in inputs}) == 1
    title = heats[0].axes.get_title()
    assert title == f"ΣR / f = {values[0][0].sum() / 2:.3g}".replace("-", "−")


def test_a_method_that_gives_the_same_everywhere_has_one_row():
    group = some_explanations(samples=2)
    images = [axes for axes in heatmaps(group, "gradient_x_input").axes if axes.images]
    assert [axes.get_ylabel() for axes in images] == ["input", "", "all configurations", ""]


def test_of_many_features_the_strongest_of_each_sample_are_shown():
    group = some_explanations(features=[f"x{i}" for i in range(60)])
    picture = readable(heatmaps(group, "recursive"))
    panels = [axes for axes in picture.axes if axes.images]
    values = np.array([group.relevance["recursive", name] for name in ("z+", "w2")])
    below = [axes for axes in panels if axes.get_xticks().size]
    assert len(below) == 3
    for sample, axes in enumerate(below):
        names = [text.get_text() for text in axes.get_xticklabels()]
        order = sorted(range(60), key=lambda i: -np.abs(values[:, sample, i]).max())
        assert names == [*(f"x{i}" for i in order[:11]), "49 others"]
        for row in range(2):
            got = panels[3 * (row + 1) + sample].images[0].get_array().ravel()
            want = values[row, sample, order]
            np.testing.assert_allclose(got, [*want[:11], want[11:].sum()], rtol=1e-12)
        given = panels[sample].images[0].get_array().ravel()
        np.testing.assert_array_equal(given[:11], group.inputs.values(sample)[order[:11]])


def test_names_that_look_the_same_once_cut_are_numbered():
    cut = [f"a long name {part} of a feature" for part in ("this", "that")]
    group = some_explanations(features=cut)
    below = next(axes for axes in heatmaps(group, "recursive").axes if axes.get_xticks().size)
    assert [text.get_text()[:3] for text in below.get_xticklabels()] == ["0: ", "1: "]
    assert numbered(group) == f" Feature 0 is {cut[0]}, 1 is {cut[1]}."
    assert numbered(some_explanations(features=["age", "size"])) == ""


def test_alternatives_say_what_is_seen():
    group = some_explanations(names=("z+",), features=["age", "size"], samples=1)
    group.relevance["recursive", "z+"][0] = [0.5, -0.25]
    assert finding(group, "recursive").endswith("By z+: age (0.5), size (−0.25).")
    same = similarity_table([group], [("recursive", "z+"), ("gradient_x_input", "z+")])
    assert "Least alike are gradient × input and recursive (cosine " in alike(same)


def test_on_dark_paper_ink_is_light_and_what_is_on_images_stays():
    picture = similarity(table_of([some_explanations()], ("z+", "w2")))
    left, *_ = picture.axes
    before = {text: (text.get_text(), text.get_color()) for text in left.texts}
    picture.draw_without_rendering()
    darken(picture)
    assert {text: (text.get_text(), text.get_color()) for text in left.texts} == before
    assert min(to_rgb(picture.get_suptitle() and picture._suptitle.get_color())) > 0.6
    assert min(min(to_rgb(label.get_color())) for label in left.get_yticklabels()) > 0.6
    assert max(to_rgb(picture.get_facecolor())) < 0.2
    assert left.images[0].get_cmap().name == "RdBu_r"


def test_similarity_shows_its_table():
    table = table_of([some_explanations()], ("z+", "w2"))
    left, right, _ = similarity(table).axes
    names = [text.get_text() for text in left.get_yticklabels()]
    assert names == ["recursive z+", "recursive w2", "gradient × input"]
    np.testing.assert_array_equal(left.images[0].get_array().ravel(), table["cosine"])
    np.testing.assert_array_equal(right.images[0].get_array().ravel(), table["spearman"])
    assert left.images[0].get_clim() == right.images[0].get_clim() == (-1, 1)


def cosine(u, v):
    return np.sum(u * v, axis=1) / np.sqrt(np.sum(u**2, axis=1) * np.sum(v**2, axis=1))


def test_a_method_without_configuration_is_compared_wherever_it_is():
    """The first configuration is missing in the second group."""
    first, second = some_explanations(seed=0), some_explanations(("w2", "x"), seed=1)
    table = table_of([first, second], ("z+", "w2", "x")).set_index(
        ["method", "configuration", "other_method", "other_configuration"]
    )
    row = table.loc["recursive", "w2", "gradient_x_input", ""]
    assert row["samples"] == 6
    pairs = [
        cosine(group.relevance["recursive", "w2"], group.relevance["gradient_x_input", "w2"])
        for group in (first, second)
    ]
    assert row["cosine"] == pytest.approx(np.concatenate(pairs).mean(), rel=1e-12)
    apart = table.loc["recursive", "z+", "recursive", "x"]
    assert apart["samples"] == 0
    assert np.isnan(apart["cosine"])


def test_samples_without_a_direction_are_left_out():
    group = some_explanations(samples=2)
    group.relevance["recursive", "z+"][0] = 0.0
    table = table_of([group], ("z+", "w2"))
    row = table.iloc[1]
    assert (row["configuration"], row["other_configuration"]) == ("z+", "w2")
    u, v = (group.relevance["recursive", name][1:] for name in ("z+", "w2"))
    assert row["samples"] == 1
    assert row["cosine"] == pytest.approx(cosine(u, v)[0], rel=1e-12)


def test_tiny_and_huge_relevances_have_a_cosine():
    group = some_explanations()
    for scale in (1e-250, 1e250):
        values = {entry: scale * value for entry, value in group.relevance.items()}
        scaled = Explanations(7, group.inputs, values, group.doubts)
        want, got = (table_of([g], ("z+", "w2"))["cosine"] for g in (group, scaled))
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_which_settings_differ():
    runs = [
        {"seed": 0, "rule": "z+", "network.seed": "${seed}", "roots": "closed_form", "plots": 1},
        {"seed": 1, "rule": "gamma", "rule.gamma": 1.0, "network.seed": "${seed}",
         "roots": "random", "roots.tol": 0.1, "plots": 2, "compare_input_roots.more": "random"},
        {"seed": 1, "rule": "z+", "network.seed": "${seed}", "roots": "random", "roots.tol": 0.2},
    ]  # fmt: skip
    assert set(varied(runs)) == {"seed", "rule", "roots", "roots.tol", "compare_input_roots.more"}
    assert varied([]) == []
    assert varied(runs[:1]) == []


def test_names_of_configurations():
    run = {
        "rule": "gamma",
        "rule.gamma": 0.5,
        "input_rule.gamma": 2,
        "input_roots": None,
        "seed": 3,
    }
    assert label(run, ["seed"]) == "gamma"
    assert label(run, ["rule", "rule.gamma", "input_roots", "seed"]) == "gamma, gamma=0.5"
    names = ["rule.gamma", "input_rule.gamma"]
    assert label(run, names) == "rule.gamma=0.5, input_rule.gamma=2"


def test_short_names_tell_configurations_apart():
    runs = [
        {"rule": "z+", "inputs.path": "/a/iris.csv", "network.hidden": [8], "inputs.n": 4},
        {"rule": "w2", "inputs.path": "/a/iris.csv", "network.hidden": [8], "inputs.n": 4},
        {"rule": "w2", "inputs.path": "/b/wine.csv", "network.hidden": [4], "inputs.n": 5},
    ]
    names = ["inputs.n", "network.hidden", "inputs.path", "rule", "seed"]
    short = ["z+, path=iris.csv", "w2, path=iris.csv", "w2, path=wine.csv"]
    assert short_labels(runs, names) == short
    assert short_labels([*runs, runs[0]], names) == [*short, short[0]]
    long = [{"rule": "w2", "network.name": f"{i}{'x' * 60}"} for i in range(12)]
    labels = short_labels(long, ["rule", "network.name"])
    assert len(set(labels)) == 12
    assert max(map(len, labels)) <= 40
