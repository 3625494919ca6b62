"""How long a report over many runs takes: ``python benchmarks/report.py [RUNS]``.

One real run on digits is copied, with other seeds and rules in its configuration and the numbers
as they are. Prints the seconds and the size of what was read and written.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

BIN = Path(sys.executable).parent
RULES = ("z+", "w2", "gamma", "x")


def main(count: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [BIN / "dtd-run", "plots=none", "progress=false", f"hydra.run.dir={folder}/real"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        real = folder / "real"
        settings, inputs = ((real / p).read_text() for p in (".hydra/config.yaml", "inputs.csv"))
        for number in range(count):
            seed, rule = number // len(RULES), RULES[number % len(RULES)]
            copy = folder / "runs" / f"rule={rule},seed={seed}"
            shutil.copytree(real, copy)
            text = settings.replace("seed: 0\n", f"seed: {seed}\n", 1)
            text = text.replace("name: z+", f"name: {rule}")
            (copy / ".hydra" / "config.yaml").write_text(text)
            # Other inputs for each seed: the first field of the first row is a white pixel.
            other = inputs.replace(",0.0,", f",{seed / 1000},", 1)
            (copy / "inputs.csv").write_text(other)
            # What is listed there would not match.
            (copy / "DONE").write_text("")
        start = time.perf_counter()
        subprocess.run([BIN / "dtd-report", folder / "runs"], check=True)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in (folder / "runs" / "report").iterdir())
        print(f"{count} runs: {seconds:.1f} s, a report of {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
