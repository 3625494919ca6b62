"""``make bench``: what two ways of doing one task cost, measured alternately in one process.

pytest-benchmark times the program's own way; before each of its rounds the other way is timed
once. The table is printed and written to ``outputs/bench/``, and after a whole run to the marked
block of ``docs/speed.md``.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from timeit import repeat

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "outputs" / "bench"
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- written by make bench: begin -->\n", "<!-- written by make bench: end -->\n"
PROGRAM = Path(sys.executable).parent / "dtd-run"


@dataclass(frozen=True)
class Row:
    """One line of the table; times in milliseconds, memory in MiB above what was held before."""

    task: str
    threads: int
    ours_ms: float
    compared_with: str
    theirs_ms: float
    ratio: float
    target: str
    met: str
    peak_mib: float


ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture(autouse=True)
def one_thread():
    """One thread, where a benchmark does not say otherwise."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def compare(benchmark, request):
    """``compare(task, ours, name, theirs, at_least=8)``, or ``at_most=2``, or ``within=10``.

    How many times faster ours is to be, how many times slower it may be, or its seconds.
    """

    def measured(
        task: str,
        ours: Callable[[], object],
        name: str,
        theirs: Callable[[], object],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        within: float | None = None,
        rounds: int = 15,
        threads: int = 1,
    ) -> None:
        others = []

        def other() -> None:
            start = time.perf_counter()
            theirs()
            others.append(time.perf_counter() - start)

        theirs()
        peak = peak_memory(ours)
        benchmark.pedantic(ours, setup=other, rounds=rounds)
        mine, other_time = benchmark.stats.stats.median, statistics.median(others)
        ratio, target, met = mine / other_time, "", ""
        if at_least is not None:
            ratio = other_time / mine
            target, met = f"faster, >= {at_least:g} times", _word(ratio >= at_least)
        elif at_most is not None:
            target, met = f"cost <= {at_most:g} times", _word(ratio <= at_most)
        elif within is not None:
            target, met = f"<= {within:g} s", _word(mine <= within)
        request.config.stash[ROWS].append(
            Row(task, threads, 1e3 * mine, name, 1e3 * other_time, ratio, target, met, peak)
        )

    return measured


@pytest.fixture
def command(request):
    """``command(arguments, within=5)``: one ``dtd-run`` in a process of its own.

    Its memory is all that the process held, and ``below`` is the most that it may be, in MiB.
    """

    def measured(arguments: list[str], *, within: float, below: float | None = None) -> None:
        seconds, peak = run_program(arguments)
        target = f"<= {within:g} s" + (f", <= {below:g} MiB" if below else "")
        met = seconds <= within and peak <= (below or peak)
        shown = " ".join(part for part in arguments if not part.startswith("hydra.run.dir"))
        request.config.stash[ROWS].append(
            Row(f"dtd-run {shown}".strip(), 1, 1e3 * seconds, "", float("nan"), float("nan"),
                target, _word(met), peak)
        )  # fmt: skip

    return measured


def run_program(arguments: list[str]) -> tuple[float, float]:
    """The seconds of one ``dtd-run``, and the most that it held, in MiB."""
    watched = [sys.executable, "-c", _WATCH, PROGRAM, *arguments]
    seconds, peak = subprocess.run(
        watched, check=True, capture_output=True, text=True
    ).stdout.split()
    return float(seconds), int(peak) / 1024


# In a small process between, for a process is said to hold what the one that started it holds.
_WATCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
took = time.perf_counter() - start
print(took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _word(met: bool) -> str:
    return "yes" if met else "no"


def peak_memory(task: Callable[[], object]) -> float:
    """The most that the process held during the task, above what it held before, in MiB."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        task()
        return float("nan")
    reset.write_text("5")
    before = _kibibytes(status, "VmRSS")
    task()
    return (_kibibytes(status, "VmHWM") - before) / 1024


def _kibibytes(status: Path, name: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def pytest_configure(config):
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if rows := config.stash[ROWS]:
        table = pd.DataFrame([asdict(row) for row in rows])
        FOLDER.mkdir(parents=True, exist_ok=True)
        table.to_csv(FOLDER / "bench.csv", index=False)
        text = markdown(rows)
        (FOLDER / "bench.md").write_text(text)
        if exitstatus == 0 and not config.option.keyword:
            before, rest = PAGE.read_text().split(BEGIN)
            after = rest.split(END)[1]
            PAGE.write_text(f"{before}{BEGIN}\n{machine()}\n\n{text}\n{END}{after}")
        terminalreporter.write_sep("=", f"written to {FOLDER}")
        terminalreporter.write_line(text)


def machine() -> str:
    """On what the figures were measured, in one sentence."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"Measured on {cpu}, {os.cpu_count()} cores, {card}, with torch {torch.__version__} and "
        f"Python {platform.python_version()}; {os.getloadavg()[2]:.1f} processes ran on average. "
        f"A loop of ten million additions in Python takes {_loop():.2f} s here."
    )


def _loop() -> float:
    """The seconds of a loop in Python, the least of three: by it machines can be compared."""
    return min(
        repeat("for number in range(10**7): total += number", "total = 0", repeat=3, number=1)
    )


def markdown(rows: list[Row]) -> str:
    """The table for people."""
    cells = [
        [
            "" if value != value else f"{value:.3g}" if isinstance(value, float) else str(value)
            for value in asdict(row).values()
        ]
        for row in rows
    ]
    names = [field.name for field in fields(Row)]
    lines = [names, ["---"] * len(names), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
