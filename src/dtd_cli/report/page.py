"""The page: one HTML file that needs no other, and no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, StrictUndefined

from dtd_cli.plots import style
from dtd_cli.plots.tables import Tables
from dtd_cli.report import settings
from dtd_cli.report.answer import in_words
from dtd_cli.report.run import Run, Status
from dtd_cli.report.study import Study
from dtd_cli.report.verdict import CRITERIA, Candidate, candidates

_MOST_ROWS, _MOST_DOUBTS, _MOST_RUNS, _MOST_LINKS = 200, 20, 1000, 3
_LONG = 50
_FILES = {
    "runs.csv": "a row for each run: settings, status, duration, key figures",
    "relevance.csv": "relevance of every unit, of all runs",
    "summary.csv": "each figure over seeds: mean, standard deviation, quantiles",
    "similarity.csv": "how alike the explanations are, in pairs",
}


@dataclass(frozen=True)
class Picture:
    """A picture as PNG, on white and on dark paper; what is seen on it, and how it is read."""

    light: str
    dark: str
    width: int
    height: int
    finding: str
    caption: str

    @classmethod
    def of(cls, light: bytes, dark: bytes, finding: str, caption: str) -> Picture:
        """From the content of the two PNG files, whose heads say how large they are."""
        width, height = (int.from_bytes(light[at : at + 4]) for at in (16, 20))
        return cls(_source(light), _source(dark), width, height, finding, caption)


@dataclass(frozen=True)
class Cell:
    """A text, which may lead somewhere, say more on hover, be best, and have others behind it."""

    text: str
    title: str = ""
    href: str = ""
    best: bool = False
    more: Sequence[Cell] = ()


Row = Sequence[str | Cell]


@dataclass(frozen=True)
class Table:
    """A table, with a name for those who do not see it."""

    name: str
    caption: str
    columns: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]

    @classmethod
    def of(
        cls,
        name: str,
        caption: str,
        columns: Row,
        rows: Sequence[Row],
        most: int = _MOST_ROWS,
        all_in: str = "runs.csv",
    ) -> Table:
        """The first rows; the caption says how many there are, and where ``all_in`` they are."""
        if len(rows) > most:
            caption += f" The first {most} of {len(rows)} rows; all are in {all_in}."
        return cls(name, caption.strip(), _cells(columns), [*map(_cells, rows[:most])])

    @property
    def kinds(self) -> list[str]:
        """What each column holds, for the style sheet: ``number``, ``long`` texts, or neither."""
        columns = [[one.text for one in column] for column in zip(*self.rows, strict=True)]
        return [*map(_kind, columns)] or [""] * len(self.columns)


@dataclass(frozen=True)
class Section:
    """A part of the page that folds: some of a text, a table, a picture and links."""

    title: str
    text: str = ""
    table: Table | None = None
    picture: Picture | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    unfolded: bool = True

    @property
    def id(self) -> str:
        """What links to the section name."""
        return re.sub(r"\W+", "-", self.title.lower())


def page(study: Study, figures: pd.DataFrame, pictures: Mapping[str, Picture], title: str) -> str:
    """The page as HTML.

    Args:
        study: the runs.
        figures: what decides, see ``deciding_figures``.
        pictures: by their headings.
        title: of the page.
    """
    subjects = candidates(study, figures)
    trouble = _trouble(study)
    sections = [
        trouble,
        _configurations(study),
        _warnings(study),
        _doubts(study),
        *(Section(heading, picture=picture) for heading, picture in pictures.items()),
        Section("All runs", table=_runs(study), unfolded=len(study.runs) <= _MOST_DOUBTS),
        Section("Files", links=_FILES),
    ]
    style_sheet, script = (_text(f"page.{kind}") for kind in ("css", "js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("page.html")).render(
        title=title,
        policy=(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
            f"style-src {_hash(style_sheet)}; script-src {_hash(script)}"
        ),
        style=style_sheet,
        script=script,
        counts=_counts(study),
        trouble=trouble,
        answer=list(in_words(subjects)),
        verdict=_verdict([one for rivals in subjects.values() for one in rivals], study),
        sections=[section for section in sections if section],
    )


def _kind(texts: Sequence[str]) -> str:
    if all(re.match(r"[\d−]|$", text) for text in texts):
        return "number"
    return "long" if max(map(len, texts)) > _LONG else ""


def _source(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _text(name: str) -> str:
    return files("dtd_cli.report").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _counts(study: Study) -> str:
    count = Counter(run.status for run in study.runs)
    return (
        f"{_of_runs(len(study.runs))}: {', '.join(f'{count[s]} {s}' for s in Status if count[s])}."
    )


def _verdict(rivals: Sequence[Candidate], study: Study) -> Table | None:
    """What decides: a row for each configuration and method."""
    shown = [one for one in CRITERIA if any(one.quantity in rival.figures for rival in rivals)]
    several = len({rival.subject for rival in rivals}) > 1
    rows: list[Row] = []
    for rival in rivals:
        row = [Cell(rival.subject, rival.full)] * several
        row += [Cell(rival.how, rival.full), Cell(style.words(rival.method))]
        for one in shown:
            figure = rival.figures.get(one.quantity)
            if figure is None:
                row.append(Cell(""))
                continue
            # No line ends within the spread.
            text = str(figure.spread).replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")
            row.append(Cell(text, best=figure.best))
        warned = Cell(f"{len(rival.warned)} of {len(rival.runs)}") if rival.warned else Cell("0")
        rows.append([*row, warned, _links(rival.runs, study)])
    columns = [Cell(one.heading, one.meaning) for one in shown]
    return (
        Table.of(
            "What decides",
            "Medians over the runs, which differ in their seeds, and quartiles where these differ. "
            "Best among the configurations of a method are the one nearest to the aim and all that "
            "its spread reaches; none where that is all.",
            [
                *["what is explained"] * several,
                "configuration",
                "method",
                *columns,
                "warned",
                "runs",
            ],
            rows,
            all_in="summary.csv",
        )
        if rows
        else None
    )


def _links(numbers: Sequence[int], study: Study) -> Cell:
    """Links to the first runs, and how many there are."""
    links = [_link(study.runs[number], str(number)) for number in numbers[:_MOST_LINKS]]
    if len(numbers) > _MOST_LINKS:
        links.append(Cell(f"… ({len(numbers)})"))
    return Cell(links[0].text, href=links[0].href, more=links[1:])


def _trouble(study: Study) -> Section | None:
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


def _configurations(study: Study) -> Section:
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


def _warnings(study: Study) -> Section | None:
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


def _doubts(study: Study) -> Section | None:
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
                style.words(doubt.method),
                inputs.title(doubt.sample).removeprefix("sample "),
                f"{doubt.limits} {style.MARKS[doubt.limits]}",
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


def _runs(study: Study) -> Table:
    names = list(dict.fromkeys([*settings.MAIN, *study.differing]))
    rows: list[Row] = [
        [
            str(number),
            _link(run),
            str(run.status),
            style.number(study.results[number].duration) if number in study.results else "",
            *_values(run, names),
        ]
        for number, run in enumerate(study.runs)
    ]
    caption = "The duration is in seconds."
    return Table.of(
        "All runs", caption, ["run", "folder", "status", "duration", *names], rows, _MOST_RUNS
    )


def _values(run: Run, names: Sequence[str]) -> list[str]:
    """Settings of a run, empty where it has none."""
    found = [settings.value(run.settings, name) for name in names]
    return ["" if value is None else str(value) for value in found]


def _named(study: Study, number: int) -> Cell:
    return Cell(study.labels[number], study.full_label(number))


def _link(run: Run, text: str = "") -> Cell:
    return Cell(text or run.name, href=f"../{quote(run.name)}/" if run.name else "")


def _cells(row: Row) -> list[Cell]:
    return [Cell(one) if isinstance(one, str) else one for one in row]


def _of_runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _span(counts: Iterable[int]) -> str:
    low, *_, high = sorted([*counts] * 2) or [0, 0]
    return _of_runs(high) if low == high else f"{low} to {_of_runs(high)}"
