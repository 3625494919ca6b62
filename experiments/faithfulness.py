"""Which explanation names the pixels that matter: pixel flipping, as Quantus has it.

``python experiments/faithfulness.py DIR`` measures it in all finished runs below ``DIR`` that
explain digits or MNIST, and adds ``faithfulness.csv`` to each. A report over them shows it then.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from torch import Tensor, nn

import dtd
from document import grid
from dtd_cli.records.folder import RunFolder
from runs import Run, runs

METHODS = {
    "recursive": "exact recursion",
    "train_free": "train-free (LRP)",
    "gradient_x_input": "gradient × input",
    "simple_taylor": "simple Taylor",
    "random": "random",
}
NAME = "faithfulness.csv"
_IMAGES = ("digits", "mnist")
_STEPS = 32
"""Pixels are flipped in about so many steps."""
_ORDERS = 5
"""Random orders, of whose areas the mean is taken."""


def areas(run: Run) -> pd.DataFrame:
    """For each sample, method and baseline the area under f of the flipped image, relative to f.

    It is the mean of f over the shares of pixels that are flipped, from none to all. A flipped
    pixel has the baseline instead of its value: ``low``, the box's low value, or ``mean``, the mean
    of all pixels that are explained. Samples in which some method gives no pixel any relevance are
    left out, since there is no order.
    """
    x, inputs = run.features(), run.table("inputs").set_index("sample")
    there = set(run.table("relevance")["method"])
    relevances = {method: run.relevance(method) for method in METHODS if method in there}
    ordered = np.all([np.ptp(given, axis=1) > 0 for given in relevances.values()], axis=0)
    images, chosen = x.to_numpy()[ordered], inputs.loc[x.index[ordered]]
    outputs = _Outputs(dtd.load(run.path / "network.safetensors"))
    f = chosen["f"].to_numpy()
    given = {name: [relevance[ordered]] for name, relevance in relevances.items()}
    generator = np.random.default_rng(0)
    given["random"] = [generator.random(images.shape) for _ in range(_ORDERS)]
    rows = [
        pd.DataFrame(
            {
                "method": method,
                "baseline": baseline,
                "sample": chosen.index,
                "area": np.mean(
                    [
                        _area(outputs, images, chosen["output"].to_numpy(), one, value, f)
                        for one in relevance
                    ],
                    axis=0,
                ),
            }
        )
        for baseline, value in {"low": 0.0, "mean": float(images.mean())}.items()
        for method, relevance in given.items()
    ]
    return pd.concat(rows, ignore_index=True)


def by_width(rows: pd.DataFrame) -> str:
    """One data set, baseline and width a row; the mean over images, and its standard error."""
    keys = ["data", "baseline", "width"]
    rows = rows.assign(width=rows["hidden"].str.extract(r"(\d+)")[0].astype(int))
    lines = []
    for (data, baseline, width), some in rows.groupby(keys, sort=True):
        wide = some.pivot(index=["seed", "sample"], columns="method", values="area")
        gap = (wide["recursive"] - wide["train_free"]).to_numpy()
        error = gap.std(ddof=1) / math.sqrt(len(gap))
        lines.append(
            [data, baseline, width, len(wide),
             *(f"{wide[method].mean():.3f}" for method in METHODS),
             f"{gap.mean():+.3f} ± {error:.3f}".replace("-", "−")]
        )  # fmt: skip
    head = ["data", "flipped to", "units a layer", "images", *METHODS.values(),
            "exact less train-free"]  # fmt: skip
    return grid(head, lines)


def main() -> None:
    """Add the areas to all runs below a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the runs are, at any depth")
    folder = parser.parse_args().folder
    if find_spec("quantus") is None:
        sys.exit("it needs quantus: pip install -e '.[metrics]'")
    for run in runs(folder):
        if run.done and run.setting("inputs.name") in _IMAGES:
            own = RunFolder(run.path)
            with own.adding([NAME]):
                own.write_table(NAME, areas(run))
            print(run.path / NAME)
        else:
            print(f"{run.path}: it explains no images of {' or '.join(_IMAGES)}", file=sys.stderr)


def _area(
    model: nn.Module,
    images: NDArray[np.float64],
    outputs: NDArray[np.int64],
    relevance: NDArray[np.float64],
    baseline: float,
    f: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The area of each image (n, d), flipped in the order of its relevances (n, d)."""
    # Needed here alone, and large.
    from quantus import PixelFlipping

    size = images.shape[1]
    side = math.isqrt(size)
    steps = next(steps for steps in range(_STEPS, size + 1) if size % steps == 0)
    flipping = PixelFlipping(
        features_in_step=size // steps,
        perturb_baseline=baseline,
        normalise=False,
        disable_warnings=True,
    )
    shape = (len(images), 1, side, side)
    with warnings.catch_warnings():
        # Where the background has the baseline's value already.
        warnings.filterwarnings("ignore", "The settings for perturbing input")
        curves = flipping(
            model,
            images.astype(np.float32).reshape(shape),
            outputs,
            relevance.reshape(shape),
            channel_first=True,
            softmax=False,
            device="cpu",
        )
    relative = np.c_[np.ones(len(images)), np.array(curves) / f[:, None]]
    # Quantus' own area calls a function that NumPy 2.4 has not.
    area: NDArray[np.float64] = trapezoid(relative, dx=1 / steps, axis=1)
    return area


class _Outputs(nn.Module):
    """The outputs of a network, for a batch of images."""

    def __init__(self, network: dtd.Network) -> None:
        super().__init__()
        self.network = network.to(torch.float32)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.network.forward(images.flatten(1))


if __name__ == "__main__":
    main()
