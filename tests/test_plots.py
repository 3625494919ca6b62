"""The pictures: what they show is what the tables say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import get_configdir
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from dtd_cli.config.plots import Plots
from dtd_cli.plots import PICTURES, Tables, draw, legends, style, wording
from dtd_cli.plots.fonts import fonts
from dtd_cli.plots.heatmaps import heatmaps, layer_heatmaps, symmetric
from dtd_cli.plots.ledger import PARTS, ledger, ledger_shares, relevance_shares
from dtd_cli.plots.pixels import pixels_of
from dtd_cli.plots.relevance_bars import relevance_bars
from dtd_cli.plots.root_status import root_status, status_counts
from dtd_cli.plots.roots import roots
from dtd_cli.plots.search_lines import search_lines
from dtd_cli.plots.tables import Vector
from dtd_cli.run.studies import STUDIES

METHODS = ["recursive", "train_free", "gradient_x_input"]
PIXELS = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
WIDE_PIXELS = [f"pixel_{row}_{column}" for row in range(2) for column in range(12)]
ABC = ["x0", "x1", "x2"]
NEED_MORE = (
    *("heatmaps", "layer_heatmaps", "region_map", "strategies", "series", "interactions"),
    *("path_graph", "root_tree"),
    *STUDIES,
)
"""Pictures of tables that :func:`some_tables` has not."""


def some_tables(
    features: list[str] = ABC,
    widths: tuple[int, ...] = (5, 1),
    samples: int = 1,
    *,
    methods: list[str] = METHODS,
    finders: tuple[str, ...] = ("closed_form", "random"),
    seed: int = 0,
) -> Tables:
    """Tables with the columns of a run and numbers drawn at random.

    Train-free relevance conserves f; the recursion loses some in every layer. Every third unit is
    inactive, and the search finds no root for every third one after that.
    """
    draw = np.random.default_rng(seed)
    sizes = (len(features), *widths)
    depth = len(widths)
    values = draw.uniform(0, 1, (samples, len(features)))
    f = draw.uniform(1, 3, samples)
    relevance, layers = [], []
    for method in methods:
        keep = 1.0 if method == "train_free" else 0.6
        for sample in range(samples):
            upper = f[sample]
            for layer in range(depth, -1, -1):
                weight = draw.uniform(-0.3, 1, sizes[layer])
                total = f[sample] * keep ** (depth - layer)
                shares = total * weight / weight.sum()
                relevance += [
                    (method, sample, layer, depth - layer, neuron, 0.5, share)
                    for neuron, share in enumerate(shares)
                ]
                if layer < depth:
                    parts = (total, 0.0, 0.5 * upper, upper - total - 0.5 * upper)
                    layers.append((method, sample, layer, depth - layer, upper, *parts, -0.1))
                    upper = total
    rows, points, lines, marks = [], [], [], []
    for sample in range(samples):
        for layer in range(depth):
            for neuron in range(sizes[layer + 1]):
                for finder in finders:
                    searched = finder != "closed_form"
                    status = {0: "found", 1: "inactive", 2: "found"}[neuron % 3]
                    if searched and neuron % 3 == 2:
                        status = "not_found"
                    there = status == "found"
                    place = ("recursive", sample, layer, neuron, finder)
                    h = 0.0 if status == "inactive" else float(draw.uniform(0.1, 2))
                    measured = (h, 0.0, 0.7, True, False, 0.3, 0.1, 0.2, 100, False)
                    rows.append((*place, status, *(measured if there else (h, *[None] * 9))))
                    root = values[sample] * draw.uniform(0.1, 0.8, len(features))
                    size = sizes[layer]
                    points += [
                        (*place, i, root[i % len(root)] if there else None) for i in range(size)
                    ]
                    if searched:
                        position = np.linspace(0, 1, 50)
                        low = 0.4 if there else -0.2
                        curve = h * np.clip((position - low) / (1 - low), 0, None)
                        lines += [(*place, p, c) for p, c in zip(position, curve, strict=True)]
                        marks.append((*place, status, low if there else None))
    head = ["method", "sample", "layer", "neuron", "finder"]
    fixed = {"sample": range(samples), "status": "explained", "output": 0, "f": f}
    fixed |= {"class": "", "predicted": "", "label": ""}
    fixed |= {"row": "", "index": "", "part": "test"}
    return Tables(
        relevance=pd.DataFrame(
            relevance,
            columns=["method", "sample", "layer", "order", "neuron", "activation", "relevance"],
        ),
        layers=pd.DataFrame(
            layers,
            columns=["method", "sample", "layer", "order", "upper_sum", *PARTS, "negative_sum"],
        ),
        roots=pd.DataFrame(
            rows,
            columns=[
                *head,
                *("status", "relevance", "residual", "distance", "admissible", "same_region"),
                *("gradient_norm", "gradient_gap", "output_change", "evaluations", "certified"),
            ],
        ),
        root_points=pd.DataFrame(points, columns=[*head, "index", "value"]),
        inputs=pd.DataFrame({**fixed, **dict(zip(features, values.T, strict=True))}),
        search_lines=pd.DataFrame(lines, columns=[*head, "position", "relevance"]),
        search_roots=pd.DataFrame(marks, columns=[*head, "status", "position"]),
    )


def digits(samples: int = 10) -> Tables:
    return some_tables(PIXELS, (6, 4), samples)


def estimated(tables: Tables) -> Tables:
    """The same with standard errors."""
    relevance, layers = frame(tables.relevance), frame(tables.layers)
    layers["relevance_sum_stderr"] = 0.1 * layers["relevance_sum"]
    return replace(tables, relevance=relevance.assign(stderr=0.1), layers=layers)


def some_strange_tables() -> Tables:
    """Names with signs of formulas, methods and searches without a colour, and large shares."""
    methods = ["recursive", "recursive, refined", "another", *METHODS[1:]]
    finders = ("random", "line", "unheard_of")
    tables = estimated(some_tables(["$a$", "$b_", "c"], methods=methods, finders=finders))
    table = frame(tables.relevance)
    table.loc[table["layer"] == 0, "relevance"] *= -1e4
    return replace(tables, relevance=table)


def some_estimated_pixels() -> Tables:
    return estimated(some_tables(WIDE_PIXELS, samples=2))


def write(tables: Tables, folder: Path) -> Path:
    for name, table in vars(tables).items():
        if table is not None:
            table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def drawn(tables: Tables, folder: Path, **choice: object) -> list[Path]:
    """The pictures of these tables, drawn from their files."""
    return draw(Tables.read(write(tables, folder)), folder / "plots", Plots(**choice))


def some(picture: Figure | None) -> Figure:
    """The picture with all that is in it. To place it takes most of the time and changes no text,
    no number and no colour.
    """
    assert picture is not None
    return picture


def applicable(tables: Tables, plots: Plots = style.SCREEN) -> dict[str, Figure]:
    """The pictures that there are of these tables."""
    made = {name: make(tables, plots) for name, make in PICTURES.items()}
    return {name: picture for name, picture in made.items() if picture is not None}


def panel_titles(picture: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in picture.axes]


def error_bars(axes: Axes) -> list[Vector]:
    """The ends (2, 2) of every error bar that is drawn."""
    segments = [
        s for c in axes.collections if isinstance(c, LineCollection) for s in c.get_segments()
    ]
    return [ends for ends in segments if len(ends) and np.isfinite(ends).all()]


def curve(line: Line2D) -> tuple[Vector, Vector]:
    """The points of a drawn line."""
    x, y = (np.asarray(data, dtype=np.float64) for data in line.get_data())
    return x, y


def frame(table: pd.DataFrame | None) -> pd.DataFrame:
    assert table is not None
    return table.copy()


class TestDraw:
    def test_draws_what_applies_with_captions_and_says_so(self, tmp_path: Path) -> None:
        paths = drawn(some_tables(samples=4), tmp_path)
        assert [path.stem for path in paths] == [n for n in PICTURES if n not in NEED_MORE]
        captions = [path.with_suffix(".txt") for path in paths]
        assert sorted([*paths, *captions]) == sorted((tmp_path / "plots").iterdir())
        for path in paths:
            assert imread(path)[..., :3].std() > 0.01
        text = (tmp_path / "plots" / "ledger.txt").read_text()
        assert "n = 4 samples" in text
        assert "Bands: one standard deviation." in text
        first = {path: path.read_bytes() for path in paths}
        draw(some_tables(samples=4), tmp_path / "plots")
        assert {path: path.read_bytes() for path in paths} == first

    def test_images_get_heat_maps_instead_of_bars(self) -> None:
        names = {*applicable(digits())}
        assert "heatmaps" in names
        assert not names & {"relevance_bars", "roots"}

    @pytest.mark.parametrize(
        ("kind", "names"),
        [
            pytest.param("png", [*PICTURES], marks=pytest.mark.exhaustive),
            ("pdf", ["ledger"]),
            ("svg", ["ledger"]),
        ],
    )
    def test_same_tables_same_bytes(self, tmp_path: Path, kind: str, names: list[str]) -> None:
        """Dates and numbers of objects are those of a format, whatever the picture."""
        first, again = (
            {path: path.read_bytes() for path in draw(some_tables(), tmp_path, plots, names)}
            for plots in [Plots(format=kind)] * 2
        )
        assert {path.suffix for path in first} == {f".{kind}"}
        assert first == again

    def test_letters_stay_letters(self, tmp_path: Path) -> None:
        (svg,) = draw(some_tables(), tmp_path, Plots(format="svg", font="serif"), ["ledger"])
        assert "The ledger: what becomes of f(x)</text>" in svg.read_text()
        (pdf,) = draw(some_tables(), tmp_path, Plots(format="pdf", font="serif"), ["ledger"])
        content = pdf.read_bytes()
        # TrueType and embedded, none as outlines (Type 3).
        assert b"/FontFile2" in content
        assert b"STIXGeneral" in content
        assert b"/Type3" not in content

    def test_width_resolution_and_heading(self, tmp_path: Path) -> None:
        wide, narrow = ((2, 6.85), some_tables()), ((1, 3.3), some_tables(samples=2))
        for (columns, inches), tables in (wide, narrow, ((1, 3.3), digits(2))):
            plots = Plots(width=columns, dpi=100, heading=False)
            for name, picture in applicable(tables, plots).items():
                assert picture.get_figwidth() == inches, name
            (path,) = draw(tables, tmp_path, plots, ["ledger"])
            assert imread(path).shape[1] == pytest.approx(100 * inches, abs=1)
        assert not some(ledger(some_tables(), Plots(heading=False))).get_suptitle()

    def test_a_choice_of_samples_and_methods(self) -> None:
        tables = some_tables(samples=9).of([8, 3], ["train_free"])
        assert [sample.number for sample in tables.explained] == [3, 8]
        assert tables.methods == ["train_free"]
        further = some_tables(methods=["recursive", "recursive, near"]).of(None, ["recursive"])
        assert further.methods == ["recursive", "recursive, near"]

    def test_an_empty_folder_gives_nothing(self, tmp_path: Path) -> None:
        assert draw(Tables.read(tmp_path), tmp_path / "plots") == []
        assert list(tmp_path.iterdir()) == []

    def test_tables_without_rows_give_nothing(self, tmp_path: Path) -> None:
        there = {name: table for name, table in vars(some_tables()).items() if table is not None}
        empty = {name: table.iloc[:0] for name, table in there.items()}
        assert drawn(Tables(**empty), tmp_path) == []

    def test_a_failure_leaves_the_old_file_and_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(b"old")

        def fail(self: FigureCanvasAgg, target: Path, **kwargs: object) -> None:
            target.write_bytes(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(FigureCanvasAgg, "print_png", fail)
        with pytest.raises(OSError, match="disk full"):
            style.save(Figure(), path)
        assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
        assert path.read_bytes() == b"old"

    @pytest.mark.parametrize("dpi", [120, 50])
    def test_a_png_is_what_savefig_writes(self, tmp_path: Path, dpi: int) -> None:
        paths = [tmp_path / "ours.png", tmp_path / "theirs.png"]
        ours, theirs = (relevance_bars(some_tables()) for _ in paths)
        assert ours is not None
        assert theirs is not None
        style.save(ours, paths[0], dpi)
        theirs.savefig(paths[1], dpi=dpi, metadata={"Software": None})
        assert paths[0].read_bytes() == paths[1].read_bytes()

    def test_needs_neither_torch_nor_pyplot(self, tmp_path: Path) -> None:
        write(some_tables(), tmp_path)
        program = (
            "import sys, pathlib; from dtd_cli.plots import PICTURES, Tables, draw, style;"
            f"folder = pathlib.Path({str(tmp_path)!r}); tables = Tables.read(folder);"
            "assert any([make(tables, style.SCREEN) for make in PICTURES.values()]);"
            "assert draw(tables, folder, names=['root_status']);"
            "print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "MPLCONFIGDIR": get_configdir()},
        )
        assert answer.stdout.strip() == "[]"

    @pytest.mark.parametrize("width", [1, pytest.param(None, marks=pytest.mark.exhaustive)])
    @pytest.mark.parametrize(
        "tables",
        [
            partial(some_tables, samples=7, methods=["train_free"]),
            partial(some_tables, [f"a feature with a long name {i}" for i in range(30)]),
            some_strange_tables,
            partial(some_tables, widths=(1,)),
            some_estimated_pixels,
            *(
                pytest.param(partial(some_tables, **given), marks=pytest.mark.exhaustive)
                for given in (
                    {},
                    {"features": ["$a$", "$b_", "c"]},
                    {"finders": ("closed_form",)},
                    {"finders": ("random", "line", "unheard_of")},
                    {"methods": ["recursive", "recursive, refined", "another", *METHODS[1:]]},
                    {"features": ["pixel_0_0"]},
                    {"features": WIDE_PIXELS, "samples": 2},
                    {"features": PIXELS, "widths": (6, 4)},
                )
            ),
        ],
    )
    def test_no_combination_fails_or_warns(
        self, tables: Callable[[], Tables], width: int | None, tmp_path: Path
    ) -> None:
        assert len(drawn(tables(), tmp_path, width=width, dpi=50)) >= 2


class TestTables:
    def test_reading_gives_back_what_was_written(self, tmp_path: Path) -> None:
        tables = some_tables()
        read = Tables.read(write(tables, tmp_path))
        np.testing.assert_allclose(
            frame(read.relevance)["relevance"], frame(tables.relevance)["relevance"], rtol=1e-15
        )
        assert read.features == ABC

    def test_skipped_samples_are_not_explained(self) -> None:
        tables = some_tables(samples=3)
        inputs = frame(tables.inputs)
        inputs["output"] = inputs["output"].astype(float)
        inputs.loc[1, ["status", "output", "f"]] = ["skipped", np.nan, -1.0]
        tables = replace(tables, inputs=inputs)
        assert [sample.number for sample in tables.explained] == [0, 2]
        picture = some(relevance_bars(tables))
        titles = [title.replace("\xa0", " ") for title in panel_titles(picture)]
        assert [title.split(",")[0] for title in titles] == ["sample 0", "sample 2"]

    def test_order_of_rows_does_not_matter(self) -> None:
        tables = some_tables()
        shuffled = replace(tables, relevance=frame(tables.relevance).sample(frac=1, random_state=1))
        expected = tables.input_relevance()
        for key, values in shuffled.input_relevance().items():
            np.testing.assert_array_equal(values, expected[key])


class TestPixels:
    def test_each_pixel_in_its_place(self) -> None:
        names = ["pixel_1_0", "pixel_0_1", "pixel_0_0", "pixel_1_1", "pixel_0_2", "pixel_1_2"]
        np.testing.assert_array_equal(pixels_of(names).index, [[[2, 1, 4], [0, 3, 5]]])

    def test_channels(self) -> None:
        names = [f"pixel_{c}_{y}_{x}" for c in range(3) for y in range(2) for x in range(4)]
        pixels = pixels_of(names)
        np.testing.assert_array_equal(pixels.index, np.arange(24).reshape(3, 2, 4))
        assert pixels.shape == (2, 4)
        values = np.arange(24.0)
        np.testing.assert_array_equal(pixels.total(values), values.reshape(3, 2, 4).sum(0))
        # The seventh feature of a channel is in row 1, column 2.
        assert pixels.places[:, [6, 14]].tolist() == [[1, 1], [2, 2]]
        assert pixels_of([*names[:-1], "pixel_0_0"]) is None

    def test_colours_are_drawn(self) -> None:
        names = [f"pixel_{c}_0_{x}" for c in range(3) for x in range(2)]
        axes = Figure().subplots()
        values = np.array([0, 1, 0, 0.5, 1, 0])
        pixels_of(names).show(axes, values, Normalize(0, 1))
        (image,) = axes.images
        assert image.get_array().tolist() == [[[0, 0, 1], [1, 0.5, 0]]]

    @pytest.mark.parametrize(
        "names",
        [
            [],
            ABC,
            PIXELS[:-1],
            PIXELS[:10] + PIXELS[11:],
            [*PIXELS, "age"],
            ["pixel_0_0", "age", "pixel_0_2"],
            [*PIXELS[:-1], "pixel_0_0"],
            ["pixel_0_0", "pixel_0_00", "pixel_0_1"],
            ["pixel_0_0", "pixel_1_1"],
            ["pixel_0_x", "pixel_0_1"],
            ["pixel_0_0.1", "pixel_0_1"],
        ],
    )
    def test_anything_else_is_no_image(self, names: list[str]) -> None:
        assert pixels_of(names) is None


class TestHeatmaps:
    def images(self, picture: Figure) -> list[list[Axes]]:
        """The panels that show an image, by row and from left to right."""
        axes = [a for a in picture.axes if a.images]
        rows = sorted({round(a.get_position().y0, 6) for a in axes}, reverse=True)
        return [
            sorted(
                (a for a in axes if round(a.get_position().y0, 6) == row),
                key=lambda a: a.get_position().x0,
            )
            for row in rows
        ]

    def test_scales_are_symmetric_and_own_or_shared(self) -> None:
        tables = digits(3)
        heat = tables.input_relevance()
        reach = max(np.abs(values).max() for values in heat.values())
        for scale in ("own", "shared"):
            rows = self.images(some(heatmaps(tables, Plots(scale=scale))))
            assert len(rows) == 3
            for sample, row in enumerate(rows):
                for i, method in enumerate(METHODS):
                    own = np.abs(heat[method, sample]).max() if scale == "own" else reach
                    assert row[1 + i].images[0].get_clim() == (-own, own)

    def test_shows_the_values_of_the_table(self) -> None:
        tables = digits(2)
        row = self.images(some(heatmaps(tables)))[1]
        values = tables.input_relevance()["train_free", 1]
        np.testing.assert_array_equal(row[2].images[0].get_array(), values.reshape(8, 8))
        np.testing.assert_array_equal(row[0].images[0].get_array(), tables.values(1).reshape(8, 8))
        assert row[2].get_title() == f"ΣR / f = 1\nmax |R| = {wording.number(abs(values).max())}"

    def test_label_and_prediction_stand_above_the_image(self) -> None:
        tables = digits(1)
        inputs = frame(tables.inputs).assign(label="3", predicted="8")
        row = self.images(some(heatmaps(replace(tables, inputs=inputs))))[0]
        assert row[0].get_title() == "label 3\npredicted 8"

    def test_what_is_less_than_two_standard_errors_or_has_none_is_hatched(self) -> None:
        tables = digits(1)
        table = frame(tables.relevance)
        factor = table["neuron"].map({0: 0.6, 1: 0.4}).fillna(0.1)
        errors = (factor * table["relevance"].abs()).where(table["method"] == "recursive")
        errors = errors.mask(table["neuron"] == 2)
        picture = some(heatmaps(replace(tables, relevance=table.assign(stderr=errors))))
        row = self.images(picture)[0]
        (hatched,) = row[1].collections
        squares = [path.get_extents().bounds for path in hatched.get_paths()]
        assert squares == [(-0.5, -0.5, 1, 1), (1.5, -0.5, 1, 1)]
        assert not row[2].collections
        assert picture.legends[0].get_texts()[0].get_text() == "|R| < 2 standard errors, or none"

    def test_layers_of_convolutions(self) -> None:
        tables = some_tables(PIXELS, (32, 5, 1), samples=2)
        images = pd.DataFrame(
            [(0, 1, 8, 8), (1, 2, 4, 4)], columns=["layer", "channels", "height", "width"]
        )
        tables = replace(tables, images=images)
        rows = self.images(some(layer_heatmaps(tables)))
        table = frame(tables.relevance)
        here = table[(table["layer"] == 1) & (table["sample"] == 0)]
        values = here.loc[here["method"] == "recursive", "relevance"].to_numpy()
        np.testing.assert_allclose(rows[1][1].images[0].get_array(), values.reshape(2, 4, 4).sum(0))
        assert len(self.images(some(layer_heatmaps(tables, Plots(layers=[1]))))) == 1
        assert layer_heatmaps(digits()) is None

    def test_zero_is_white_and_positive_is_red(self) -> None:
        image = self.images(some(heatmaps(digits(1))))[0][1].images[0]
        limit = image.get_clim()[1]
        red, white, blue = (image.to_rgba(np.array([v]))[0][:3] for v in (limit, 0.0, -limit))
        assert white.min() > 0.95
        assert red[0] > red[2] + 0.2
        assert blue[2] > blue[0] + 0.2

    def test_at_most_eight_samples(self) -> None:
        assert len(self.images(some(heatmaps(digits(10))))) == 8
        chosen = some(heatmaps(digits(10), Plots(samples=list(range(10)))))
        assert len(self.images(chosen)) == 10

    def test_no_relevance_at_all_is_white(self) -> None:
        tables = digits(1)
        tables = replace(tables, relevance=frame(tables.relevance).assign(relevance=0.0))
        row = self.images(some(heatmaps(tables)))[0]
        assert row[1].images[0].get_clim() == (-1, 1)
        assert row[1].get_title() == "ΣR / f = 0\nmax |R| = 0"

    def test_values_that_are_missing_are_left_out(self) -> None:
        scale = symmetric([np.array([np.nan, -2.0]), np.array([1.0])])
        assert (scale.vmin, scale.vmax) == (-2.0, 2.0)
        assert symmetric([np.array([np.nan])]).vmax == 1.0

    def test_a_method_without_a_sample_leaves_a_hole(self) -> None:
        tables = digits(2)
        table = frame(tables.relevance)
        table = table[(table["method"] != "train_free") | (table["sample"] != 1)]
        picture = some(heatmaps(replace(tables, relevance=table)))
        assert sum(bool(axes.images) for axes in picture.axes) == 2 * 4 - 1

    def test_only_for_images(self) -> None:
        assert heatmaps(some_tables()) is None
        assert heatmaps(some_tables(PIXELS[:-1])) is None


def strongest(tables: Tables) -> Vector:
    """The features by their largest relevance."""
    largest = np.abs([*tables.input_relevance().values()]).max(0)
    return np.argsort(-largest, kind="stable")


class TestRelevanceBars:
    def test_bars_are_the_table_the_strongest_first_on_one_scale(self) -> None:
        tables = some_tables(samples=2)
        picture = some(relevance_bars(tables))
        order = strongest(tables)
        assert [text.get_text() for text in picture.axes[0].get_yticklabels()] == [
            ABC[feature] for feature in order
        ]
        assert picture.axes[0].get_xlim() == picture.axes[1].get_xlim()
        low, high = picture.axes[0].get_ylim()
        assert low > high
        for sample, axes in enumerate(picture.axes):
            for i, method in enumerate(METHODS):
                bars = axes.containers[i]
                lengths = [bar.get_width() for bar in bars]
                values = tables.input_relevance()[method, sample][order]
                np.testing.assert_array_equal(lengths, values)
                assert to_hex(bars[0].get_facecolor()) == style.METHOD_COLOURS[method].lower()

    def test_the_caption_names_the_method_that_sets_the_scale(self) -> None:
        tables = some_tables()
        rows = frame(tables.relevance)
        lowest = rows["layer"] == 0
        for method, factor, says in (
            ("recursive", 40.0, True), ("train_free", 40.0, True), ("recursive", 1.0, False),
        ):  # fmt: skip
            size = rows["relevance"].where(~(lowest & (rows["method"] == method)))
            size = size.fillna(rows["relevance"] * factor)
            caption = some(relevance_bars(replace(tables, relevance=rows.assign(relevance=size))))
            sentence = f"{wording.words(method)} sets the scale: its largest |R| is "
            assert (sentence in caption.caption) == says

    def test_at_most_six_samples(self) -> None:
        picture = some(relevance_bars(some_tables(samples=9)))
        assert len(picture.axes) == 6
        assert picture.get_suptitle() == "Relevance of each feature, first 6 of 9 samples"
        assert "first" not in some(relevance_bars(some_tables(samples=6))).get_suptitle()

    def test_no_line_of_a_title_ends_within_a_part(self) -> None:
        tables = some_tables()
        named = frame(tables.inputs).assign(**{"class": "a class name", "row": "123"})
        (title,) = panel_titles(some(relevance_bars(replace(tables, inputs=named))))
        assert [line.split("\xa0")[0] for line in title.splitlines()] == ["sample", "class"]
        assert "f\xa0=\xa0" in title.splitlines()[1]

    def test_rounding_is_drawn_on_the_scale_of_f(self) -> None:
        tables = some_tables()
        relevance = frame(tables.relevance).assign(relevance=lambda t: 1e-17 * t["relevance"])
        axes = some(relevance_bars(replace(tables, relevance=relevance))).axes[0]
        f = tables.explained[0].f
        assert axes.get_xlim() == (-f, f)

    def test_estimates_have_their_standard_errors(self) -> None:
        tables = some_tables(samples=2)
        exact = some(relevance_bars(tables))
        assert not any(axes.collections for axes in exact.axes)
        table = frame(tables.relevance)
        stderr = (table["neuron"] + 1.0).where(table["method"] == "recursive")
        # A unit that no sampled path has met has none.
        stderr = stderr.mask((table["sample"] == 1) & (table["neuron"] == 2))
        picture = some(relevance_bars(replace(tables, relevance=table.assign(stderr=stderr))))
        order = strongest(tables)
        for sample, axes in enumerate(picture.axes):
            ends = error_bars(axes)
            lengths = tables.input_relevance()["recursive", sample]
            shown_features = [n for n in order if (sample, n) != (1, 2)]
            assert len(ends) == len(shown_features)
            for neuron, bar in zip(shown_features, ends, strict=True):
                reach = [lengths[neuron] - neuron - 1, lengths[neuron] + neuron + 1]
                np.testing.assert_allclose(bar[:, 0], reach)
        assert "standard error" in [text.get_text() for text in picture.legends[0].get_texts()]

    def test_the_strongest_of_many(self) -> None:
        tables = some_tables([f"x{i}" for i in range(45)])
        picture = some(relevance_bars(tables))
        assert "the 20 strongest of 45" in picture.get_suptitle()
        axes, sample = picture.axes[0], tables.explained[0].number
        lengths = [bar.get_width() for bar in axes.containers[0]]
        order = strongest(tables)
        first = tables.input_relevance()[tables.methods[0], sample]
        np.testing.assert_allclose(lengths[:-1], first[order[:20]])
        assert lengths[-1] == pytest.approx(first[order[20:]].sum())
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [*(f"x{i}" for i in order[:20]), "25 others"]

    def test_only_for_tables_that_fit(self) -> None:
        assert relevance_bars(digits()) is None


class TestLedger:
    def test_lines_are_means_in_one_standard_deviation(self) -> None:
        tables = some_tables(samples=4)
        relevance = frame(tables.relevance)
        grown = relevance["relevance"] * (1 + relevance["sample"])
        tables = replace(tables, relevance=relevance.assign(relevance=grown))
        axes = some(ledger(tables)).axes[0]
        f = {sample.number: sample.f for sample in tables.explained}
        table = relevance_shares(frame(tables.relevance), f)
        shares = table[(table["method"] == "recursive") & (table["layer"] == 0)]["share"]
        np.testing.assert_allclose(shares, 0.36 * np.arange(1, 5))
        (line,) = [ln for ln in axes.lines if ln.get_label() == "recursive"]
        assert curve(line)[1][0] == pytest.approx(0.36 * 2.5)
        band = axes.collections[0].get_paths()[0].vertices
        reach = shares.std()
        heights = band[band[:, 0] == 0, 1]
        assert (heights.min(), heights.max()) == pytest.approx((0.9 - reach, 0.9 + reach))

    def test_few_samples_are_points(self) -> None:
        axes = some(ledger(some_tables(samples=2))).axes[0]
        assert not axes.collections
        points = [ln for ln in axes.lines if ln.get_linestyle() == "None"]
        assert len(points) == 2 * len(METHODS)

    def test_an_entry_that_is_nothing_is_not_in_the_legend(self) -> None:
        (_, legend) = (axes.get_legend() for axes in some(ledger(some_tables())).axes)
        entries = [text.get_text() for text in legend.get_texts()]
        assert entries == [
            "from the layer above", "passed on (ΣR)", "unresolved (no root)",
            "remainder (higher terms)",
        ]  # fmt: skip

    def test_lines_start_at_the_output_and_at_one(self) -> None:
        axes = some(ledger(some_tables(samples=4))).axes[0]
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(curve(lines["train-free"])[1], 1.0)
        np.testing.assert_allclose(curve(lines["recursive"])[1], [0.36, 0.6, 1.0])
        left, right = axes.get_xlim()
        assert left > right

    def test_shares_are_means_and_add_up(self) -> None:
        tables = some_tables(samples=4)
        f = {sample.number: sample.f for sample in tables.explained}
        books = ledger_shares(frame(tables.layers), f)
        assert list(books) == ["recursive"]
        book = books["recursive"]
        np.testing.assert_allclose(book[list(PARTS)].sum(axis=1), book["upper_sum"])
        np.testing.assert_allclose(book.loc[1, "relevance_sum"], 0.6)

    def test_what_is_negative_hangs_below_zero(self) -> None:
        tables = some_tables()
        layers = frame(tables.layers)
        layers["zero_order"], layers["unresolved"] = -1.0, -0.5
        axes = some(ledger(replace(tables, layers=layers))).axes[1]
        f = tables.explained[0].f
        bars = {container.get_label(): container[0] for container in axes.containers}
        zero_order, unresolved = (bars[PARTS[part][0]].get_bbox()
                                  for part in ("zero_order", "unresolved"))  # fmt: skip
        assert (zero_order.ymax, zero_order.ymin) == pytest.approx((0, -1 / f))
        assert (unresolved.ymax, unresolved.ymin) == pytest.approx((-1 / f, -1.5 / f))

    def test_estimates_have_at_most_the_mean_of_their_standard_errors(self) -> None:
        tables = some_tables(samples=2)
        layers = frame(tables.layers)
        first, second = (sample.f for sample in tables.explained)
        errors = layers["sample"].map({0: 0.2, 1: 0.6})
        layers["relevance_sum_stderr"] = errors.where(layers["method"] == "recursive")
        axes = some(ledger(replace(tables, layers=layers))).axes[1]
        reach = (0.2 / first + 0.6 / second) / 2
        ends = [bar[:, 1] for bar in error_bars(axes)]
        np.testing.assert_allclose(ends, [[0.36 - reach, 0.36 + reach], [0.6 - reach, 0.6 + reach]])

    def test_a_panel_for_each_recursion(self) -> None:
        tables = some_tables(methods=["recursive", "train_free", "recursive, refined"])
        label = {"recursive, refined": "refined"}
        layers = frame(tables.layers)
        tables = replace(tables, layers=layers.assign(roots=layers["method"].map(label)))
        titles = panel_titles(some(ledger(tables)))
        assert titles[1:] == ["Where it went: recursive", "Where it went: recursive, refined"]
        assert len(some(ledger(some_tables(methods=["train_free"]))).axes) == 1

    def test_a_method_with_the_input_alone_is_a_point(self) -> None:
        tables = some_tables()
        table = frame(tables.relevance)
        table = table[(table["method"] != "gradient_x_input") | (table["layer"] == 0)]
        axes = some(ledger(replace(tables, relevance=table))).axes[0]
        (line,) = [ln for ln in axes.lines if ln.get_label() == "gradient × input"]
        assert curve(line)[0].tolist() == [0]
        assert line.get_marker() not in (None, "None", "")

    def test_extremes_stay_readable(self) -> None:
        tables = some_tables()
        table = frame(tables.relevance)
        table.loc[table["layer"] == 0, "relevance"] *= -1e4
        axes = some(ledger(replace(tables, relevance=table))).axes[0]
        assert axes.get_yscale() == "symlog"
        assert some(ledger(some_tables())).axes[0].get_yscale() == "linear"

    def test_nothing_explained_no_ledger(self) -> None:
        tables = some_tables()
        assert ledger(replace(tables, inputs=frame(tables.inputs).assign(status="skipped"))) is None


class TestSearchLines:
    def test_the_mark_is_where_the_table_says(self) -> None:
        tables = some_tables()
        axes = some(search_lines(tables)).axes[0]
        line = next(ln for ln in axes.lines if ln.get_label() == "random")
        (mark,) = [ln for ln in axes.lines if ln.get_marker() == "o"]
        assert curve(mark)[0].tolist() == [0.4]
        np.testing.assert_allclose(curve(mark)[1], np.interp(0.4, *curve(line)))

    def test_no_root_no_mark(self) -> None:
        picture = some(search_lines(some_tables()))
        titles = panel_titles(picture)
        assert titles[:3] == [
            "unit 0\nrandom: found at 0.4",
            "unit 1\nrandom: inactive",
            "unit 2\nrandom: not found",
        ]
        marks = [sum(ln.get_marker() == "o" for ln in axes.lines) for axes in picture.axes]
        assert marks == [1, 0, 0, 1, 0]

    def test_several_finders_share_a_panel(self) -> None:
        picture = some(search_lines(some_tables(finders=("closed_form", "random", "line"))))
        assert len(picture.axes) == 5
        colours = [ln.get_color() for ln in picture.axes[0].lines if ln.get_marker() == "o"]
        assert colours == [style.FINDER_COLOURS["random"], style.FINDER_COLOURS["line"]]

    def test_the_twelve_strongest_units_of_the_lowest_layer(self) -> None:
        tables = some_tables(widths=(20, 3, 1))
        lines = frame(tables.search_lines)
        end = lines[(lines["layer"] == 0) & (lines["position"] == 1)].set_index("neuron")
        expected = sorted(end["relevance"].abs().nlargest(12).index)
        titles = panel_titles(some(search_lines(tables)))
        assert [title.split("\n")[0] for title in titles] == [f"unit {n}" for n in expected]

    def test_a_unit_that_was_not_searched_by_all(self) -> None:
        tables = some_tables(finders=("random", "line"))
        lines, marks = (frame(t) for t in (tables.search_lines, tables.search_roots))
        tables = replace(
            tables,
            search_lines=lines[(lines["finder"] != "line") | (lines["neuron"] != 0)],
            search_roots=marks[(marks["finder"] != "line") | (marks["neuron"] != 0)],
        )
        titles = panel_titles(some(search_lines(tables)))
        assert titles[0] == "unit 0\nrandom: found at 0.4\nline: no search"

    def test_no_mark_without_a_line(self) -> None:
        tables = some_tables(finders=("random", "line"))
        lines = frame(tables.search_lines)
        tables = replace(
            tables, search_lines=lines[(lines["finder"] != "line") | (lines["neuron"] != 0)]
        )
        axes = some(search_lines(tables)).axes[0]
        assert sum(ln.get_marker() == "o" for ln in axes.lines) == 1
        assert axes.get_title(loc="left").endswith("line: found")

    def test_only_where_something_was_searched(self) -> None:
        assert search_lines(some_tables(finders=("closed_form",))) is None
        assert search_lines(replace(some_tables(), search_lines=None)) is None
        assert search_lines(replace(some_tables(), search_roots=None)) is None


class TestRoots:
    def test_bars_are_the_input_and_its_roots(self) -> None:
        tables = some_tables()
        axes = some(roots(tables)).axes[0]
        points = frame(tables.root_points)
        points = points[(points["layer"] == 0) & (points["neuron"] == 0)]
        expected = [
            tables.values(0),
            points.loc[points["finder"] == "closed_form", "value"],
            points.loc[points["finder"] == "random", "value"],
        ]
        for bars, heights in zip(axes.containers, expected, strict=True):
            np.testing.assert_array_equal([bar.get_height() for bar in bars], heights)

    def test_a_point_that_is_no_root_is_not_drawn(self) -> None:
        tables = some_tables()
        tables = replace(tables, root_points=frame(tables.root_points).assign(value=1.0))
        axes = some(roots(tables)).axes[1]
        closed, searched = ([bar.get_height() for bar in bars] for bars in axes.containers[1:])
        assert closed == [1, 1, 1]
        assert np.isnan(searched).all()
        assert axes.get_title(loc="left").endswith("found: closed\xa0form\nnot found: random")

    def test_negative_relevance_keeps_its_sign(self) -> None:
        tables = some_tables()
        tables = replace(tables, roots=frame(tables.roots).assign(relevance=-0.5))
        assert panel_titles(some(roots(tables)))[0].startswith("unit 0, h(x) = −0.5\n")

    def test_a_root_of_f_has_a_panel_of_its_own(self) -> None:
        tables = some_tables()
        units, points = frame(tables.roots), frame(tables.root_points)
        own = [t[(t["finder"] == "random") & (t["neuron"] == 0)] for t in (units, points)]
        own = [t.assign(method="simple_taylor", finder="milp") for t in own]
        both = replace(
            tables,
            roots=pd.concat([units, own[0].assign(relevance=9.0)]),
            root_points=pd.concat([points, own[1]]),
        )
        without, figure = some(roots(tables)), some(roots(both))
        first, *rest = panel_titles(figure)
        assert first == "f, h(x) = 9\nfound: nearest\xa0(MILP)"
        assert rest == panel_titles(without)
        heights = [bar.get_height() for bar in figure.axes[0].containers[-1]]
        np.testing.assert_array_equal(heights, own[1].loc[own[1]["layer"] == 0, "value"])
        alone = replace(tables, roots=own[0], root_points=own[1])
        assert panel_titles(some(roots(alone)))[0].startswith("f, h(x) = ")

    def test_only_for_few_features_and_roots_at_the_input(self) -> None:
        assert roots(digits()) is None
        assert roots(some_tables([f"x{i}" for i in range(13)])) is None
        tables = some_tables()
        table = frame(tables.roots)
        assert roots(replace(tables, roots=table[table["layer"] > 0])) is None
        assert roots(replace(tables, root_points=None)) is None

    def test_units_without_a_root_have_no_panel(self) -> None:
        # Of five units the second and the fifth are inactive.
        titles = panel_titles(some(roots(some_tables())))
        assert [title.partition(",")[0] for title in titles] == ["unit 0", "unit 2", "unit 3"]

    def test_no_more_units_than_fit_on_a_page(self) -> None:
        tables = some_tables([f"x{i}" for i in range(12)])
        # Wide panels, because of many searches, and four times as many units.
        many = [
            pd.concat(
                [
                    t.assign(neuron=t["neuron"] + 5 * k, finder=t["finder"] + f" {i}")
                    for t in (frame(table),)
                    for k in range(4)
                    for i in range(6)
                ]
            )
            for table in (tables.roots, tables.root_points)
        ]
        picture = some(roots(replace(tables, roots=many[0], root_points=many[1])))
        assert len(picture.axes) == 6
        assert "6 of 20" in picture.get_suptitle()
        assert picture.get_figheight() < 6 * 2.5 + 2


class TestRootStatus:
    def test_counts(self) -> None:
        counts = status_counts(frame(some_tables().roots))
        assert list(counts.columns) == ["found", "inactive", "not_found"]
        assert counts.loc[(0, "random")].tolist() == [2, 2, 1]
        assert counts.loc[(0, "closed_form")].tolist() == [3, 2, 0]
        assert [layer for layer, _ in counts.index] == [1, 1, 0, 0]

    def test_bars_fill_the_width_in_shares(self) -> None:
        axes = some(root_status(some_tables())).axes[0]
        widths = np.array([[bar.get_width() for bar in bars] for bars in axes.containers[:3]])
        np.testing.assert_allclose(widths.sum(axis=0), 1.0)
        np.testing.assert_allclose(widths[:, 3], [0.4, 0.4, 0.2])

    def test_thin_bars_are_admissible_and_in_the_region(self) -> None:
        tables = some_tables()
        known = frame(tables.roots)
        known.loc[(known["layer"] == 0) & (known["neuron"] == 0), "same_region"] = True
        axes = some(root_status(replace(tables, roots=known))).axes[0]
        bars = {container.get_label(): container for container in axes.containers}
        # Rows are layers from the output, closed form first.
        inside = [bar.get_width() for bar in bars["in the anchor's region"]]
        np.testing.assert_allclose(inside, [0, 0, 0.2, 0.2])
        np.testing.assert_allclose([b.get_width() for b in bars["in the domain"]][2:], [0.6, 0.4])

    def test_where_all_are_inactive_there_was_nothing_to_find(self) -> None:
        tables = some_tables()
        dead = frame(tables.roots)
        dead.loc[dead["layer"] == 0, "status"] = "inactive"
        axes = some(root_status(replace(tables, roots=dead))).axes[0]
        said = [text.get_text() for text in axes.texts if text.get_text().startswith("n = ")]
        assert ["nothing to find" in text for text in said] == [False, False, True, True]

    def test_without_roots_none(self) -> None:
        assert root_status(Tables()) is None


class TestSigns:
    @pytest.mark.parametrize(
        ("values", "named"),
        [
            ([2.0, 0.0], ["positive relevance"]),
            ([-1.0], ["negative relevance"]),
            ([1.0, -1.0], ["positive relevance", "negative relevance"]),
            ([0.0], []),
        ],
    )
    def test_a_legend_names_the_signs_that_are_there(self, values, named) -> None:
        assert [entry.get_label() for entry in legends.signs(values)] == named


class TestStyle:
    def test_no_line_of_a_heading_ends_within_a_short_part(self) -> None:
        heading = "The input x and its roots for each unit of layer 1, sample 2, row 2"
        assert style.figure(5.2, 1, heading).get_suptitle().splitlines()[1:] == ["row 2"]

    @pytest.mark.parametrize("table", [ABC[:1], PIXELS], ids=["one feature", "digits"])
    def test_headings_fit(self, table: list[str]) -> None:
        longest = max(METHODS, key=len)
        tables = some_tables(table, samples=10, methods=[longest])
        for name, picture in applicable(tables).items():
            (heading,) = [text for text in picture.texts if text.get_text()]
            # It keeps its place when the picture is drawn.
            right = heading.get_window_extent(FigureCanvasAgg(picture).get_renderer()).x1
            assert right <= picture.bbox.width, name

    def test_numbers(self) -> None:
        given = [0.0, -0.0, 0.12345, -1234.5, 999999.0, 1e7, 0.00001234, 1000.0]
        want = ["0", "0", "0.123", "−1230", "1e+06", "1e+07", "1.23e−05", "1000"]
        assert [wording.number(value) for value in given] == want

    def test_colours_do_not_depend_on_company(self) -> None:
        names = [*style.METHOD_COLOURS, *style.FINDER_COLOURS, "mine"]
        company = style.colours({name: name for name in names})
        assert style.colours({"train_free": "train_free"})["train_free"] == company["train_free"]
        assert len({colour.lower() for colour in company.values()}) == len(names)

    def test_a_search_has_one_colour_in_all_pictures(self) -> None:
        methods = ["recursive", "recursive, mine", "recursive, line"]
        tables = some_tables(methods=methods, finders=("closed_form", "mine", "line", "other"))
        searches = {"recursive, mine": "mine", "recursive, line": "line"}
        relevance, layers = (
            table.assign(roots=table["method"].map(searches))
            for table in (frame(tables.relevance), frame(tables.layers))
        )
        tables = replace(tables, relevance=relevance, layers=layers)
        assert tables.colours["recursive, line"] == style.FINDER_COLOURS["line"]
        for picture in (relevance_bars(tables), search_lines(tables), roots(tables)):
            (legend,) = some(picture).legends
            handles = legend.legend_handles
            texts = [text.get_text() for text in legend.get_texts()]
            (at,) = [n for n, text in enumerate(texts) if "mine" in text]
            of = handles[at]
            colour = of.get_color() if isinstance(of, Line2D) else of.get_facecolor()
            assert to_hex(colour) == tables.colours["mine"].lower()

    def test_a_users_name_is_not_mathematics(self) -> None:
        assert wording.literal("$x$") == r"\$x\$"
        assert wording.literal("a long feature's name 12") == "a long fe… name 12"

    def test_letters_that_no_font_has_are_code_points(self) -> None:
        with fonts("sans"):
            assert wording.literal("x\U0010fffd") == "x U+10FFFD"
            assert wording.literal("α → β") == "α → β"
            many = wording.literal("\U0010fffd" * 9)
        assert many == "U+10FFFD…U+10FFFD"
