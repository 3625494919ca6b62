"""What is installed from the wheel works by itself, from any folder.

The wheel is built from the source distribution, as for an upload, and installed into a new
environment. That environment borrows the dependencies of this one, because installing PyTorch
again would take a minute, but not this one's `dtd_cli`.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


REPORT = """
import sys
from dtd_cli.report import command, story
every = story._pictures
story._pictures = lambda *given: [*every(*given)][-1:]
sys.argv = ["dtd-report", {folder!r}]
command.main()
"""
"""The command with one of its pictures."""


def _run(*command: str | Path, cwd: Path) -> str:
    """What the command printed on stdout; fails the test, with both streams, if it failed."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        told = f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        pytest.fail(told, pytrace=False)
    return done.stdout


@dataclass(frozen=True)
class Installation:
    """The new environment, and a folder far from the repository to work in."""

    bin: Path
    site_packages: Path
    elsewhere: Path

    def python(self, code: str) -> str:
        return _run(self.bin / "python", "-c", code, cwd=self.elsewhere).strip()

    def dtd_run(self, *overrides: str) -> str:
        return _run(self.bin / "dtd-run", *overrides, cwd=self.elsewhere)

    def dtd_report(self, argument: Path | str) -> str:
        return _run(self.bin / "dtd-report", argument, cwd=self.elsewhere)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder]
    _run(*build, REPOSITORY, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    root = tmp_path_factory.mktemp("installation")
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    environment = root / "environment"
    venv.create(environment, symlinks=True)
    scripts = environment / "bin"
    # The path in the new environment follows from the interpreter's, which is this one's.
    variables = {"base": str(environment), "platbase": str(environment)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", variables))
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python"]
    _run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=elsewhere)
    # Folders that a .pth file names are searched for modules, and after the environment's own;
    # .pth files in them, such as that of an editable install, are not read.
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
    return Installation(scripts, site_packages, elsewhere)


def _below(folder: str) -> set[str]:
    """The committed kind of files below a folder of the repository, as paths in it."""
    return {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in {".yaml", ".md"}
    }


def test_wheel_holds_configs_experiments_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    configs, experiments = _below("conf"), _below("experiments")
    assert "conf/config.yaml" in configs
    assert any(path.startswith("experiments/experiment/") for path in experiments)
    assert {f"dtd_cli/{path}" for path in configs | experiments} <= names
    assert {"dtd/__init__.py", "dtd/py.typed", "dtd_cli/__init__.py", "dtd_cli/py.typed"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    own = ("dtd/", "dtd_cli/", "dtd_run-", "hydra_plugins/dtd_sweeper.")
    strangers = [n for n in names if not n.startswith(own)]
    assert strangers == []
    assert [n for n in names if "__pycache__" in n or n.endswith(".pyc")] == []


def test_source_distribution_can_be_built_and_tested(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"Makefile", "constraints.txt", "LICENSE", "tests/test_wheel.py"} <= names
    assert _below("conf") | _below("experiments") <= names


def test_module_comes_from_the_wheel(installation: Installation) -> None:
    module = installation.python("import dtd_cli; print(dtd_cli.__file__)")
    assert Path(module) == installation.site_packages / "dtd_cli" / "__init__.py"


def test_help(installation: Installation) -> None:
    assert "rule" in installation.dtd_run("--help")


def test_configuration_is_found_from_another_folder(installation: Installation) -> None:
    printed = installation.dtd_run("--cfg", "job", "seed=7")
    assert "seed: 7" in printed.splitlines()


def test_run_writes_its_files_and_report_reads_them(
    installation: Installation, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    # Pictures need no file of the installation but modules, and cost more than all the rest.
    installation.dtd_run("experiment=notebook", "plots=none", f"hydra.run.dir={folder}")
    written = {path.name for path in folder.iterdir()}
    tables = {"relevance.csv", "layers.csv", "roots.csv", "root_points.csv", "inputs.csv"}
    assert tables | {"DONE", "summary.json", "environment.json"} <= written
    assert "FAILED" not in written
    with (folder / "relevance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"method", "sample", "layer", "order", "neuron", "relevance"} <= rows[0].keys()
    assert "index.html" in installation.dtd_report("--help")
    page = Path(installation.python(REPORT.format(folder=str(folder))))
    assert page == folder / "report" / "index.html"
    assert "1 run: 1 done." in page.read_text()
