"""The documentation against the program: what it shows runs, and what there is it names."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from dtd.roots import ROOT_FINDERS
from dtd.rules import RULES
from dtd_cli.app.choices import groups
from dtd_cli.app.locations import CONF
from dtd_cli.plots import PICTURES
from dtd_cli.records.columns import INPUTS
from dtd_cli.report.command import main as report
from dtd_cli.run.studies import STUDIES
from test_cli import dtd_run
from test_configs import composed

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text()
OUTPUTS = (REPOSITORY / "docs" / "outputs.md").read_text()
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text()
PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/README.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def section(page, heading):
    """What stands below the heading that begins so, up to the next of its level or above."""
    (text,) = re.split(rf"^{re.escape(heading)}.*\n", page, flags=re.MULTILINE)[1:]
    level = heading.count("#")
    return re.split(rf"^#{{1,{level}}} ", text, flags=re.MULTILINE)[0]


def words(text):
    """The single words in code style."""
    return set(re.findall(r"`([^`\s]+)`", text))


# The README's commands


def commands(text):
    """The commands of a text: those in blocks, and those in a line that have settings."""
    lines = "".join(content for kind, content in FENCE.findall(text) if not kind)
    inline = re.findall(r"`(dtd-run [^`]*=[^`]*)`", FENCE.sub("", text))
    return [*lines.replace("\\\n", " ").splitlines(), *inline]


def small(arguments):
    """The arguments, and besides them what makes a run small where they do not say otherwise.

    Wide networks are narrower, sweeps have two seeds, and their report is left to ``dtd-report``.
    """
    parsed = OverridesParser.create().parse_overrides([a for a in arguments if a != "-m"])
    single = [p.input_line for p in parsed if not p.is_sweep_override()]
    config = composed(*[line for line in single if not line.startswith("hydra.")])
    wanted = {"plots": "none", "progress": "false", "report": "false"}
    # Of a grid or of a table only some may have f > 0.
    most = 16 if config.inputs.name in ("grid", "csv") else 1
    if config.inputs.n is None or config.inputs.n > most:
        wanted["inputs.n"] = most
    if config.training.name == "adam":
        wanted["training.epochs"] = 2
    if config.network.name == "mlp":
        wanted["network.hidden"] = "[6,5]"
    if config.network.name == "cnn":
        wanted["network.channels"] = "[2]"
    if config.input_roots and config.input_roots.name == "random":
        wanted["input_roots.candidates"] = 50
    given = {p.key_or_group for p in parsed}
    narrow = [a.replace("512", "32").replace("range(0,3)", "range(0,2)") for a in arguments]
    return [*narrow, *(f"{key}={value}" for key, value in wanted.items() if key not in given)]


def make_targets():
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def do(command, monkeypatch):
    """Run one command of the README; those of make that are no run of the program must exist."""
    program, *arguments = shlex.split(command)
    if program == "make":
        target, *rest = arguments
        assert target in make_targets()
        if target == "run":
            given = shlex.split(rest[0].removeprefix("ARGS=")) if rest else []
            assert dtd_run(monkeypatch, *small(given)) == 0
    elif program == "python":
        first, *rest = arguments
        program = rest[0] if first == "-c" else Path(first).read_text()
        with torch.random.fork_rng():
            exec(program, {"__name__": "__main__"})
    elif program == "dtd-report":
        monkeypatch.setattr(sys, "argv", [program, *arguments, "--quiet"])
        report()
    else:
        assert program == "dtd-run", command
        assert dtd_run(monkeypatch, *small(arguments)) == 0


PARTS = {"beginning": README.partition("\n## ")[0]} | {
    title: section(README, f"## {title}")
    for title in re.findall(r"^## (.*)$", README, re.MULTILINE)
}
SHOWING = [title for title, text in PARTS.items() if commands(text)]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("title", SHOWING)
def test_what_the_readme_shows_runs(title, tmp_path, monkeypatch, capfd):
    """The commands of a section one after the other, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    text = PARTS[title]
    files = re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    for name, content in files:
        (tmp_path / name).write_text(content)
    for command in commands(text):
        try:
            do(command, monkeypatch)
        except AssertionError as error:
            raise AssertionError(f"{command}\n{capfd.readouterr().err}") from error


