"""The page: one HTML file that needs no other, and no network."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

import pandas as pd

from dtd_cli.plots import style
from dtd_cli.report import settings
from dtd_cli.report.run import Run, Status
from dtd_cli.report.study import Study

_MOST_ROWS = 100
_MOST_DOUBTS = 20
_FILES = {
    "runs.csv": "a row for each run: settings, status, duration, key figures",
    "relevance.csv": "relevance of every unit, of all runs",
    "summary.csv": "each figure over seeds: mean, standard deviation, quantiles",
    "similarity.csv": "how alike the explanations are, in pairs",
}


@dataclass(frozen=True)
class Picture:
    """A picture of the page: its file, its heading, and in words what one sees."""

    path: Path
    title: str
    caption: str


def page(study: Study, summary: pd.DataFrame, pictures: Sequence[Picture], title: str) -> str:
    """The page as HTML."""
    template = Template(files("dtd_cli.report").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title),
        counts=_counts(study),
        trouble=_trouble(study),
        configurations=_configurations(study),
        warnings=_warnings(study),
        doubts=_doubts(study),
        pictures="\n".join(map(_figure, pictures)),
        conserved=_conserved(summary),
        runs=_runs(study),
        files="\n".join(f'<li><a href="{n}">{n}</a>: {what}</li>' for n, what in _FILES.items()),
    )


def _counts(study: Study) -> str:
    count = Counter(run.status for run in study.runs)
    runs = f"{len(study.runs)} run{'s' * (len(study.runs) != 1)}"
    return f"{runs}: {', '.join(f'{count[s]} {s}' for s in Status if count[s])}."


def _trouble(study: Study) -> str:
    """The runs without a result, before anything else."""
    rows = [
        [_link(run), str(run.status), escape(run.reason)]
        for run in study.runs
        if run.status is not Status.DONE
    ]
    if not rows:
        return ""
    table = _table("", ["run", "status", "reason"], rows)
    return (
        '<section class="trouble"><h2>Runs without a result</h2>'
        f'<p>They are in none of the figures below.</p><div class="scroll">{table}</div></section>'
    )


def _configurations(study: Study) -> str:
    """What differs, and how often each configuration is there."""
    seeds = [name for name in study.differing if settings.is_seed(name)]
    others = [name for name in study.differing if name not in seeds]
    counted = Counter(study.label(number) for number in study.counted)
    sentences = [
        f"The runs differ in {escape(', '.join(study.differing))}."
        if study.differing
        else "All runs have the same settings.",
        f"{len(counted)} configuration{'s' * (len(counted) != 1)}"
        f"{' by ' + escape(', '.join(others)) if others else ''}, "
        f"with {_span(counted.values())} each.",
    ]
    if study.repeats:
        sentences.append(
            f"{len(study.repeats)} done runs have the settings and seed of a later one; "
            "only the later one is counted."
        )
    return " ".join(sentences)


def _warnings(study: Study) -> str:
    """What the runs warn of."""
    rows = [
        [escape(study.label(number)), str(number), escape(text)]
        for number, results in study.counted.items()
        for text in results.warnings
    ]
    if not rows:
        return ""
    caption = "What the runs warn of, with a remedy."
    if len(rows) > _MOST_ROWS:
        caption += (
            f" The first {_MOST_ROWS} of {len(rows)} rows; all are in each run's summary.json."
        )
    table = _table(caption, ["configuration", "run", "warning"], rows[:_MOST_ROWS])
    return f'<h2>Warnings</h2>\n<div class="scroll">{table}</div>'


def _doubts(study: Study) -> str:
    """The samples whose relevance one-sided limits leave in doubt."""
    rows = [
        [
            escape(study.label(number)),
            str(number),
            escape(doubt.method),
            str(doubt.sample),
            f"{doubt.limits} {style.MARKS[doubt.limits]}",
            ", ".join(map(str, doubt.layers)),
        ]
        for number, results in study.counted.items()
        for doubt in results.doubts
    ]
    if not rows:
        return ""
    caption = (
        "Where limits are unsettled the relevance may be wrong. Where they are unbounded no finite "
        "relevance exists, and the sample is left out of all figures of that layer."
    )
    if len(rows) > _MOST_DOUBTS:
        caption += (
            f" The first {_MOST_DOUBTS} of {len(rows)} rows; all are in the column limits of each "
            "run's layers.csv."
        )
    columns = ["configuration", "run", "method", "sample", "limits", "layers"]
    table = _table(caption, columns, rows[:_MOST_DOUBTS])
    return f'<h2>Relevance in doubt</h2>\n<div class="scroll">{table}</div>'


def _span(counts: Iterable[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low if low == high else f'{low} to {high}'} run{'s' * (high != 1)}"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    return (
        f"<h2>{escape(picture.title)}</h2>\n<figure>"
        f'<img src="data:image/png;base64,{data}" alt="{escape(picture.title)}: '
        f'{escape(picture.caption)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _conserved(summary: pd.DataFrame) -> str:
    """ΣR / f in the input over seeds, a row for each configuration and method."""
    rows = summary[(summary["quantity"] == "relevance_sum_share") & (summary["layer"] == 0)]
    names = list(summary.columns[: list(summary.columns).index("method")])
    columns = [*names, "method", "runs", "mean", "std", "q25", "median", "q75"]
    caption = "Relevance in the input as a share of f(x): mean over the samples, then over seeds."
    if len(rows) > _MOST_ROWS:
        caption += f" The first {_MOST_ROWS} of {len(rows)} rows; all are in summary.csv."
    return _table(caption, columns, _cells(rows[columns].head(_MOST_ROWS)))


def _runs(study: Study) -> str:
    names = list(dict.fromkeys([*settings.MAIN, *study.differing]))
    cells = _cells(study.named(names))
    rows = [
        [
            str(number),
            _link(run),
            str(run.status),
            f"{study.results[number].duration:.2f}" if number in study.results else "",
            *row,
        ]
        for number, (run, row) in enumerate(zip(study.runs, cells, strict=True))
    ]
    return _table(
        "A row for each run; the duration is in seconds.",
        ["run", "folder", "status", "duration", *names],
        rows,
    )


def _link(run: Run) -> str:
    if not run.name:
        return ""
    return f'<a href="../{quote(run.name)}/">{escape(run.name)}</a>'


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """The values of a table as text: numbers short, nothing where there is none."""
    return [[_cell(value) for value in row] for row in table.itertuples(index=False)]


def _cell(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    return style.number(value) if isinstance(value, float) else escape(str(value))


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; columns of numbers are set to the right."""
    right = [all(map(_is_number, column)) for column in zip(*rows, strict=True)]
    head = "".join(
        f'<th scope="col"{_class(number)}>{escape(column)}</th>'
        for column, number in zip(columns, right or [False] * len(columns), strict=True)
    )
    body = "\n".join(
        f"<tr>{''.join(f'<td{_class(n)}>{c}</td>' for c, n in zip(row, right, strict=True))}</tr>"
        for row in rows
    )
    shown = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{shown}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit() or cell[0] == "−"


def _class(number: bool) -> str:
    return ' class="number"' if number else ""
