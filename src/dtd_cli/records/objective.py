"""The figure of a finished run that a sweeper optimises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtd_cli.config.composed import leaves
from dtd_cli.config.errors import SettingError

COSINE, KEPT = "cosine", "kept"
_AGREEMENT = "agreement.csv"


def figures(folder: Path) -> dict[str, float]:
    """All figures of a run: the numbers of ``summary.json`` by dotted name, and those with a word.

    ``kept`` is the median over the samples of ΣR / f in the input, ``cosine`` the mean of that with
    gradient × input, the latter if there is ``agreement.csv``. Both are those of the recursion, or
    else of another method of the run.
    """
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    numbers = {
        name: float(value)
        for name, value in leaves(summary)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    kept = summary["conserved_by_layer"]
    method = "recursive" if "recursive" in kept else next(iter(kept), "")
    words = {KEPT: kept[method]["0"]} if "0" in kept.get(method, {}) else {}
    if (folder / _AGREEMENT).is_file():
        # Slow to import, and only needed here.
        import pandas as pd

        rows = pd.read_csv(folder / _AGREEMENT)
        words[COSINE] = float(rows.loc[rows["method"] == method, COSINE].mean())
    return words | numbers


def objective(known: Mapping[str, float], names: str | list[str]) -> float | tuple[float, ...]:
    """The figure with this name, or one for each of several names.

    Raises:
        SettingError: the run has no such figure.
    """
    listed = [names] if isinstance(names, str) else names
    for name in listed:
        if name not in known:
            there = ", ".join(known)
            raise SettingError("objective", name, f"this run has no such figure, but {there}")
    values = tuple(known[name] for name in listed)
    return values[0] if isinstance(names, str) else values
