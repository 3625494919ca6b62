"""Imports point one way: from the program to the library, and inside each from top to bottom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dtd
import dtd_cli

LIBRARY, PROGRAM = (Path(package.__file__).parent for package in (dtd, dtd_cli))

FLOORS = {
    LIBRARY: (
        ("errors", "progress", "columns", "numerics"),
        ("ranges",),
        ("domains", "networks"),
        ("regions", "rules"),
        ("roots",),
        ("relevance",),
        ("explainer",),
    ),
    LIBRARY / "networks": (
        ("matrices",),
        ("layers",),
        ("network",),
        ("initial", "steps"),
        ("files", "modules"),
        ("onnx",),
        ("loading",),
    ),
    LIBRARY / "explainer": (
        ("arguments", "objections", "output", "samples"),
        ("explained", "model"),
        ("estimators", "reach", "relevance_function", "root_point", "targets"),
        ("frames", "notes"),
        ("root_frames",),
        ("results",),
        ("explainer",),
    ),
    LIBRARY / "relevance": (
        ("plan", "ledger", "concatenate", "slopes.slope", "slopes.stencil"),
        ("expansion", "series"),
        ("batching", "limits"),
        ("slopes",),
        ("recursion",),
        ("problem", "evidence", "interactions", "root_tree", "paths.draws"),
        ("paths.guess", "paths.prefixes"),
        ("paths.beginnings", "paths.climb"),
        ("paths.estimate",),
        ("paths.budget",),
        ("paths.sampled",),
        ("cost", "explanation"),
        ("methods",),
        ("paths",),
        ("opposite",),
    ),
    PROGRAM: (
        (
            "config.errors",
            "config.composed",
            "records.files",
            "run.progress",
            "app.locations",
            "app.status",
            "app.internals",
            "app.imports",
            "app.terminal",
        ),
        (
            "config.renamed",
            "config.references",
            "config.names",
            "config.values",
            "config.allowed",
            "run.outputs",
            "app.program",
        ),
        ("networks", "inputs"),
        ("training",),
        ("config",),
        ("run.selection",),
        ("run.preparation",),
        ("records",),
        ("run.explanations",),
        ("run.studies",),
        ("plots",),
        ("run", "report"),
        ("app",),
    ),
}
"""The parts of each package, from the floor to the roof; a part imports what is below it."""

OUTSIDE = {"torch", "numpy", "daqp", "flint", "highspy"}
"""What the library needs besides the standard library."""

LAZY = {
    "explainer/frames.py": {"pandas"},
    "explainer/results.py": {"pandas"},
    "explainer/root_frames.py": {"pandas"},
    "networks/files/checkpoints.py": {"safetensors"},
    "networks/files/state_dicts.py": {"safetensors"},
    "networks/onnx/graph.py": {"onnx"},
    "networks/onnx/reading.py": {"onnx"},
}
"""What some files need as well, once they are asked for something."""


def imported(path):
    """The names of the modules that a file imports, and whether only when they are needed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def files(package):
    return sorted(path for path in package.rglob("*.py") if path != package / "__init__.py")


def part_of(module, parts):
    """The part to which a dotted name belongs: the longest that it begins with."""
    fitting = [part for part in parts if f"{module}.".startswith(f"{part}.")]
    return max(fitting, key=len)


CASES = [(package, path) for package in FLOORS for path in files(package)]


@pytest.mark.parametrize(
    ("package", "path"), CASES, ids=[f"{p.name}-{f.relative_to(p)}" for p, f in CASES]
)
def test_imports_point_down(package, path):
    floors = {part: number for number, parts in enumerate(FLOORS[package]) for part in parts}
    dotted = ".".join(package.relative_to(LIBRARY.parent).parts) + "."
    own = part_of(".".join(path.relative_to(package).with_suffix("").parts), floors)
    for module in imported(path):
        if module.startswith(dotted):
            other = part_of(module.removeprefix(dotted), floors)
            assert other == own or floors[other] < floors[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", files(LIBRARY), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_the_library_does_not_know_the_program(path):
    import sys

    lazy = LAZY.get(str(path.relative_to(LIBRARY)), set())
    allowed = OUTSIDE | lazy | {"dtd"} | sys.stdlib_module_names
    assert {module.split(".")[0] for module in imported(path)} <= allowed


@pytest.mark.parametrize(
    ("package", "others"),
    [
        (
            "plots",
            (
                "dtd_cli.config.plots",
                "dtd_cli.records.columns",
                "dtd_cli.records.files",
                "dtd_cli.records.limits",
                "dtd_cli.records.methods",
                "dtd_cli.records.table_reading",
            ),
        ),
        (
            "report",
            (
                "dtd_cli.plots",
                "dtd_cli.records.folder",
                "dtd_cli.records.manifest",
                "dtd_cli.records.replacement",
                "dtd_cli.app.program",
                "dtd_cli.records.columns",
                "dtd_cli.records.limits",
                "dtd_cli.records.methods",
                "dtd_cli.records.documents",
                "dtd_cli.records.reading",
                "dtd_cli.records.table_reading",
                "dtd_cli.config.composed",
                "dtd_cli.config.errors",
                "dtd_cli.run.progress",
                "dtd.columns",
            ),
        ),
    ],
)
def test_pictures_and_reports_know_tables_only(package, others):
    for path in files(PROGRAM / package):
        own = {module for module in imported(path) if module.startswith(("dtd.", "dtd_cli."))}
        allowed = (f"dtd_cli.{package}", "dtd.errors", *others)
        assert all(module.startswith(allowed) for module in own), path
        assert "torch" not in set(imported(path))
