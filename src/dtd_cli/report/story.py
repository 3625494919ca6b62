"""From the folders of runs to the files of the report: the whole story on one page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dtd_cli.config.errors import SettingError
from dtd_cli.plots import style
from dtd_cli.records.folder import RunFolder
from dtd_cli.records.reading import UnreadableError
from dtd_cli.records.replacement import replaced
from dtd_cli.report.explanations import Entry, Explanations, problems, read_explanations
from dtd_cli.report.page import Picture, page
from dtd_cli.report.pictures.bands import MOST_CONFIGURATIONS
from dtd_cli.report.pictures.heatmaps import MOST_SAMPLES, heatmaps
from dtd_cli.report.pictures.ledger import ledger
from dtd_cli.report.pictures.regions import regions
from dtd_cli.report.pictures.similarity import similarity
from dtd_cli.report.results import Results, read_results
from dtd_cli.report.run import Run, Status
from dtd_cli.report.scan import REPORT, scan
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
    summary = summary_table(study, figures)
    alike = _similarity(study, figures, progress)

    with replaced(folder / REPORT) as report:
        report.write_table("runs.csv", runs_table(study))
        report.write("relevance.csv", lambda path: write_relevance(study, path, progress))
        report.write_table("summary.csv", summary)
        report.write_table("similarity.csv", alike)
        pictures = _draw(report, _pictures(study, figures, alike))
        title = f"Runs in {folder.resolve().name}"
        report.write_text("index.html", page(study, summary, pictures, title))
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


def _similarity(study: Study, figures: pd.DataFrame, progress: bool) -> pd.DataFrame:
    methods = [method for method in figures["method"].unique() if method]
    labels = figures["configuration"].unique()
    entries: list[Entry] = [(method, label) for method in methods for label in labels]
    groups = bars(progress)(problems(study), "comparing")
    return similarity_table(
        (read_explanations(study, runs) for runs in groups), entries[:MOST_ENTRIES]
    )


def _pictures(
    study: Study, figures: pd.DataFrame, alike: pd.DataFrame
) -> Iterator[tuple[str, Figure | None, str, str]]:
    """File, figure, title and caption of each picture; None where it does not apply."""
    yield (
        "ledger.png",
        ledger(figures),
        "Where f(x) goes",
        "A row is a method, a column an entry of the ledger, a line a configuration. Read from "
        "left to right, from the output down to the input (layer 0). What a layer receives is "
        "what it passes on plus the other three entries. Each run counts with the mean of its "
        "samples; the band reaches from the lower to the upper quartile of the seeds. The dashed "
        "line is f(x).",
    )
    yield from _heatmaps(study)
    yield (
        "similarity.png",
        similarity(alike),
        "How alike the explanations are",
        "Each cell compares two explanations of the same input of the same network: 1 means the "
        "same direction (cosine) or the same order of the units (Spearman), 0 no relation, −1 the "
        "opposite. Means over samples and seeds; a cell is empty where no seed has both. A method "
        "that does not depend on the configuration has one row.",
    )
    yield (
        "same_region.png",
        regions(figures),
        "Roots in their anchor's region",
        "The share of roots at which all gates but the unit's own are as they are at the sample, "
        "so that the Taylor expansion holds between the two. A colour is a configuration; bars "
        "reach from the lower to the upper quartile of the seeds.",
    )


def _heatmaps(study: Study) -> Iterator[tuple[str, Figure | None, str, str]]:
    """A picture for each method, of the network that most configurations explain."""
    groups = problems(study)
    if not groups:
        return
    group: Explanations = read_explanations(study, max(groups, key=len))
    for method in dict.fromkeys(method for method, _ in group.relevance):
        name = style.words(method)
        yield (
            f"heatmaps_{re.sub(r'[^a-z_]', '_', method)[:40]}.png",
            heatmaps(group, method),
            f"Relevance of the input, {name}",
            f"Run {group.run} and the others that explain the same samples of the same network: a "
            f"row is a configuration, a column a sample, at most the first "
            f"{MOST_CONFIGURATIONS} and {MOST_SAMPLES}. "
            "Red speaks for the output, blue against it, white is zero; all fields are on one "
            "scale, in units of the output. ΣR / f above a field says how much of f(x) it "
            "explains.",
        )


def _draw(
    report: RunFolder, pictures: Iterator[tuple[str, Figure | None, str, str]]
) -> list[Picture]:
    """Save those that apply."""
    drawn = []
    for name, figure, title, caption in pictures:
        if figure is not None:
            report.begin(name)
            style.save(figure, report.path / name)
            drawn.append(Picture(report.path / name, title, caption))
    return drawn
