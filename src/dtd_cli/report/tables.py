"""The report's tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pandas as pd

from dtd_cli.records.reading import read_bytes
from dtd_cli.report import settings
from dtd_cli.report.results import Results
from dtd_cli.report.study import Study
from dtd_cli.run.progress import bars

_KEYS = ["method", "finder", "layer", "quantity"]


def runs_table(study: Study) -> pd.DataFrame:
    """``runs.csv``: a row for each run."""
    head = pd.DataFrame(
        {
            "run": range(len(study.runs)),
            "folder": [run.shown for run in study.runs],
            "status": [str(run.status) for run in study.runs],
            "reason": [run.reason for run in study.runs],
            "counted": [number in study.counted for number in range(len(study.runs))],
            "duration": [
                round(study.results[n].duration, 4) if n in study.results else None
                for n in range(len(study.runs))
            ],
        }
    )
    names = list(dict.fromkeys([*settings.MAIN, *study.differing]))
    figures = pd.DataFrame.from_dict(
        {n: _key_figures(results) for n, results in study.results.items()}, orient="index"
    ).reindex(head.index)
    return pd.concat([head, study.named(names), figures], axis=1)


def _key_figures(results: Results) -> dict[str, object]:
    """``summary.json`` by dotted name, without the counts of each status and limit of roots."""
    widths = "-".join(map(str, results.summary["network"]))
    rest = {
        name: value
        for name, value in results.summary.items()
        if name != "network" and not {"status", "limit"} & set(name.split("."))
    }
    return {"widths": widths, "warnings": len(results.warnings), **rest}


def write_relevance(study: Study, path: Path, progress: bool) -> None:
    """``relevance.csv``: that of every run one below the other, each row with the run's key.

    The numbers are copied as they are, not read, and one run is held at a time.
    """
    names = settings.keys(study.differing)
    keys = study.named(names)
    columns = list(dict.fromkeys(c for result in study.results.values() for c in result.columns))
    shown = bars(progress)(list(study.results.items()), "copying relevance")
    with path.open("wb") as file:
        file.write(_line(["run", *names, *columns]) + b"\n")
        for number, results in shown:
            key = _line([number, *keys.iloc[number]]) + b","
            text = read_bytes(study.runs[number].path / "relevance.csv")
            if list(results.columns) != columns:
                table = pd.read_csv(StringIO(text.decode()), dtype=str, keep_default_na=False)
                text = table.reindex(columns=columns).to_csv(index=False).encode()
            rows = text.partition(b"\n")[2].removesuffix(b"\n")
            file.write(key + rows.replace(b"\n", b"\n" + key) + b"\n")


def _line(fields: Sequence[object]) -> bytes:
    buffer = StringIO()
    csv.writer(buffer, lineterminator="").writerow(fields)
    return buffer.getvalue().encode()


def figures_table(study: Study) -> pd.DataFrame:
    """A row for each figure of each counted run, with the run's number and configuration."""
    rows = [(n, *figure) for n, results in study.counted.items() for figure in results.figures]
    table = pd.DataFrame(rows, columns=["run", *_KEYS, "value"]).astype({"value": float})
    return table.assign(
        configuration=table["run"].map(study.labels), layer=table["layer"].astype("Int64")
    )


def summary_table(study: Study, figures: pd.DataFrame) -> pd.DataFrame:
    """``summary.csv``: each figure over the seeds of a configuration."""
    names = [name for name in settings.keys(study.differing) if not settings.is_seed(name)]
    rows = figures.join(study.named(names), on="run")
    groups = rows.groupby([*names, *_KEYS], sort=False, dropna=False)["value"]
    quantiles = {"q25": 0.25, "median": 0.5, "q75": 0.75}
    table = groups.agg(["count", "mean", "std", "min"]).rename(columns={"count": "runs"})
    for name, share in quantiles.items():
        table[name] = groups.quantile(share)
    return table.assign(max=groups.max()).reset_index()
