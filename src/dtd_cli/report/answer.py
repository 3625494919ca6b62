"""What the verdict says in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dtd_cli.plots import wording
from dtd_cli.report import deciding
from dtd_cli.report.verdict import Candidate, number

_MOST_NAMES, _MOST_SUBJECTS = 3, 8


def in_words(subjects: Mapping[str, Sequence[Candidate]]) -> Iterator[tuple[str, list[str]]]:
    """Of each subject, the first few: which configuration keeps f best by its methods, and why.

    The subject is empty if there is only one. Of several not all is said. The last sentence says
    over what the figures are medians or means.
    """
    for subject, rivals in list(subjects.items())[:_MOST_SUBJECTS]:
        by_method: dict[str, list[Candidate]] = {}
        for one in rivals:
            if deciding.KEPT in one.figures:
                by_method.setdefault(one.method, []).append(one)
        first, *others = by_method.values() or [[]]
        if not first:
            yield subject, ["There is no finite relevance."]
        elif len(subjects) > 1:
            yield subject, [_kept(first), *_doubts(first), *_warned(first)]
        else:
            yield subject, [_kept(first), *_details(first), *map(_kept, others)]
    if len(subjects) > _MOST_SUBJECTS:
        yield "", [f"{len(subjects) - _MOST_SUBJECTS} more are in the table."]
    shown = [one for rivals in subjects.values() for one in rivals if one.figures]
    if shown:
        yield "", [*_taken_over(shown)]


def _taken_over(rivals: Sequence[Candidate]) -> Iterator[str]:
    """What the figures are medians or means of."""
    yield "Shares of f(x) are medians over the samples of a run, and cosines means."
    if max(len(one.runs) for one in rivals) > 1:
        yield f"Over {_seeds(rivals)} all are medians, with the quartiles in brackets."
    yield "The ledger has means over the samples, so that its order may be another."


def _seeds(rivals: Sequence[Candidate]) -> str:
    """How many seeds the configurations have."""
    low, *_, high = sorted([len(one.runs) for one in rivals] * 2)
    return f"{_span(low, high)} seed{'s' * (high > 1)}"


def _kept(rivals: Sequence[Candidate]) -> str:
    """Who keeps f best; that one is the first."""
    first, last = (one.figures[deciding.KEPT].spread for one in (rivals[0], rivals[-1]))
    best = [_called(one) for one in rivals if one.figures[deciding.KEPT].best]
    method = f"{wording.words(rivals[0].method)} relevance".capitalize()
    if len(rivals) == 1:
        return f"{method} keeps {first} of f(x)."
    if not best:
        span = _span(*sorted((first.middle, last.middle)))
        return (
            f"{method}: all {len(rivals)} configurations tie with {_seeds(rivals)} each, and keep "
            f"{span} of f(x)."
        )
    tie = " tie: they" if len(best) > 1 else ""
    come = "come" if tie else "comes"
    return (
        f"{method}: {_names(best)}{tie} {come} nearest to f(x), with {first} of it; "
        f"{_called(rivals[-1])} is furthest off, with {last}."
    )


def _details(rivals: Sequence[Candidate]) -> Iterator[str]:
    yield from _cosines(rivals)
    yield from [*_doubts(rivals)] or ["No limit is in doubt."]
    yield from _times(rivals)
    yield from _warned(rivals)


def _warned(rivals: Sequence[Candidate]) -> Iterator[str]:
    warned = [_called(one) for one in rivals if one.warned]
    if warned:
        yield f"There are warnings about {_names(warned)}." if rivals[1:] else "It has warnings."


def _cosines(rivals: Sequence[Candidate]) -> Iterator[str]:
    extremes = _extremes(rivals, deciding.COSINE)
    if extremes:
        (low, lowest), (high, highest) = extremes
        text = f"from {number(low)} ({_called(lowest)}) to {number(high)} ({_called(highest)})"
        same = number(low) == number(high)
        yield f"Its cosine with the train-free relevance is {number(low) if same else text}."


def _doubts(rivals: Sequence[Candidate]) -> Iterator[str]:
    extremes = _extremes(rivals, deciding.IN_DOUBT)
    if extremes and extremes[1][0]:
        share, most = extremes[1]
        whose = f" of {_called(most)}" if rivals[1:] else ""
        yield f"Limits leave {100 * share:.3g} % of the samples{whose} in doubt."


def _times(rivals: Sequence[Candidate]) -> Iterator[str]:
    """Where it matters."""
    extremes = _extremes(rivals, deciding.SECONDS)
    if extremes and extremes[1][0] >= max(1, 2 * extremes[0][0]):
        (low, fastest), (high, slowest) = extremes
        yield f"{_called(fastest)} takes {number(low)} s, and {_called(slowest)} {number(high)} s."


def _extremes(
    rivals: Sequence[Candidate], quantity: str
) -> tuple[tuple[float, Candidate], tuple[float, Candidate]] | None:
    """The least and the largest median, and whose they are."""
    there = [
        (one.figures[quantity].spread.middle, i)
        for i, one in enumerate(rivals)
        if quantity in one.figures
    ]
    if not there:
        return None
    (low, i), (high, k) = min(there), max(there)
    return (low, rivals[i]), (high, rivals[k])


def _span(low: float, high: float) -> str:
    low_text, high_text = number(low), number(high)
    return low_text if low_text == high_text else f"{low_text}–{high_text}"


def _called(one: Candidate) -> str:
    """Its name, in quotes if it has parts."""
    return f"“{one.how}”" if ", " in one.how else one.how


def _names(names: Sequence[str]) -> str:
    shown = list(names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        shown.append(f"{len(names) - _MOST_NAMES} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
