"""docs/python.md and the example notebook, executed as they stand."""

from __future__ import annotations

import re
import warnings
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import torch

import dtd

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs" / "python.md").read_text()
NOTEBOOK = REPOSITORY / "examples" / "seed_notebook.ipynb"


@pytest.fixture(scope="module")
def names():
    """What all code blocks of the page leave behind, one after the other."""
    found = {}
    with torch.random.fork_rng(), warnings.catch_warnings():
        # Captum says that it sets a flag of its input.
        warnings.filterwarnings("ignore", module="captum")
        for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
            exec(block, found)
    return found


def test_the_page_lists_all_arguments():
    _, _, listed = PAGE.partition("## All arguments")
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\|", listed, re.MULTILINE)
    arguments = {field.name: field.default for field in fields(dtd.DTD)}
    assert [name for name, _ in rows] == list(arguments)
    known = {"torch": torch, "untracked": arguments["track"]}
    for name, default in rows:
        assert (eval(default, known) if default else MISSING) == arguments[name]


def test_what_the_page_says_of_shapes(names):
    result = names["result"]
    assert result.attribution.shape == names["x"].shape
    assert result.relevance[1].shape == (10, 16)
    assert result.f.shape == result.ledger[0].remainder.shape == (10,)
    assert len(result.relevance) == 4
    assert names["root"].point.shape == (10, 4)
    assert result.explained.any()


def test_the_frame_holds_the_relevance(names):
    result, frame = names["result"], names["frame"]
    rows = frame.query("layer == 0")["relevance"].to_numpy().reshape(-1, 4)
    assert (rows == result.attribution[result.explained].numpy()).all()


def test_the_slope_is_that_of_the_relevance(names):
    assert names["slope"].shape == (10, 16)
    assert (names["slope"] != 0).any()


def test_captum_agrees(names):
    assert names["ours"].explained.any()
    assert names["difference"] < 1e-6


def test_estimates_are_near(names):
    assert names["estimated"].stderr is not None
    assert names["train_free"].shape == names["x"].shape


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_seed_notebook():
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = [
        output["data"]["text/plain"]
        for cell in notebook.cells if cell.cell_type == "code"
        for output in cell.outputs if "data" in output
    ]  # fmt: skip
    # f(x), and R_1 of its five hidden units, as the notebook had them.
    assert "2.9343" in shown[0]
    assert all(number in shown[1] for number in ("2.1211", "0.3255", "0.4877"))
    assert "18" in shown[2]
