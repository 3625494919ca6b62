"""The page: one HTML file that needs no other, and no network."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, StrictUndefined

from dtd_cli.report import sections
from dtd_cli.report.answer import in_words
from dtd_cli.report.elements import Picture, Section
from dtd_cli.report.run import Status
from dtd_cli.report.study import Study
from dtd_cli.report.verdict import candidates

_FILES = {
    "runs.csv": "a row for each run: settings, status, duration, key figures",
    "relevance.csv": "relevance of every unit, of all runs",
    "summary.csv": "each figure over seeds: mean, standard deviation, quantiles",
    "similarity.csv": "how alike the explanations are, in pairs",
}


def page(study: Study, figures: pd.DataFrame, pictures: Mapping[str, Picture], title: str) -> str:
    """The page as HTML.

    Args:
        study: the runs.
        figures: what decides, see ``deciding_figures``.
        pictures: by their headings.
        title: of the page.
    """
    subjects = candidates(study, figures)
    trouble = sections.trouble(study)
    shown = [
        trouble,
        sections.configurations(study),
        sections.warnings(study),
        sections.doubtful(study),
        *(Section(heading, picture=picture) for heading, picture in pictures.items()),
        sections.all_runs(study),
        Section("Files", links=_FILES),
    ]
    style, script = (_text(f"page.{kind}") for kind in ("css", "js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("page.html")).render(
        title=title,
        policy=(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
            f"style-src {_hash(style)}; script-src {_hash(script)}"
        ),
        style=style,
        script=script,
        counts=_counts(study),
        trouble=trouble,
        answer=list(in_words(subjects)),
        verdict=sections.verdict([one for rivals in subjects.values() for one in rivals], study),
        sections=[section for section in shown if section],
    )


def _text(name: str) -> str:
    return files("dtd_cli.report").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _counts(study: Study) -> str:
    count = Counter(run.status for run in study.runs)
    told = ", ".join(f"{count[status]} {status}" for status in Status if count[status])
    return f"{sections.of_runs(len(study.runs))}: {told}."
