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
RELEVANCE = (
    ("step", "ledger", "concatenate"),
    ("one_sided",),
    ("series", "factors"),
    ("problem", "recursion", "cost"),
    ("evidence", "interactions", "root_tree"),
    ("explanation",),
    ("methods",),
    ("walks",),
)
"""The floors inside ``relevance``."""


def floors(tower):
    return {part: floor for floor, parts in enumerate(tower) for part in parts}


FLOOR = floors(FLOORS)
FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def part_of(path, package=PACKAGE):
    return path.relative_to(package).parts[0].removesuffix(".py")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dtd_cli"):
            yield node.module.split(".")[1:] or [alias.name for alias in node.names]


def imported_parts(path):
    return (parts[0] for parts in imported_modules(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    part = part_of(path)
    for other in imported_parts(path):
        assert other == part or FLOOR[other] < FLOOR[part]


def test_imports_point_down_in_relevance():
    package, floor = PACKAGE / "relevance", floors(RELEVANCE)
    for path in set(package.rglob("*.py")) - {package / "__init__.py"}:
        part = part_of(path, package)
        for first, *rest in imported_modules(path):
            if first == "relevance":
                assert rest[0] == part or floor[rest[0]] < floor[part], path


def test_plots_know_tables_only():
    for path in (PACKAGE / "plots").glob("*.py"):
        assert set(imported_parts(path)) <= {"plots"}
        assert "import torch" not in path.read_text()


def test_reports_know_files_only():
    for path in (PACKAGE / "report").rglob("*.py"):
        assert set(imported_parts(path)) <= {"report", "plots", "records", "errors"}
        assert "import torch" not in path.read_text()
