"""``regions.csv`` and its picture, from runs of the program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dtd_cli.networks.files import File
from dtd_cli.plots import Tables
from dtd_cli.plots.region_map import region_map
from dtd_cli.records.columns import INPUTS
from test_cli import TINY, dtd_run

QUIET = ["plots=none", "progress=false"]
GRID = [*QUIET, "inputs=grid", "inputs.points=4", "training=none", "network.hidden=[9,5]"]
DIGITS = [*TINY, "network.hidden=[6]"]


def run(monkeypatch, tmp_path, *arguments):
    folder = tmp_path / "run"
    assert dtd_run(monkeypatch, *arguments, f"hydra.run.dir={folder}") == 0
    return folder


def f_at(folder, x, output):
    net = File(0, "relu", str(folder / "network.safetensors")).build((0,), 0).to(torch.float64)
    return net.forward(torch.tensor(x))[:, output].numpy()


@pytest.mark.parametrize(
    "arguments",
    [
        [*GRID, "region_map.sample=9"],
        [*DIGITS, "region_map.coordinates=[20,43]", "network.hidden=[24]"],
    ],
)
def test_f_at_the_vertices_is_the_networks(monkeypatch, tmp_path, arguments):
    folder = run(monkeypatch, tmp_path, *arguments)
    table = pd.read_csv(folder / "regions.csv")
    inputs = pd.read_csv(folder / "inputs.csv")
    (sample,), (output,), (i,), (k,) = (table[c].unique() for c in ("sample", "output", "i", "k"))
    row = inputs[inputs["sample"] == sample].iloc[0]
    assert row["status"] == "explained"
    assert row["output"] == output
    x = np.repeat(row.iloc[len(INPUTS) :].to_numpy(float)[None], len(table), 0)
    x[:, i], x[:, k] = table["x_i"], table["x_k"]
    np.testing.assert_allclose(f_at(folder, x, output), table["f"], rtol=1e-9, atol=1e-12)
    assert table["region"].nunique() > 2
    points = pd.read_csv(folder / "root_points.csv")
    points = points[(points["layer"] == 0) & (points["sample"] == sample)]
    assert len(points)
    for axis, column in ((i, "x_i"), (k, "x_k")):
        values = points.loc[points["index"] == axis, "value"]
        assert values.between(table[column].min(), table[column].max()).all()


def test_the_picture_shows_all_roots_of_the_sample(monkeypatch, tmp_path):
    search = "+roots@compare_input_roots.random=random"
    folder = run(monkeypatch, tmp_path, *GRID, search, "region_map.sample=1")
    tables = Tables.read(folder)
    points = tables.root_points
    points = points[(points["layer"] == 0) & (points["sample"] == 1)]
    wide = points.pivot(index=["finder", "neuron"], columns="index", values="value")
    figure = region_map(tables)
    drawn = {
        marks.get_label().replace(" ", "_"): marks.get_offsets().data
        for marks in figure.axes[2].collections[1:]
    }
    assert set(drawn) == {*wide.index.unique("finder"), "x"}
    for finder, rows in wide.groupby(level="finder"):
        np.testing.assert_array_equal(drawn[finder], rows.to_numpy())
    np.testing.assert_array_equal(drawn["x"][0], tables.values(1))


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A run with a map; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        return run(patch, tmp_path_factory.mktemp("mapped"), *GRID, "region_map.sample=9")


def test_the_colours_of_f_are_those_of_its_bar(mapped):
    """Pixel by pixel: f of the network, in the colour that the bar beside the map has for it."""
    folder = mapped
    figure = region_map(Tables.read(folder))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    axes = figure.axes[0]
    x = np.random.default_rng(0).uniform(
        *zip(axes.get_xlim(), axes.get_ylim(), strict=True), (400, 2)
    )
    column, row = np.floor(axes.transData.transform(x)).astype(int).T
    shown = pixels[row, column]
    table = pd.read_csv(folder / "regions.csv")
    f = f_at(folder, x, int(table["output"].iloc[0]))
    share = (f - table["f"].min()) / (table["f"].max() - table["f"].min())
    wanted = colormaps["viridis"](share)[:, :3]
    # Lines between regions are drawn on top.
    assert np.quantile(np.abs(shown - wanted).max(1), 0.9) < 0.03


def test_a_map_of_a_constant_f(mapped):
    tables = Tables.read(mapped)
    flat = tables.regions.assign(f=0.5, gradient_i=0.0, gradient_k=0.0)
    FigureCanvasAgg(region_map(replace(tables, regions=flat))).draw()


def test_inputs_of_more_features_have_no_map_unless_asked(monkeypatch, tmp_path):
    folder = run(monkeypatch, tmp_path, *DIGITS)
    assert not (folder / "regions.csv").exists()


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ("region_map.coordinates=[0,64]", "from 0 to 63"),
        ("region_map.coordinates=[-1,3]", "from 0 to 63"),
        ("region_map.coordinates=[3,3]", "two different features"),
        ("region_map.coordinates=[3]", "two different features"),
        ("region_map.coordinates=[1,2] region_map.sample=99", "a sample that is explained"),
    ],
)
def test_planes_that_cannot_be(monkeypatch, capsys, wrong, allowed):
    assert dtd_run(monkeypatch, *DIGITS, *wrong.split()) == 2
    error = capsys.readouterr().err
    assert wrong.split("=")[0].split()[0].split(".")[0] in error
    assert allowed in error
    assert error.count("\n") == 1
