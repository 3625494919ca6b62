"""The same configuration gives the same bytes, whatever shares a call with what."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from cases import MANY, ClosedForm, positive_input, random_network, recursion, relevances
from dtd.numerics.products import row_product
from dtd.roots import ROOT_FINDERS
from test_cli import dtd_run, tables

CHUNKS = (1, 2, 3, 7, 20, 50, 100, 333, 1000, 4096, 20000)
CLOSED = ClosedForm()
SEARCH = ROOT_FINDERS["random"](candidates=30, steps=12)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("width", [1, 3, 5, 8, 10, 17, 64, 300])
@pytest.mark.parametrize("units", [1, 2, 4, 10, 16, 33, 257])
def test_a_row_of_a_product_depends_on_that_row_alone(width, units, dtype):
    generator = torch.Generator().manual_seed(width * 1000 + units)
    rows = torch.randn(3001, width, generator=generator).to(dtype)
    weight = torch.randn(units, width, generator=generator).to(dtype)
    upper = torch.randn(3001, units, generator=generator).to(dtype)
    together = row_product(rows, weight.T)
    exact = rows.double() @ weight.double().T
    size = rows.double().abs() @ weight.double().abs().T
    assert ((together - exact).abs() <= width * torch.finfo(dtype).eps * size).all()
    backwards = row_product(upper, weight)
    for first, count in (
        (0, 1),
        (7, 2),
        (3, 5),
        (11, 48),
        (40, 49),
        (100, 97),
        (1, 1000),
        (5, 2990),
    ):
        part = slice(first, first + count)
        assert torch.equal(row_product(rows[part], weight.T), together[part])
        assert torch.equal(row_product(upper[part], weight), backwards[part])
    scattered = torch.randperm(3001, generator=generator)[:501]
    assert torch.equal(row_product(rows[scattered], weight.T), together[scattered])


def test_derivatives_of_a_product_are_products():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.equal(row_product(rows, matrix), row_product(rows.detach(), matrix.detach()))
    assert torch.autograd.gradcheck(row_product, (rows, matrix))
    assert torch.autograd.gradgradcheck(row_product, (rows, matrix))


def scans():
    """Widths, rule, samples and chunks; all chunks of many roots in the exhaustive tests."""
    networks = [(3, 1), (6, 5, 1), (20, 16, 12, 1), (7, 6, 5, 4, 1), (64, 33, 1)]
    for widths, rule in product(networks, ["z+", "gamma", "w2", "x", "pinv", "zero", "zB"]):
        name = f"{'-'.join(map(str, widths))}-{rule}"
        # Slopes by automatic differentiation, whose graphs are large in deep or wide networks.
        dear = rule in ("w2", "pinv", "zero") and (len(widths) > 3 or widths[0] == 64)
        some = (50, 1000) if len(widths) > 3 else (1, 50, 1000)
        many = dear or len(widths) > 3
        yield pytest.param(
            widths, rule, *((2 if dear else 9, some) if many else (9, CHUNKS)), id=name
        )
        if many:
            yield pytest.param(
                widths, rule, 9, CHUNKS, id=f"{name}-all", marks=pytest.mark.exhaustive
            )


@pytest.mark.parametrize(("widths", "rule", "samples", "chunks"), list(scans()))
def test_relevances_do_not_depend_on_the_chunks(widths, rule, samples, chunks):
    net = random_network(widths, 1, "positive")
    rules = [rule, *["gamma" if rule == "zB" else rule] * (net.depth - 1)]
    x = positive_input(widths[0], 1, samples)
    whole = relevances(recursion(net, rules, max_points=MANY), x)
    for chunk in chunks:
        parts = relevances(recursion(net, rules, max_points=chunk), x)
        assert all(torch.equal(*pair) for pair in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    ("samples", "chunks"),
    [(2, (20,)), pytest.param(4, CHUNKS, id="all", marks=pytest.mark.exhaustive)],
)
@pytest.mark.parametrize("searched", [[SEARCH, CLOSED, CLOSED], [CLOSED, SEARCH, CLOSED]])
def test_searched_relevances_do_not_depend_on_the_chunks(searched, samples, chunks):
    net = random_network((5, 4, 3, 1), 6, "positive")
    x = positive_input(5, 6, samples)
    whole = relevances(recursion(net, "z+", searched, max_points=MANY), x)
    assert all(relevance.any() for relevance in whole)
    for chunk in chunks:
        parts = relevances(recursion(net, "z+", searched, max_points=chunk), x)
        assert all(torch.equal(*pair) for pair in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    "chunks", [(1, 40), pytest.param((1, 40, 100000), id="all", marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize(
    "settings",
    [
        ["network.hidden=[16,8]", "rule=gamma", "relevance.methods=[recursive,train_free]"],
        ["network.hidden=[8]", "rule=w2", "dtype=float32"],
        ["network.hidden=[6]", "input_roots=random", "input_roots.candidates=5"],
    ],
    ids=" ".join,
)
def test_tables_do_not_depend_on_the_chunks(tmp_path, monkeypatch, settings, chunks):
    monkeypatch.chdir(tmp_path)
    for chunk in chunks:
        arguments = [*settings, "training.epochs=2", "inputs.n=3", "plots=none", "progress=false"]
        sizes = [f"relevance.max_points={chunk}", f"hydra.run.dir=run{chunk}"]
        assert dtd_run(monkeypatch, *arguments, *sizes) == 0
        assert tables(f"run{chunk}") == tables("run1")
