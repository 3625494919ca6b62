"""The sections of the page, each from what the runs say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from dtd_cli.plots import doubt_marks, wording
from dtd_cli.plots.tables import Tables
from dtd_cli.report import settings
from dtd_cli.report.elements import Cell, Row, Section, Table
from dtd_cli.report.run import Run, Status
from dtd_cli.report.study import Study
from dtd_cli.report.verdict import CRITERIA, Candidate, Figure

_MOST_DOUBTS, _MOST_RUNS, _MOST_LINKS, _MOST_UNFOLDED = 20, 1000, 3, 20


def verdict(rivals: Sequence[Candidate], study: Study) -> Table | None:
    """What decides: a row for each configuration and method."""
    if not rivals:
        return None
    shown = [one for one in CRITERIA if any(one.quantity in rival.figures for rival in rivals)]
    several = len({rival.subject for rival in rivals}) > 1
    rows: list[Row] = [
        [
            *[Cell(rival.subject, rival.full)] * several,
            Cell(rival.how, rival.full),
            wording.words(rival.method),
            *(_figure(rival.figures.get(one.quantity), one.mark) for one in shown),
            f"{len(rival.warned)} of {len(rival.runs)}" if rival.warned else "0",
            _links(rival.runs, study),
        ]
        for rival in rivals
    ]
    return Table.of(
        "What decides",
        "A heading says what is taken over the samples of a run. Over the runs, which differ in "
        "their seeds, it is the median, with the quartiles where these differ. Of the "
        "configurations of a method, the one nearest to the aim is marked as best, or as fastest, "
        "and so are those whose spread meets its own. Where all do, none is marked.",
        [
            *[Cell("what is explained", "the settings of data and network")] * several,
            "configuration",
            "method",
            *[Cell(one.heading, one.meaning) for one in shown],
            Cell("warned", "how many of the runs have warnings"),
            "runs",
        ],
        rows,
        all_in="summary.csv",
    )


def _figure(figure: Figure | None, mark: str) -> Cell:
    if figure is None:
        return Cell("")
    # No line ends within the spread.
    text = str(figure.spread).replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")
    return Cell(text, mark=mark * figure.best)


def _links(numbers: Sequence[int], study: Study) -> Cell:
    """Links to the first runs, and how many there are."""
    links = [_link(study.runs[number], str(number)) for number in numbers[:_MOST_LINKS]]
    if len(numbers) > _MOST_LINKS:
        links.append(Cell(f"… ({len(numbers)})"))
    return Cell(links[0].text, href=links[0].href, more=links[1:])


def trouble(study: Study) -> Section | None:
    """The runs without a result."""
    rows: list[Row] = [
        [_link(run), str(run.status), run.reason]
        for run in study.runs
        if run.status is not Status.DONE
    ]
    if not rows:
        return None
    caption = "They are in no figure of this page."
    return Section(
        "Runs without a result",
        table=Table.of("Runs without a result", caption, ["run", "status", "reason"], rows),
    )


def configurations(study: Study) -> Section:
    """What differs, and how often each configuration is there."""
    names = [name for name in study.differing if not settings.is_seed(name)]
    runs: dict[str, list[int]] = {}
    for number, label in study.labels.items():
        runs.setdefault(label, []).append(number)
    sentences = [
        f"The runs differ in {', '.join(study.differing)}."
        if study.differing
        else "All runs have the same settings.",
        f"{len(runs)} configuration{'s' * (len(runs) != 1)}, "
        f"with {_span(map(len, runs.values()))} each.",
    ]
    if study.repeats:
        sentences.append(
            f"{len(study.repeats)} done runs have the settings and seed of a later one; "
            "only the later one is counted."
        )
    rows: list[Row] = [
        [label, _links(own, study), *_values(study.runs[own[0]], names)]
        for label, own in runs.items()
    ]
    caption = "The short names of configurations, and all settings that differ."
    table = Table.of("Configurations", caption, ["configuration", "runs", *names], rows)
    return Section("Configurations", " ".join(sentences), table if names and rows else None)


def warnings(study: Study) -> Section | None:
    """What the runs warn of."""
    rows: list[Row] = [
        [_named(study, number), _link(study.runs[number], str(number)), text]
        for number, results in study.counted.items()
        for text in results.warnings
    ]
    if not rows:
        return None
    columns = ["configuration", "run", "warning"]
    caption = "What the runs warn of, with a remedy."
    own = "each run's summary.json"
    return Section("Warnings", table=Table.of("Warnings", caption, columns, rows, all_in=own))


def doubtful(study: Study) -> Section | None:
    """The samples whose relevance one-sided limits leave in doubt."""
    doubts = [(n, doubt) for n, results in study.counted.items() for doubt in results.doubts]
    if not doubts:
        return None
    rows: list[Row] = []
    for number, doubt in doubts[:_MOST_DOUBTS]:
        inputs = Tables.read(study.runs[number].path, "inputs")
        rows.append(
            [
                _named(study, number),
                _link(study.runs[number], str(number)),
                wording.words(doubt.method),
                inputs.title(doubt.sample).removeprefix("sample "),
                f"{doubt.limits} {doubt_marks.MARKS[doubt.limits]}",
                ", ".join(map(str, doubt.layers)),
            ]
        )
    caption = (
        "Where limits are unsettled the relevance may be wrong. Where they are unbounded no finite "
        "relevance exists, and the sample is left out of all figures of that layer."
    )
    if len(doubts) > _MOST_DOUBTS:
        caption += (
            f" The first {_MOST_DOUBTS} of {len(doubts)} rows; all are in the column limits of "
            "each run's layers.csv."
        )
    columns = ["configuration", "run", "method", "sample", "limits", "layers"]
    title = "Relevance in doubt"
    return Section(title, table=Table.of(title, caption, columns, rows))


def all_runs(study: Study) -> Section:
    """A row for each run."""
    names = list(dict.fromkeys([*settings.MAIN, *study.differing]))
    rows: list[Row] = [
        [
            str(number),
            _link(run),
            str(run.status),
            wording.number(study.results[number].duration) if number in study.results else "",
            *_values(run, names),
        ]
        for number, run in enumerate(study.runs)
    ]
    columns = ["run", "folder", "status", "duration", *names]
    caption = "The duration is in seconds."
    table = Table.of("All runs", caption, columns, rows, most=_MOST_RUNS)
    return Section("All runs", table=table, unfolded=len(rows) <= _MOST_UNFOLDED)


def _values(run: Run, names: Sequence[str]) -> list[str]:
    """Settings of a run, empty where it has none."""
    values = [settings.value(run.settings, name) for name in names]
    return ["" if value is None else str(value) for value in values]


def _named(study: Study, number: int) -> Cell:
    return Cell(study.labels[number], study.full_label(number))


def _link(run: Run, text: str = "") -> Cell:
    href = f"../{quote(os.fsencode(run.name))}/" if run.name else ""
    return Cell(text or run.shown, href=href)


def of_runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _span(counts: Iterable[int]) -> str:
    low, *_, high = sorted([*counts] * 2) or [0, 0]
    return of_runs(high) if low == high else f"{low} to {of_runs(high)}"
