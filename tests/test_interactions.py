"""Interactions: the degree-2 term as a matrix, in numbers, tables and pictures."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from cases import expansion, positive_input, random_network, recursion, spread, tensor
from dtd.relevance.interactions import interactions
from dtd.relevance.series.taylor import Taylor
from dtd_cli.config.plots import Plots
from dtd_cli.plots import Tables, draw, style
from dtd_cli.plots.interactions import interaction_matrix, strongest_pairs
from dtd_cli.plots.interactions import interactions as draw_interactions
from dtd_cli.plots.series import remainder_shares, series
from test_cli import dtd_run

SMALL = ["network.hidden=[6]", "training.epochs=3", "inputs.n=2", "plots=none", "progress=false"]


def matrices(rec, layer, a):
    roots = rec.plans[layer].finder(rec.problem(layer, a))
    return interactions(rec, layer, a, roots)


def cases():
    """Networks, samples, rules; the eighth sample has interactions in all networks but one."""
    for rule, bias in product(["z+", "gamma", "x"], ["negative", "positive", "zero"]):
        yield (3, 4, 1), (11,), slice(6, 8), rule, bias
        # Without biases only gamma has any in the deeper one.
        marks = () if bias != "zero" or rule == "gamma" else pytest.mark.exhaustive
        yield pytest.param((3, 4, 3, 1), (1,), slice(7, 8), rule, bias, marks=marks)
        for widths in ((3, 4, 1), (3, 4, 3, 1)):
            every = (widths, (1, 11, 38), slice(9), rule, bias)
            yield pytest.param(*every, marks=pytest.mark.exhaustive)


@pytest.mark.parametrize(("widths", "seeds", "rows", "rule", "bias"), [*cases()])
def test_symmetric_and_rows_are_the_second_degree(widths, seeds, rows, rule, bias):
    seen = 0
    for seed in seeds:
        net, x = random_network(widths, seed, bias), positive_input(3, seed, n=9)[rows]
        whole, chunked = (
            recursion(net, rule, series=Taylor(2), max_points=size) for size in (10**6, 3)
        )
        for layer, a in enumerate(net.activations(x)[:-1]):
            with torch.no_grad():
                second = expansion(whole, layer, a).terms(a)[:, 1]
            got = matrices(whole, layer, a)
            size = net.forward(x).max() + got.abs().max()
            for mine, same in (
                (got.mT, got), (got.sum(2), second), (matrices(chunked, layer, a), got)
            ):  # fmt: skip
                assert (mine - same).abs().max() <= 1e-9 * size
            seen += int(got.abs().max() > 1e-3 * size)
    assert seen or bias == "zero"


def test_by_finite_differences():
    """½ Δ_i H_ik Δ_k with H from differences of h, where nothing is nested."""
    net, x = random_network((3, 4, 1), 11, "positive"), positive_input(3, 11)
    rec = recursion(net, "z+")
    want, step = torch.zeros(3, 3, dtype=torch.float64), 1e-4
    with torch.no_grad():
        found = rec.plans[0].finder(rec.problem(0, x))
        for j in found.contributes[0].nonzero().squeeze(1).tolist():
            root = found.points[0, j]
            # Just above the root, where its gate is open.
            point, delta = root + 1e-3 * (x[0] - root), x[0] - root
            eye = step * torch.eye(3, dtype=torch.float64)
            for i in range(3):
                for k in range(3):
                    corners = [
                        s * t * rec.upper(0, (point + s * eye[i] + t * eye[k]).unsqueeze(0))[0, j]
                        for s in (1, -1)
                        for t in (1, -1)
                    ]
                    want[i, k] += sum(corners) / (8 * step**2) * delta[i] * delta[k]
        assert spread(matrices(rec, 0, x)[0], want) < 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("degrees")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        arguments = ["relevance.degree=3", "relevance.interactions=true", *SMALL]
        assert dtd_run(patch, *arguments, "hydra.run.dir=run") == 0
        assert dtd_run(patch, *SMALL, "hydra.run.dir=first") == 0
    return path


def test_the_tables_of_a_series(folder):
    relevance, layers = (pd.read_csv(folder / f"run/{t}.csv") for t in ("relevance", "layers"))
    assert "degree" not in pd.read_csv(folder / "first/relevance.csv")
    assert "degree" not in pd.read_csv(folder / "first/layers.csv")
    recursive = layers[layers["method"] == "recursive"]
    assert sorted(recursive["degree"].unique()) == [1, 2, 3]
    assert (layers[layers["method"] != "recursive"]["degree"] == 1).all()
    parts = layers[["relevance_sum", "zero_order", "unresolved", "remainder"]].sum(axis=1)
    np.testing.assert_allclose(parts, layers["upper_sum"], rtol=1e-9, atol=1e-12)
    keys = ["method", "sample", "layer", "degree"]
    sums = relevance[relevance["layer"] < 2].groupby(keys)["relevance"].sum()
    np.testing.assert_allclose(
        layers.set_index(keys)["relevance_sum"].sort_index(), sums.sort_index(), atol=1e-12
    )
    for _, rows in recursive.groupby(["sample", "layer"]):
        assert rows["upper_sum"].tolist()[1:] == rows["remainder"].tolist()[:-1]
        assert (rows[["zero_order", "unresolved"]].iloc[1:] == 0).all(axis=None)


def test_the_table_of_interactions(folder):
    table = pd.read_csv(folder / "run/interactions.csv")
    assert list(table) == ["sample", "layer", "i", "k", "relevance"]
    assert len(table) == 2 * (64**2 + 6**2)
    relevance = pd.read_csv(folder / "run/relevance.csv")
    second = relevance[(relevance["method"] == "recursive") & (relevance["degree"] == 2)]
    rows = table.groupby(["sample", "layer", "i"])["relevance"].sum()
    second = second.set_index(["sample", "layer", "neuron"])["relevance"].sort_index()
    scale = second.abs().max()
    np.testing.assert_allclose(rows.to_numpy(), second.to_numpy(), atol=1e-6 * scale)
    assert scale > 0


def test_the_pictures(folder, tmp_path):
    names = ["interactions", "series"]
    assert draw(Tables.read(folder / "first"), tmp_path, Plots(dpi=50), names) == []
    tables = Tables.read(folder / "run")
    assert [path.stem for path in draw(tables, tmp_path, Plots(dpi=50), names)] == names
    picture = draw_interactions(tables)
    assert picture is not None
    rows = tables.interactions[tables.interactions["layer"] == 0]
    matrix = interaction_matrix(rows, 0)
    # On the image: pairs are lines, what is a pixel's own are discs, 25 together.
    axes = picture.axes[0]
    assert len(axes.lines) + len(axes.collections) == 25
    i, k, value = strongest_pairs(matrix, 1)[0]
    ends = {(i % 8, i // 8), (k % 8, k // 8)}
    (line,) = [ln for ln in axes.lines if {*zip(*ln.get_data(), strict=True)} == ends]
    assert to_hex(line.get_color()) == (style.POSITIVE if value > 0 else style.NEGATIVE)
    plain = replace(tables, inputs=tables.inputs.rename(columns={"pixel_0_0": "other"}))
    (image,) = draw_interactions(plain).axes[0].images
    assert np.array_equal(np.asarray(image.get_array()), matrix)
    shares = remainder_shares(tables.layers, {s.number: s.f for s in tables.explained})
    lines = {axes.get_title(loc="left"): axes.lines for axes in series(tables).axes}
    for layer in (0, 1):
        drawn = np.concatenate([line.get_ydata() for line in lines[f"layer {layer}"]])
        of_layer = shares[shares["layer"] == layer]
        medians = of_layer.groupby("degree")["share"].median()
        # Two samples are points.
        assert {*of_layer["share"], *medians} <= set(drawn)


def test_headings_fit(folder):
    tables = Tables.read(folder / "run")
    one = replace(tables, interactions=tables.interactions.query("sample == 0"))
    for picture in (series(tables), draw_interactions(one)):
        (heading,) = picture.texts
        # It keeps its place when the picture is drawn.
        renderer = FigureCanvasAgg(picture).get_renderer()
        assert heading.get_window_extent(renderer).x1 <= picture.bbox.x1


def test_strongest_pairs():
    matrix = tensor([[9.0, 1, -2], [1, 9, 0], [-2, 0, 9]]).numpy()
    assert strongest_pairs(matrix, 5) == [(0, 1, 2.0), (0, 2, -4.0)]
    assert strongest_pairs(matrix, 1) == [(0, 2, -4.0)]


def test_interactions_need_the_recursion(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    arguments = ["relevance.interactions=true", "relevance.methods=[train_free]"]
    assert dtd_run(monkeypatch, *arguments) == 2
    assert capfd.readouterr().err.startswith("dtd-run: relevance.interactions=true: ")
