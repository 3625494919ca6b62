"""Runs the experiments and rewrites the tables of the README from their CSV files.

``make experiments`` is all of them at full size, ``make experiments-quick`` a trial at small size
that leaves the README and ``results/`` as they are.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

import conservation
import published
import width
from document import filled
from dtd_cli.app.command import main as dtd_run
from dtd_cli.app.terminal import draw_alike, keep_numpy_to_one_thread
from runs import NoResult, runs
from tables import TABLES

HERE = Path(__file__).parent
README = HERE / "README.md"
RESULTS = HERE / "results"
OUTPUTS = HERE.parent / "outputs" / "experiments"
_PICTURES = HERE.parent / "docs" / "pictures"
FIGURES: dict[Path, tuple[Callable[..., None], tuple[str, ...]]] = {
    _PICTURES / "conservation.png": (
        conservation.draw,
        ("conservation", "conservation_degree"),
    ),
    _PICTURES / "width.png": (
        width.draw,
        ("conservation_width", "conservation_width_others"),
    ),
    _PICTURES / "published_roots.png": (published.draw, ("published_protocol",)),
}
"""What draws each figure, given the results that are named and its path."""

_ENVIRONMENT = {
    # A thread for each of the experiments that run side by side.
    "OMP_NUM_THREADS": "1",
    # glibc gives large arrays back at once: asking for them anew takes up to a seventh of the time.
    # Of the first its older versions take 32 MiB at most.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}

_SLOW_TO_IMPORT = ["dtd_cli.app.command", "dtd_cli.run.run", "dtd_cli.plots"]
_SLOW_TABLES = ("conservation_width_others", "faithfulness")

REFUSED = 2
"""The exit status of dtd-run for a sweep in which a network was dead."""

_FEW = ("inputs.n=5", "seed=range(0,1)")
_FEW_TRAINED = (*_FEW, "training.epochs=5")

_NARROW = ("inputs.n=2", "seed=0", "network.hidden=[8,8],[32,32],[64,64]")
_BRIEFLY = "training.epochs=2"
_NARROW_TRAINED = (*_NARROW, _BRIEFLY)

QUICK: dict[str, tuple[str, ...]] = {
    "conservation_width": _NARROW_TRAINED,
    "conservation_width_cnn_wide": (
        "inputs.n=1",
        "seed=0",
        "network.channels=[8,16]",
        "relevance.sampled_paths=2000",
        "training.epochs=1",
    ),
    "conservation_width_depth": ("inputs.n=2", "seed=0", "network.hidden=[64,64,64]", _BRIEFLY),
    "conservation_degree": _FEW_TRAINED,
    "conservation": _FEW_TRAINED,
    "full_backward": ("inputs.n=20", "roots.directions=10"),
    "roots_leave_region": ("inputs.n=20", "seed=range(1,4)"),
    "conservation_width_random": _NARROW,
    "conservation_random": _FEW,
    "roots_leave_region_gamma": ("inputs.n=20", "seed=range(1,3)"),
    "conservation_width_gamma_random": _NARROW,
    "conservation_degree_random": ("inputs.n=1", "seed=range(0,1)", "network.hidden=[6]"),
    "conservation_width_cnn": (
        "inputs.n=1",
        "seed=0",
        "network.channels=[2,4],[4,8]",
        "training.epochs=1",
    ),
    "published_protocol": ("inputs.n=20",),
    "published_protocol_gamma": ("inputs.n=20",),
    "maximum": ("inputs.points=6,11",),
    "faithfulness": ("inputs.n=5", "seed=0", "network.hidden=[16,16]", "training.epochs=2"),
    "faithfulness_mnist": ("inputs.n=4", "seed=0", "network.hidden=[16,16]", "training.epochs=1"),
    "conservation_width_mnist": (*_NARROW, "training.epochs=1"),
    "conservation_width_gamma": _NARROW_TRAINED,
    "regions_2d_wide": ("plots=none", "seed=1"),
    "conservation_width_slow": _NARROW_TRAINED,
    "conservation_degree_box": _FEW_TRAINED,
    "conservation_width_x_trained": _NARROW_TRAINED,
    "conservation_integral": _FEW_TRAINED,
    "conservation_box": _FEW_TRAINED,
    "regions_2d": ("plots=none",),
    "root_strategies": ("inputs.n=10",),
    "regions_2d_published": ("plots=none", "seed=1"),
    "conservation_width_x": _NARROW,
    "any_explanation": ("inputs.n=1",),
    "region_chains": ("inputs.n=2", "input_roots.chains=100"),
    "rank_collapse": ("inputs.n=5", "seed=range(0,2)"),
    "published_4layer": ("inputs.n=20",),
    "rules_2layer": ("plots=none",),
    "notebook": (),
    "conservation_random_box": _FEW,
    "output_scaling": ("inputs.n=5", "seed=range(0,3)"),
    "conservation_integral_box": _FEW_TRAINED,
    "constant_roots": ("inputs.n=5",),
    "output_scaling_published": ("inputs.n=5", "seed=range(1,3)"),
    "rules_2layer_gamma": ("plots=none",),
    "gamma_scan": ("rule.gamma=10,1000000",),
    "upper_relevance": ("inputs.n=5",),
}
"""Every experiment, the longest first, and the settings that make it small."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, and without any effect")
    parser.add_argument("--jobs", type=int, default=2, help="experiments side by side (2)")
    options = parser.parse_args(arguments)
    processes = Processes(options.jobs)
    try:
        if options.quick:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                run_all(folder / "runs", QUICK, processes)
                measure_all(folder / "runs", folder / "results", processes)
                print(written(README.read_text(), folder / "results"))
            return
        run_all(OUTPUTS, dict.fromkeys(QUICK, ()), processes)
        measure_all(OUTPUTS, RESULTS, processes)
    except NoResult as error:
        sys.exit(str(error))
    README.write_text(written(README.read_text(), RESULTS))
    for path, (draw, names) in FIGURES.items():
        draw(*(pd.read_csv(RESULTS / f"{name}.csv") for name in names), path)


