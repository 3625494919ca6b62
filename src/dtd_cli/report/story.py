"""From the folders of runs to the files of the report: the whole story on one page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dtd_cli.config.errors import SettingError
from dtd_cli.plots import style, wording
from dtd_cli.plots.fonts import fonts
from dtd_cli.records.folder import REPORT, RunFolder
from dtd_cli.records.reading import UnreadableError
from dtd_cli.records.replacement import replaced
from dtd_cli.report.deciding import Row, deciding_figures, deciding_table
from dtd_cli.report.elements import Picture
from dtd_cli.report.explanations import Entry, Explanations, problems, read_explanations
from dtd_cli.report.page import page
from dtd_cli.report.pictures import heatmaps, ledger, regions, similarity
from dtd_cli.report.pictures.bands import MOST_CONFIGURATIONS
from dtd_cli.report.pictures.dark import darken
from dtd_cli.report.results import Results, read_results
from dtd_cli.report.run import Run, Status, printable
from dtd_cli.report.scan import scan
from dtd_cli.report.similarity import MOST_ENTRIES, similarity_table
from dtd_cli.report.study import Study
from dtd_cli.report.tables import figures_table, runs_table, summary_table, write_relevance
from dtd_cli.run.progress import bars

if TYPE_CHECKING:
    # Not before it was imported as it comes.
    from matplotlib.figure import Figure


def write(folder: Path, progress: bool, verify: bool) -> Path:
    """See ``write_report``."""
    runs = scan(folder, progress, verify)
    if not runs:
        raise SettingError(
            str(folder), "", "no run below it; a run's folder holds .hydra/config.yaml"
        )
    study = Study.of(*_read(runs, progress))
    figures = figures_table(study)
    alike, deciding = _compared(study, figures, progress)
    summary = summary_table(study, pd.concat([figures, deciding]))

    with replaced(folder / REPORT) as report:
        report.write_table("runs.csv", runs_table(study))
        report.write("relevance.csv", lambda path: write_relevance(study, path, progress))
        report.write_table("summary.csv", summary)
        report.write_table("similarity.csv", alike)
        with fonts("sans"):
            pictures = _draw(report, _pictures(study, figures, alike))
        title = f"Runs in {printable(folder.resolve().name)}"
        report.write_text("index.html", page(study, deciding, pictures, title))
    return folder / REPORT / "index.html"


def _read(runs: Sequence[Run], progress: bool) -> tuple[list[Run], dict[int, Results]]:
    """The results by the run's number; runs that claim to be done and are not are broken."""
    known, results = list(runs), {}
    for number, run in enumerate(bars(progress)(runs, "reading results")):
        if run.status is Status.DONE:
            try:
                results[number] = read_results(run.path)
            except UnreadableError as error:
                known[number] = replace(run, status=Status.BROKEN, reason=str(error))
    return known, results


def _compared(
    study: Study, figures: pd.DataFrame, progress: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How alike explanations are, and what decides between them; one problem is held at a time."""
    methods = [method for method in figures["method"].unique() if method]
    labels = figures["configuration"].unique()
    entries: list[Entry] = [(method, label) for method in methods for label in labels]
    rows: list[Row] = []

    def groups() -> Iterator[Explanations]:
        for runs in bars(progress)(problems(study), "comparing"):
            group = read_explanations(study, runs)
            rows.extend(deciding_figures(study, runs, group))
            yield group

    alike = similarity_table(groups(), entries[:MOST_ENTRIES])
    return alike, deciding_table(study, rows)


def _pictures(
    study: Study, figures: pd.DataFrame, alike: pd.DataFrame
) -> Iterator[tuple[str, str, Figure | None, Callable[[], str], str]]:
    """File, title, figure, finding and caption of each picture; None where it does not apply."""
    yield (
        "ledger.png",
        "Where f(x) goes",
        ledger.ledger(figures),
        lambda: ledger.finding(figures),
        "A row is a method, a column an entry of the ledger, a line a configuration. Read from "
        "left to right, from the output down to the input (layer 0). What a layer receives is "
        "what it passes on plus the other three entries. Each run counts with the mean of its "
        "samples; the band reaches from the lower to the upper quartile of the seeds. The dashed "
        "line is f(x).",
    )
    yield from _heatmaps(study)
    yield (
        "similarity.png",
        "How alike the explanations are",
        similarity.similarity(alike),
        lambda: similarity.finding(alike),
        "Each cell compares two explanations of the same input of the same network: 1 means the "
        "same direction (cosine) or the same order of the units (Spearman), 0 no relation, −1 the "
        "opposite. Means over samples and seeds; a cell is empty where no seed has both. A method "
        "that does not depend on the configuration has one row.",
    )
    yield (
        "same_region.png",
        "Roots in their anchor's region",
        regions.regions(figures),
        lambda: regions.finding(figures),
        "The share of roots at which all gates but the unit's own are as they are at the sample, "
        "so that the Taylor expansion holds between the two. A colour is a configuration; bars "
        "reach from the lower to the upper quartile of the seeds.",
    )


def _heatmaps(
    study: Study,
) -> Iterator[tuple[str, str, Figure | None, Callable[[], str], str]]:
    """A picture for each method, of the network that most configurations explain."""
    groups = problems(study)
    if not groups:
        return
    group: Explanations = read_explanations(study, max(groups, key=len))
    for number, method in enumerate(dict.fromkeys(method for method, _ in group.relevance)):
        # A name from data is no path; two that become the same differ by their number.
        plain = re.sub(r"[^a-z_]", "_", method)[:40]
        yield (
            f"heatmaps_{plain}{'' if plain == method else f'_{number}'}.png",
            f"Input relevance, {wording.words(method)}",
            heatmaps.heatmaps(group, method),
            partial(heatmaps.finding, group, method),
            f"Run {group.run} and the others that explain the same samples of the same network: a "
            f"row is a configuration, a column a sample, at most the first "
            f"{MOST_CONFIGURATIONS} and {heatmaps.MOST_SAMPLES}. Of more than "
            f"{heatmaps.MOST_FIELDS} features that are no pixels the strongest of each sample are "
            "shown, and the sum of the others. Red speaks for the output, blue against it, white "
            "is zero; all fields are on one scale, in units of the output, so that a configuration "
            "with little relevance is pale. ΣR / f above a field "
            f"says how much of f(x) it explains.{heatmaps.numbered(group)}",
        )


def _draw(
    report: RunFolder,
    pictures: Iterator[tuple[str, str, Figure | None, Callable[[], str], str]],
) -> dict[str, Picture]:
    """Save those that apply, on white paper; the page has them on dark paper too."""
    drawn = {}
    for name, title, figure, finding, caption in pictures:
        if figure is not None:
            light = _png(figure)
            report.write(name, partial(Path.write_bytes, data=light))
            darken(figure)
            drawn[title] = Picture.of(light, _png(figure), finding(), caption)
    return drawn


def _png(figure: Figure) -> bytes:
    """The same bytes for the same picture."""
    buffer = BytesIO()
    style.print_png(figure, buffer)
    return buffer.getvalue()
