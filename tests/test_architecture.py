"""Imports point one way: a part of the program knows only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dtd_cli

PACKAGE = Path(dtd_cli.__file__).parent

FLOORS = (
    ("errors", "numerics", "locations", "row_products"),
    ("launchers", "typed"),
    ("networks", "overrides"),
    ("identity",),
    ("inputs",),
    ("training", "regions", "rules"),
    ("roots",),
    ("relevance",),
    ("settings",),
    ("config",),
    ("preparation",),
    ("records", "studies"),
    ("plots",),
    ("runner", "report"),
    ("sweep",),
    ("cli",),
)
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dtd_cli"):
            parts = node.module.split(".")[1:] or [alias.name for alias in node.names]
            yield parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    part = part_of(path)
    for other in imported_parts(path):
        assert other == part or FLOOR[other] < FLOOR[part]


def test_plots_know_tables_only():
    for path in (PACKAGE / "plots").glob("*.py"):
        assert set(imported_parts(path)) <= {"plots"}
        assert "import torch" not in path.read_text()


def test_reports_know_files_only():
    for path in (PACKAGE / "report").rglob("*.py"):
        assert set(imported_parts(path)) <= {"report", "plots", "records", "errors"}
        assert "import torch" not in path.read_text()
