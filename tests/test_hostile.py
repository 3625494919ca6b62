"""Folders that somebody else made: what the report says of them, and what it leaves alone."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import string
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtd_cli.report import write_report
from dtd_cli.report.scan import scan
from test_report import rows

SETTINGS = ".hydra/config.yaml"


@pytest.fixture(scope="module")
def one(swept):
    """A run that is done, and not to be changed."""
    return next(path.parent for path in sorted(swept.rglob("DONE")))


@pytest.fixture
def pair(one, tmp_path):
    """Two copies: one to be changed, one for what is reported all the same."""
    for name in ("bad", "good"):
        shutil.copytree(one, tmp_path / "runs" / name)
    # Version 0.1 did not list the files: each is read, whatever its size.
    (tmp_path / "runs" / "bad" / "DONE").write_text("")
    return tmp_path / "runs"


@contextmanager
def bounded(seconds=120, megabytes=2000):
    """Fails what takes long, and what takes much memory.

    Long are so many seconds of processor time, or, for what only waits, ten times as many of the
    clock: other processes may be busy.
    """

    def late(*_):
        raise TimeoutError(f"{seconds} s")

    clocks = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {number: signal.signal(number, late) for number in clocks}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    try:
        yield
    finally:
        for number, clock in clocks.items():
            signal.setitimer(clock, 0)
            signal.signal(number, before[number])
        resource.setrlimit(resource.RLIMIT_AS, limits)


def outside(folder):
    """All that is beside the report, by name: kind, size and time of the last change."""
    found = {}
    for place, names, files in os.walk(folder):
        if Path(place) == folder:
            names[:] = [name for name in names if name != "report"]
        for name in [*names, *files]:
            state = (Path(place) / name).lstat()
            if not name.startswith(".report"):
                kind = state.st_mode, state.st_size
                found[str(Path(place) / name)] = (
                    *kind,
                    0 if kind[0] & 0o040000 else state.st_mtime_ns,
                )
    return found


def reported(folder):
    """The rows of ``runs.csv`` by folder; nothing else is touched, and no limit is reached."""
    before = outside(folder)
    with bounded():
        page = write_report(folder, progress=False)
    assert outside(folder) == before
    assert page.read_text().startswith("<!DOCTYPE html>")
    return {row["folder"]: row for row in rows(folder / "report" / "runs.csv")}


# Files of every kind


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def link(target):
    def made(path):
        path.unlink()
        path.symlink_to(target)

    return made


def folder(path):
    path.unlink()
    path.mkdir()


def endless(path):
    """Larger than any disk."""
    with path.open("wb") as file:
        file.truncate(2**42)


def written(content):
    def write(path):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def changed(old, new, count=1):
    def change(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, count))

    return change


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
DIGITS = "9" * 400

READ = [SETTINGS, "DONE", "inputs.csv", "relevance.csv", "layers.csv", "summary.json",
        "environment.json"]  # fmt: skip
KINDS = {"fifo": fifo, "zeros": link("/dev/zero"), "link": link("/etc/hostname"), "folder": folder,
         "endless": endless, "gone": Path.unlink}  # fmt: skip


CONTENTS = [
    (SETTINGS, written(BOMB), "alias or a tag"),
    (SETTINGS, written("a: &a [*a]\n"), "alias or a tag"),
    (SETTINGS, written("&a {b: *a}\n"), "alias or a tag"),
    (SETTINGS, written("a: !!set {x, y}\n"), "alias or a tag"),
    (SETTINGS, written("a: !!python/object/apply:os.system [touch ran]\n"), "alias or a tag"),
    (SETTINGS, written("a: " + "[" * 100_000), "too deep"),
    (SETTINGS, written("{a: " * 5000), "too deep"),
    (SETTINGS, written("? [1, 2]\n: 3\n"), "unhashable key"),
    (SETTINGS, written("1: 2\n"), "a name is no text"),
    (SETTINGS, written(f"seed: {DIGITS}\n"), "a number of"),
    (SETTINGS, written("seed: " + "1:" * 40_000 + "1\n"), "too long a word"),
    (SETTINGS, written("seed: 2001-01-01\n"), "is no text or number"),
    (SETTINGS, written(b"seed: \xff\n"), "utf-8"),
    (SETTINGS, written("seed: 1\n---\nseed: 2\n"), "expected a single document"),
    (SETTINGS, written("- rule\n"), "no settings"),
    (SETTINGS, written("a: 1\n" * 300_000), "larger than"),
    ("summary.json", changed('"f_mean"', f'"more": {DIGITS}, "f_mean"'), "a number of 400 digits"),
    ("summary.json", changed('"f_mean"', '"more": 1e999, "f_mean"'), "no finite number"),
    ("summary.json", changed('"f_mean"', '"more": NaN, "f_mean"'), "no finite number"),
    ("summary.json", changed('"f_mean"', '"more": "\\ud800", "f_mean"'), "surrogates"),
    ("summary.json", changed('"f_mean"', f'"{"x" * 999}": 1, "f_mean"'), "too long"),
    ("summary.json", changed('"f_mean"', '"m": ' + "[" * 50 + "]" * 50 + ', "f_mean"'), "too deep"),
    ("summary.json", written("[" * 100_000), "recursion"),
    ("summary.json", changed("[\n    64", "3, \"x\": [\n    64"), "network"),
    ("summary.json", changed('"network": [', '"network": ["a",'), "network.0"),
    ("summary.json", changed('"found": 3', '"found": "3"'), "status.found"),
    ("environment.json", changed('"explain"', '"x": "y", "explain"'), "durations.x"),
    ("environment.json", written("3\n"), "environment.json"),
    ("environment.json", written("{}\n"), "durations"),
    ("relevance.csv", changed("recursive", "x" * 500), "no name of a method"),
    ("relevance.csv", changed("recursive,0", "recursive,-1"), "no number from 0 on"),
    ("relevance.csv", changed("recursive,0", f"recursive,{DIGITS}"), "no number from 0 on"),
    ("relevance.csv", changed("recursive,0,0", "recursive,0,1000000000"), "no such layer"),
    ("relevance.csv", changed("recursive,0", "recursive,77"), "not of the samples"),
    ("relevance.csv", changed("recursive,0,0,2,0,", "recursive,0,0,2,64,"), "not of the features"),
    ("relevance.csv", changed("\n", "," * 100 + "\n"), "more than 60 columns"),
    ("relevance.csv", changed("0.0,none\n", '0.0,"\n"\n'), "its lines are no rows"),
    ("relevance.csv", written("method,sample,layer,neuron,relevance\n" + "\n" * 10**6), "shorter"),
    ("layers.csv", changed("recursive,0,0", "recursive,0,1000000000"), "no such layer"),
    ("layers.csv", changed("recursive,0,0,2,", f"recursive,0,0,2,{DIGITS}e999"), "upper_sum"),
    ("inputs.csv", changed("\n1,", "\n0,"), "a sample is there twice"),
    ("inputs.csv", changed("pixel_0_0", "a" + ",a" * 200_000), "more than 100000 columns"),
    ("inputs.csv", changed(",0.0", ",inf"), "a feature is no number"),
    ("inputs.csv", changed("status,output", "output,status"), "does not begin with"),
]  # fmt: skip


CASES = {
    **{
        f"{name} {kind}".removeprefix(".hydra/"): (name, KINDS[kind], f"{name}: ")
        for name in READ
        for kind in KINDS
    },
    **{f"content {number}": case for number, case in enumerate(CONTENTS)},
}


@pytest.fixture(scope="module")
def all_cases(one, tmp_path_factory):
    """One report over a run for each case, and one that nobody changed."""
    runs = tmp_path_factory.mktemp("cases")
    shutil.copytree(one, runs / "good")
    for case, (name, change, _) in CASES.items():
        shutil.copytree(one, runs / case)
        # Version 0.1 did not list the files: each is read, whatever its size.
        if name != "DONE":
            (runs / case / "DONE").write_text("")
        change(runs / case / name)
    with pytest.MonkeyPatch.context() as patch:
        # They would be of the one run that nobody changed.
        patch.setattr("dtd_cli.report.story._pictures", lambda *_: ())
        return reported(runs)


@pytest.mark.parametrize("case", CASES)
def test_a_line_says_what_is_wrong(all_cases, case):
    name, _, words = CASES[case]
    if case == "config.yaml gone":
        # Nothing says that it was a run.
        assert case not in all_cases
        return
    row = all_cases[case]
    if name == "DONE":
        assert row["status"] in ("broken", "interrupted"), row["reason"]
        return
    assert row["status"] == "broken"
    assert row["reason"].startswith(f"{name}: ")
    assert words in row["reason"]
    assert len(row["reason"].splitlines()) == 1


def test_the_others_are_reported(all_cases):
    assert all_cases["good"]["status"] == "done"
    assert all_cases["good"]["f_mean"]


@pytest.mark.usefixtures("no_pictures")
def test_nothing_in_a_configuration_is_resolved(pair, monkeypatch):
    monkeypatch.setenv("SECRET", "told")
    changed("device: auto", "device: auto\nx: ${oc.env:SECRET}\ny: ${oc.decode:1}")(
        pair / "bad" / SETTINGS
    )
    row = reported(pair)["bad"]
    assert row["x"] == "${oc.env:SECRET}"
    assert all(b"told" not in path.read_bytes() for path in (pair / "report").iterdir())


def listed(folder):
    """The runs below a folder, by name."""
    with bounded():
        return {run.name: run for run in scan(folder, progress=False)}


def test_links_are_named_and_not_followed(pair, one):
    (pair / "elsewhere").symlink_to(one)
    (pair / "again").symlink_to(pair / "good")
    (pair / "loop").symlink_to(pair)
    (pair / "linked").mkdir()
    (pair / "linked" / ".hydra").symlink_to(one / ".hydra")
    found = listed(pair)
    assert set(found) == {"bad", "good", "elsewhere", "linked"}
    assert found["elsewhere"].reason == "elsewhere is a link, which is not followed"
    assert found["linked"].reason == ".hydra is a link, which is not followed"


@pytest.mark.usefixtures("no_pictures")
def test_a_folder_whose_name_is_no_text(pair):
    """Its bytes are shown, and the link on the page leads to them."""
    (pair / "good").rename(pair / os.fsdecode(b"\xff\n"))
    runs = pair.rename(pair.with_name(os.fsdecode(b"runs\xff")))
    assert reported(runs)[r"\udcff\n"]["status"] == "done"
    page = (runs / "report" / "index.html").read_text()
    assert 'href="../%FF%0A/"' in page
    assert r"Runs in runs\udcff" in page


def test_a_run_without_its_settings_is_not_left_out(pair):
    shutil.rmtree(pair / "good" / ".hydra")
    run = listed(pair)["good"]
    assert run.status == "broken"
    assert run.reason == ".hydra/config.yaml: No such file or directory"


@pytest.mark.parametrize(
    "plan",
    ["", "[1]", '{"a": 1}', '{"a": [1]}', "[" * 99999, '{"a": ["' + "x" * 2**24 + '"]}'],
    ids=lambda text: text[:12],
)
def test_a_plan_that_is_none_is_told(pair, plan):
    (pair / "runs.json").write_text(plan)
    found = listed(pair)
    assert found["."].status == "broken"
    assert found["."].reason.startswith("runs.json: ")
    assert found["good"].status == "done"


def test_a_plan_of_odd_names(pair):
    names = ["never", "../../out", "/etc", "", ".", "a\0b", "a/./b", "good"]
    job = ["rule=w2", "seed=range(0,1e8)", "x=[" + "[" * 5000, "a=&a [*a]", "=", "y"]
    (pair / "runs.json").write_text(json.dumps(dict.fromkeys(names, job)))
    (missing,) = [run for run in scan(pair, progress=False) if run.status == "missing"]
    assert missing.settings["rule"] == "w2"


# Mutations

HOSTILE = [
    "", "-1", "0", "1", "1e308", "-1e308", "1e-320", DIGITS, "nan", "inf", "NA", "null", "true",
    "[]", "{}", "'", '"', ",", "\n", "\r", "\0", "\x1b[2J", "<script>", "$x_$", "../../x", "&a",
    "*a", "!!set", "${oc.env:HOME}", "é漢🎈", "\u202e", "explained", "skipped", "unbounded",
    "unsettled", "recursive", "9223372036854775808", "x" * 2000, "found", "inactive",
]  # fmt: skip
WORD = re.compile(r"[^\s,:\[\]{}\"]+")


def mutated(chance, folder):
    """One change of one file of a run; what was done, in words."""
    name = chance.choice([name for name in READ if name != "DONE"])
    path = folder / name
    text = path.read_text()
    kind = chance.choice(
        ["word", "word", "word", "words", "letter", "cut", "twice", "line", "lines"]
    )
    if kind in ("word", "words"):
        places = list(WORD.finditer(text))
        for place in sorted(
            chance.sample(places, 1 if kind == "word" else 9), key=lambda p: -p.start()
        ):
            word = chance.choice([chance.choice(HOSTILE), chance.choice(places)[0]])
            text = text[: place.start()] + word + text[place.end() :]
    elif kind in ("letter", "cut", "twice"):
        first, last = sorted(chance.choices(range(len(text)), k=2))
        last = min(last, first + chance.choice([1, 2, 80, 10_000]))
        part = text[first:last]
        new = {"letter": chance.choice(string.printable), "cut": "", "twice": part * 2}[kind]
        text = text[:first] + new + text[last:]
    else:
        lines = text.splitlines(keepends=True)
        first, second = chance.choices(range(len(lines)), k=2)
        if kind == "line":
            lines[first] = lines[second]
        else:
            chance.shuffle(lines)
        text = "".join(lines)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return f"{name}: {kind}"


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "seeds",
    [
        range(25),
        *(
            pytest.param(range(first, first + 200), marks=pytest.mark.exhaustive)
            for first in (0, *range(1000, 6000, 200))
        ),
    ],
)
def test_mutated_runs(one, tmp_path, seeds):
    """Some at a time beside one that nobody changed: it and each of them is reported."""
    seen = set()
    for some in (seeds[at : at + 50] for at in range(0, len(seeds), 50)):
        runs = tmp_path / str(some[0])
        shutil.copytree(one, runs / "good")
        for seed in some:
            shutil.copytree(one, runs / str(seed))
            (runs / str(seed) / "DONE").write_text("")
            mutated(random.Random(seed), runs / str(seed))
        found = reported(runs)
        assert set(found) == {"good", *map(str, some)}
        assert found["good"]["status"] == "done"
        for row in found.values():
            assert (row["status"] == "broken") == bool(row["reason"]), row
        seen |= {row["reason"].partition(":")[0] for row in found.values()}
        shutil.rmtree(runs)
    assert len(seen) > 5
