"""What it costs that a finished run is still there after a power cut (docs/sweeps.md).

``python benchmarks/syncs.py [RUNS]`` does RUNS tiny runs (1000) with and without waiting for the
disk, in sweeps of 20 by turns, and prints the milliseconds of a run, by the clock and of the
processor, and their ratios. The disk is that of the folder for temporary files (``TMPDIR``).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

from dtd_cli.app import sweep
from dtd_cli.app.command import main
from dtd_cli.records import folder

AT_ONCE = 20
TINY = [
    "network=notebook", "network.seed=2", "training=none", "inputs=notebook", "plots=none",
    "report=false", "progress=false",
]  # fmt: skip


def seconds(first: int, runs: int, place: Path, syncs: bool) -> tuple[float, float]:
    """Those of one run of a sweep, by the clock and of the processor."""
    seeds = f"seed=range({first},{first + runs})"
    sys.argv = ["dtd-run", "-m", *TINY, seeds, f"hydra.sweep.dir={place}"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if not syncs:
            for module in (folder, sweep):
                stack.enter_context(patch.object(module, "sync", lambda paths: None))
        before = time.perf_counter(), time.process_time()
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
        after = time.perf_counter(), time.process_time()
    return (after[0] - before[0]) / runs, (after[1] - before[1]) / runs


def measure(runs: int) -> None:
    """Print the figures."""
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with TemporaryDirectory() as place:
        os.chdir(place)
        # All is imported.
        seconds(0, 2, Path("before"), True)
        for block in range(max(1, runs // AT_ONCE)):
            for syncs in (True, False) if block % 2 else (False, True):
                name = Path(f"{block}-{syncs}")
                found[syncs].append(seconds(block * AT_ONCE, AT_ONCE, name, syncs))
        os.chdir("/")
    for what, which in (("clock", 0), ("processor", 1)):
        with_syncs, without = (
            1e3 * median(times[which] for times in found[syncs]) for syncs in (True, False)
        )
        ratios = [a[which] / b[which] for a, b in zip(found[True], found[False], strict=True)]
        print(
            f"{what}: {with_syncs:.0f} ms a run with syncs, {without:.0f} ms without; "
            f"median ratio {median(ratios):.3f}"
        )


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