@dataclass(frozen=True)
class Processes:
    """So many processes at a time, a new one for each piece of work.

    Each is a copy of one that has imported the program. To import it takes longer than many an
    experiment does.
    """

    jobs: int

    def each(self, work: Callable[..., str], items: Iterable[tuple[Any, ...]]) -> Iterator[str]:
        """The answers of a function to several items: its arguments, of which the first is a name.

        Raises:
            NoResult: the function raised it, or a process ended without an answer.
        """
        # All of it is read when a module is imported or a process begins.
        os.environ |= _ENVIRONMENT
        draw_alike()
        keep_numpy_to_one_thread()
        context = get_context("forkserver")
        context.set_forkserver_preload(_SLOW_TO_IMPORT)

        def answer(item: tuple[Any, ...]) -> str:
            # What was imported stays, so nobody needs to look for garbage there.
            with ProcessPoolExecutor(1, context, gc.freeze) as process:
                try:
                    return process.submit(work, *item).result()
                except BrokenProcessPool as error:
                    raise NoResult(f"{item[0]}: its process was killed") from error

        with ThreadPoolExecutor(self.jobs) as threads:
            yield from threads.map(answer, items)


def run_all(folder: Path, experiments: Mapping[str, Sequence[str]], processes: Processes) -> None:
    """Every experiment in ``folder/NAME``."""
    for name in processes.each(partial(run, folder), experiments.items()):
        print(f"{name} is done", file=sys.stderr, flush=True)


def run(folder: Path, name: str, settings: Sequence[str]) -> str:
    """One experiment with its settings in a new folder, in a process of its own; its name.

    Raises:
        NoResult: a run ended without a result, and not because its network is dead.
    """
    folder = folder / name
    shutil.rmtree(folder, ignore_errors=True)
    several = ["-m"] * any("=range(" in setting or "," in setting for setting in settings)
    where = [
        *(f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}"),
        *("progress=false", "report=false"),
    ]
    sys.argv = ["dtd-run", *several, f"experiment={name}", *settings, *where]
    status: str | int = 0
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            dtd_run()
        except SystemExit as end:
            status = end.code or 0
    if status not in (0, REFUSED) or not any(run.done for run in runs(folder)):
        raise NoResult(f"experiment={name} ended with {status}:\n{said.getvalue()}")
    return name


def measure_all(folder: Path, results: Path, processes: Processes) -> None:
    """The numbers of every table, from the runs below ``folder``, as CSV files."""
    results.mkdir(parents=True, exist_ok=True)
    names = [*_SLOW_TABLES, *(name for name in TABLES if name not in _SLOW_TABLES)]
    for said in processes.each(partial(measure, folder, results), zip(names, strict=True)):
        print(said, end="", file=sys.stderr, flush=True)


def measure(folder: Path, results: Path, name: str) -> str:
    """Write one table, in a process of its own; what there is to say about it."""
    table = TABLES[name]
    if table.missing:
        return f"{name} stays as it is: it needs {table.needs}; pip install -e '.[metrics]'\n"
    table.measured(folder).to_csv(results / f"{name}.csv", index=False, lineterminator="\n")
    return ""


def written(document: str, results: Path) -> str:
    """The document with its tables as the CSV files have them."""
    measured = {name: results / f"{name}.csv" for name in TABLES}
    tables = {
        name: TABLES[name].show(pd.read_csv(path))
        for name, path in measured.items()
        if path.exists()
    }
    return filled(document, tables)


if __name__ == "__main__":
    main()
