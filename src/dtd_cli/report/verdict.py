"""Which configuration explains best: candidates side by side, over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from dtd_cli.plots import wording
from dtd_cli.report import deciding, results, settings
from dtd_cli.report.study import Study

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Criterion:
    """A figure of a method, and in words what it is; the least ``loss`` is best, if it has one.

    ``mark`` is the word for the best.
    """

    quantity: str
    heading: str
    meaning: str
    loss: Callable[[float], float] | None = None
    mark: str = "best"


CRITERIA = (
    Criterion(
        deciding.KEPT,
        "kept of f(x), median",
        "ΣR of the input as a share of f(x), median over the samples; best is nearest to 1",
        lambda share: abs(share - 1),
    ),
    Criterion(
        deciding.COSINE,
        "cosine to train-free, mean",
        "of the input's relevance with the train-free one, mean over the samples",
    ),
    Criterion(
        results.CONTINUITY,
        "continuity",
        "the largest change of relevance between two samples beside their distance; best is least",
        lambda score: score,
    ),
    *(
        Criterion(
            quantity,
            f"flipped to {colour}, mean",
            "faithfulness by pixel flipping: the mean of f, as a share of f(x), while pixels are "
            f"set to {colour}, the most relevant first, and its mean over the samples; best is "
            "least",
            lambda area: area,
        )
        for quantity, colour in (
            (results.FLIPPED_LOW, "black"),
            (results.FLIPPED_MEAN, "the mean"),
        )
    ),
    Criterion(
        deciding.LARGEST,
        "largest |R| / |f|",
        "of one feature and sample; much more than 1 cancels elsewhere",
    ),
    Criterion(
        deciding.IN_DOUBT,
        "in doubt",
        "the share of the samples that one-sided limits leave in doubt; best is least",
        lambda share: share,
    ),
    Criterion(
        deciding.SECONDS,
        "seconds",
        "that explaining took, by all methods of the run; fastest is least",
        lambda seconds: seconds,
        mark="fastest",
    ),
)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over the runs of a candidate."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: pd.Series) -> Spread:
        """Over the runs."""
        return cls(*values.quantile([0.25, 0.5, 0.75]).tolist())

    def __str__(self) -> str:
        low, middle, high = map(number, (self.low, self.middle, self.high))
        return middle if low == high else f"{middle} ({low} to {high})"


@dataclass(frozen=True)
class Figure:
    """A figure of a candidate, and its loss; a loss of NaN where there is none to compare."""

    spread: Spread
    loss: Spread
    best: bool = False


@dataclass(frozen=True)
class Candidate:
    """A configuration by one method, with its figures by quantity.

    ``subject`` says what is explained and ``how`` the rest, in a few words, and ``full`` all that
    differs. ``runs`` are the numbers of its runs, and ``warned`` those of them with warnings.
    """

    subject: str
    how: str
    full: str
    method: str
    runs: Sequence[int]
    warned: Sequence[int]
    figures: Mapping[str, Figure]

    @property
    def distance(self) -> float:
        """How far from f(x) its relevances add up, as a share of f(x)."""
        kept = self.figures.get(deciding.KEPT)
        return kept.loss.middle if kept else math.inf


def number(value: float) -> str:
    """A number of three digits; 0 for what rounding leaves of it."""
    return wording.number(0.0 if abs(value) < _ROUNDING else value)


def candidates(study: Study, figures: pd.DataFrame) -> dict[str, list[Candidate]]:
    """The candidates of each subject: by method, and the nearest to f(x) first.

    Only those of one subject and method compete. Best in a figure are the one with the least loss,
    and all whose quartiles of the loss reach its; none where that is everybody. What looks the same
    in three digits is the same.

    Args:
        study: the runs.
        figures: a row for each figure of each run, see ``deciding_figures``.
    """
    subjects = _subjects(study)
    hows: dict[int, str] = {}
    for subject in set(subjects.values()):
        own = [number for number in subjects if subjects[number] == subject]
        differing = settings.varied([study.runs[number].settings for number in own])
        hows |= study.short_labels(own, [n for n in differing if settings.explains(n)])
    by_method: dict[tuple[str, str], list[Candidate]] = {}
    for (method, _), rows in figures.groupby(["method", "configuration"], sort=False):
        runs = rows["run"].unique().tolist()
        one = Candidate(
            subjects[runs[0]],
            hows[runs[0]],
            study.full_label(runs[0]),
            str(method),
            runs,
            [run for run in runs if study.results[run].warnings],
            dict(_figures(rows)),
        )
        by_method.setdefault((one.subject, one.method), []).append(one)
    by_subject: dict[str, list[Candidate]] = {}
    for (subject, _), rivals in by_method.items():
        ranked = sorted(_with_best(rivals), key=lambda rival: rival.distance)
        by_subject.setdefault(subject, []).extend(ranked)
    return by_subject


def _subjects(study: Study) -> dict[int, str]:
    """What each counted run explains, in a few words; empty where all explain the same."""
    what = [name for name in study.differing if not settings.explains(name)]
    if all(map(settings.is_seed, what)):
        return dict.fromkeys(study.counted, "")
    return study.short_labels(study.counted, what)


def _figures(rows: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    for criterion in CRITERIA:
        values = rows.loc[rows["quantity"] == criterion.quantity, "value"]
        if len(values):
            seen = values.map(lambda value: float(f"{value:.3g}"))
            loss = seen.map(criterion.loss) if criterion.loss else seen * math.nan
            yield criterion.quantity, Figure(Spread.of(values), Spread.of(loss))


def _with_best(rivals: Sequence[Candidate]) -> list[Candidate]:
    marked = [dict(rival.figures) for rival in rivals]
    for quantity in (criterion.quantity for criterion in CRITERIA if criterion.loss):
        losses = {i: own[quantity].loss for i, own in enumerate(marked) if quantity in own}
        least = min(losses.values(), key=lambda loss: loss.middle, default=None)
        best = [i for i, loss in losses.items() if least and loss.low <= least.high]
        if len(best) < len(losses):
            for i in best:
                marked[i][quantity] = replace(marked[i][quantity], best=True)
    return [replace(rival, figures=own) for rival, own in zip(rivals, marked, strict=True)]