def test_the_readme_names_every_rule_and_strategy():
    tables = words(section(README, "## Choose"))
    assert {*RULES, *ROOT_FINDERS} <= tables


def test_pictures_are_there_and_small():
    shown = re.findall(r"\]\((docs/pictures/[^)]*)\)", README)
    assert len(shown) >= 4
    for path in shown:
        assert (REPOSITORY / path).stat().st_size < 300_000


def test_the_script_draws_the_pictures_by_the_commands_that_are_shown():
    script = (REPOSITORY / "docs" / "pictures" / "draw.sh").read_text().replace("\\\n", " ")
    drawn = [shlex.split(line) for line in script.splitlines() if line.startswith("draw ")]
    shown = [shlex.split(command) for command in commands(README)]
    assert len(drawn) >= 4
    for _, name, _, *settings in drawn:
        assert f"](docs/pictures/{name})" in README
        assert ["dtd-run", *settings] in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text()))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == version("dtd-run")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year"} <= reference.keys()
        assert reference.get("doi") or reference.get("url")
        assert reference.get("doi") is None or reference["doi"] in README


def test_the_workflow_calls_targets_that_exist_on_every_python_that_is_supported():
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    named = " ".join(project["classifiers"])
    assert job["strategy"]["matrix"]["python"] == re.findall(r"Python :: (3\.\d+)", named)
    targets = [shlex.split(step["run"])[1] for step in job["steps"] if "run" in step]
    assert {"check", "test"} <= set(targets) <= make_targets()
    # A tag can be moved, a commit cannot.
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in actions)


# What is written

