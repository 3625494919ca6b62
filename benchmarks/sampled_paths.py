"""What 2000 sampled paths are worth in ten networks (docs/theory.md, section 5.6).

``python benchmarks/sampled_paths.py [--quick]`` prints the table, root mean squares over two digits
and three training seeds: the standard error of ΣR_0 relative to it, ``‖standard errors of R_0‖ /
‖R_0‖``, z² of ΣR_0 and of single units against the exact recursion where that is small enough, and
the seconds of an explanation. Whatever ``dtd-run`` stands beside the Python that runs this script
is measured: that of an older version gives the figures of its estimator. ``--quick`` takes two
small networks and one seed, some seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

PROGRAM = Path(sys.executable).parent / "dtd-run"
NETWORKS = [
    ([16, 16], "z+"),
    ([32, 32], "z+"),
    ([64, 64], "z+"),
    ([64, 64, 64, 64], "z+"),
    ([100, 50], "gamma"),
    ([256, 256], "z+"),
    ([256, 256], "gamma"),
    ([256, 256, 256], "z+"),
    ([512, 512], "z+"),
    ([1024, 1024], "z+"),
]
ENUMERATED = 2**18
"""So many paths through the hidden layers are enumerated for z², at most."""


def explained(folder: Path, widths: list[int], rule: str, seed: int, *more: str) -> pd.DataFrame:
    """The relevances of the two inputs of a run, and its seconds."""
    arguments = [
        f"network.hidden={widths}".replace(" ", ""), f"rule={rule}", f"seed={seed}", "inputs.n=2",
        "relevance.methods=[recursive]", "plots=none", "progress=false", *more,
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    subprocess.run([PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)
    units = pd.read_csv(folder / "relevance.csv").query("layer == 0")
    took = json.loads((folder / "environment.json").read_text())["durations"]["explain"]
    return units.assign(seconds=took)


def measured(folder: Path, widths: list[int], rule: str, seed: int, paths: int) -> pd.DataFrame:
    """A row for each of two inputs of one network."""
    sampling = "relevance.estimator=monte_carlo", f"relevance.sampled_paths={paths}"
    sampled = explained(folder / "sampled", widths, rule, seed, *sampling)
    sums = pd.read_csv(folder / "sampled" / "layers.csv").query("layer == 0").set_index("sample")
    exact = None
    if prod(widths) <= ENUMERATED:
        exact = explained(folder / "exact", widths, rule, seed, "relevance.estimator=enumeration")
    rows = []
    for sample, units in sampled.groupby("sample"):
        error, total = sums.relevance_sum_stderr[sample], units.relevance.sum()
        row = {
            "error of the sum": error / total,
            "error of R_0": np.linalg.norm(units.stderr) / np.linalg.norm(units.relevance),
            "z of the sum": np.nan,
            "z of units": np.nan,
            "seconds": units.seconds.iloc[0],
        }
        if exact is not None and error > 0:
            away = units.relevance - exact.relevance[units.index]
            uncertain = units.stderr > 0
            row["z of the sum"] = away.sum() / error
            z = (away / units.stderr)[uncertain]
            row["z of units"] = np.sqrt((z**2).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def main(quick: bool) -> None:
    networks, seeds, paths = (
        ([([32, 32], "z+"), ([100, 50], "gamma")], range(1), 200)
        if quick
        else (NETWORKS, range(3), 2000)
    )
    table = {}
    for widths, rule in networks:
        with TemporaryDirectory() as name:
            runs = [measured(Path(name, str(s)), widths, rule, s, paths) for s in seeds]
        shown = "-".join(map(str, widths))
        table[f"{shown}, {rule}"] = (pd.concat(runs) ** 2).mean() ** 0.5
        print(f"{shown}, {rule}", file=sys.stderr)
    print(pd.DataFrame(table).T.to_string(float_format="{:.3g}".format))


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