EVERY = "[recursive,train_free,gradient_x_input,simple_taylor]"
RUNS = {
    "searched": ["experiment=notebook"],
    "everything": [
        "network=maximum", "training=none", "inputs=grid", "inputs.points=3", "inputs.n=4",
        "input_roots=metropolis", f"relevance.methods={EVERY}", f"studies=[{','.join(STUDIES)}]",
    ],
    "pairs": [
        "network=notebook", "training=none", "inputs=notebook", "relevance.degree=2",
        "relevance.interactions=true",
    ],
    "paths": [
        "network=notebook", "training=none", "inputs=notebook", "relevance.paths=true",
    ],
    "estimated": [
        "network=paper", "training=none", "inputs=positive", "inputs.n=2",
        "relevance.estimator=monte_carlo", "relevance.sampled_paths=40",
    ],
    "convolution": [
        "network=cnn", "network.channels=[2]", "network.hidden=[]", "training.epochs=1",
        "inputs.n=2", "relevance.methods=[train_free]",
    ],
    "trained": ["network.hidden=[6]", "training.epochs=2", "inputs.n=2", "seed=1"],
    "trained_again": ["network.hidden=[6]", "training.epochs=2", "inputs.n=2", "seed=1", "rule=x"],
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with runs that write every table, and a report over them."""
    folder = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("dtd_cli.report.story._pictures", lambda *_: ())
        for name, arguments in RUNS.items():
            given = [*arguments, "progress=false", "plots=none", f"hydra.run.dir={name}"]
            assert dtd_run(patch, *given) == 0
        patch.setattr(sys, "argv", ["dtd-report", ".", "--quiet"])
        report()
    return folder


def features(run):
    """The inputs' own columns."""
    return set(pd.read_csv(run / "inputs.csv").columns[len(INPUTS) :])


def described(name):
    """The words that docs/outputs.md has for a table of a run."""
    if f"\n## {name}" in OUTPUTS:
        return words(section(OUTPUTS, f"## {name}"))
    (row,) = re.findall(
        rf"^\| `{name}` .*$", section(OUTPUTS, "## Tables of studies"), re.MULTILINE
    )
    return words(row)


def test_every_column_of_a_run_is_described(written):
    tables = {path.name for name in RUNS for path in (written / name).glob("*.csv")}
    assert set(re.findall(r"^## (\S+\.csv)", OUTPUTS, re.MULTILINE)) <= tables, "add a run to RUNS"
    for name in RUNS:
        for path in (written / name).glob("*.csv"):
            columns = set(pd.read_csv(path, nrows=0).columns)
            if path.name == "inputs.csv":
                columns -= features(written / name)
            # Of numbered columns the first stands for all.
            numbered = {re.sub(r"_\d+$", "_0", column) for column in columns}
            assert numbered <= described(path.name), path


def test_every_column_of_a_report_is_described(written):
    text = section(OUTPUTS, "## What a report holds")
    settings = {key for group in groups() for key in (group, f"{group}.")} | set(composed())
    summary = words(section(OUTPUTS, "## summary.json"))
    for path in (written / "report").glob("*.csv"):
        known = words(section(text, f"### {path.name}"))
        if path.name == "relevance.csv":
            known |= described("relevance.csv")
        for column in pd.read_csv(path, nrows=0).columns:
            first = column.partition(".")[0]
            assert column in known or first in settings | summary, (path.name, column)


def test_every_key_is_described(written):
    for name in ("summary.json", "environment.json"):
        known = words(section(OUTPUTS, f"## {name}"))
        for run in RUNS:
            assert set(json.loads((written / run / name).read_text())) <= known


def test_every_file_is_described(written):
    known = words(OUTPUTS)
    for run in RUNS:
        files = {path.name for path in (written / run).iterdir() if path.suffix != ".csv"}
        assert files - {".hydra", "plots"} <= known
    assert {f"plots/{name}.png" for name in PICTURES} <= known


# What can be set


def options():
    """The settings of every option, as they come: (group, option, setting, default)."""
    for group in ("network", "training", "inputs", "rule", "roots", "plots"):
        for option in groups()[group]:
            settings = yaml.safe_load((CONF / group / f"{option}.yaml").read_text())
            # An option may set others besides its own.
            settings = settings.get(group, settings)
            for setting in set(settings) - {"name", "defaults"}:
                yield group, option, setting, settings[setting]


def settings_table(group):
    """The rows of docs/settings.md for a group: (options, setting, default)."""
    for row in re.findall(
        r"^\| (.*?) \| `(\w+)` \| `(.*?)` \|", section(SETTINGS, f"## {group}"), re.M
    ):
        yield words(row[0]) or {"all"}, row[1], yaml.safe_load(row[2])


def test_every_setting_of_an_option_has_its_row():
    for group, option, setting, default in options():
        rows = {name: row for row in settings_table(group) for name in row[0] if row[1] == setting}
        assert option in rows or "all" in rows, (group, option, setting)
        if option in rows:
            assert rows[option][2] == default, (group, option, setting)


def test_every_row_is_a_setting():
    known = {(group, option, setting) for group, option, setting, _ in options()}
    for group in ("network", "training", "inputs", "rule", "roots", "plots"):
        for names, setting, _ in settings_table(group):
            for name in names - {"all"}:
                assert (group, name, setting) in known
    assert all(
        f"`{option}`" in SETTINGS for group in ("rule", "roots") for option in groups()[group]
    )


def test_every_other_setting_is_in_the_help_or_the_docs(monkeypatch, capfd):
    dtd_run(monkeypatch, "--help")
    texts = capfd.readouterr().out + "".join(page.read_text() for page in PAGES)
    known = set(re.findall(r"\w+(?:\.\w+)*", texts))
    known |= {word.partition(".")[0] for word in known}
    config = yaml.safe_load((CONF / "config.yaml").read_text())
    names = []
    for key, value in config.items():
        inner = isinstance(value, dict) and value
        names += [f"{key}.{name}" for name in value] if inner else [key]
    assert {name for name in names if not name.startswith(("hydra", "defaults"))} <= known
