"""Which settings tell runs apart, and what a configuration is called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from dtd_cli.config.composed import NOT_OF_THE_RESULTS

Settings = Mapping[str, Any]

MAIN = (
    "network", "training", "inputs", "rule", "input_rule", "roots", "input_roots", "seed", "dtype",
)  # fmt: skip
"""What every table of runs shows."""

LONGEST_LABEL = 40
"""Letters: what fits beside a picture and into a column."""

_EXPLAINING = (
    "rule", "input_rule", "roots", "input_roots", "taylor_roots", "compare_input_roots",
    "relevance", "studies", "region_map",
)  # fmt: skip
"""The groups that say how is explained, and what is measured besides; the others say what."""

_TELLING = (
    "rule", "input_rule", "roots", "input_roots", "inputs.path", "inputs", "network.path",
    "network",
)  # fmt: skip
"""What a short name says before all else."""

_KEY = ("rule", "seed")
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_ABSENT = object()


def varied(runs: Sequence[Settings]) -> list[str]:
    """The settings that differ between runs.

    A setting that only some runs have differs, unless it belongs to an option that differs itself:
    ``rule`` tells that ``rule.gamma`` is there. One that follows another, as ``network.seed``
    does ``seed``, is compared by whom it follows.
    """
    chosen: list[str] = []
    for name in dict.fromkeys(name for run in runs for name in run):
        values = {run.get(name, _ABSENT) for run in runs}
        if name.rpartition(".")[0] in chosen:
            values.discard(_ABSENT)
        if len(values) > 1 and name.partition(".")[0] not in NOT_OF_THE_RESULTS:
            chosen.append(name)
    return chosen


def keys(differing: Sequence[str]) -> list[str]:
    """The settings that identify a run: rule, seed, and what differs."""
    return list(dict.fromkeys([*_KEY, *differing]))


def is_seed(name: str) -> bool:
    """Whether runs that differ in this setting alone repeat each other."""
    return name.rpartition(".")[2] == "seed"


def short_labels(runs: Sequence[Settings], names: Sequence[str]) -> list[str]:
    """The label of each run in at most :data:`LONGEST_LABEL` letters; as many as there are labels.

    Only the settings that are needed to tell the configurations apart are named, and of files only
    their names. What is longer is cut, and has the number of its configuration.
    """
    full = [label(run, names) for run in runs]
    different = list(dict.fromkeys(full))
    examples = [{**runs[full.index(one)]} for one in different]
    for example in examples:
        example.update({n: PurePath(str(example[n])).name for n in example if n.endswith(".path")})
    # In the order of _TELLING, and the others behind.
    needed = sorted((n for n in names if not is_seed(n)), key=lambda n: (*_TELLING, n).index(n))
    for name in reversed(needed):
        fewer = [other for other in needed if other != name]
        if fewer and len({label(run, fewer) for run in examples}) == len(different):
            needed = fewer
    short: dict[str, str] = {}
    for number, (one, example) in enumerate(zip(different, examples, strict=True), start=1):
        text = label(example, needed)
        fits = len(text) <= LONGEST_LABEL and text not in short.values()
        short[one] = text if fits else _cut(text, f"… #{number}")
    return [short[one] for one in full]


def _cut(text: str, end: str) -> str:
    return text[: LONGEST_LABEL - len(end)].rstrip(" ,") + end


def explains(name: str) -> bool:
    """Whether runs that differ in this setting alone explain the same."""
    return name.partition(".")[0] in _EXPLAINING


def value(settings: Settings, name: str) -> Any:
    """The value of a setting; where it refers to another, that one's. None if there is none."""
    given = settings.get(name)
    reference = _REFERENCE.fullmatch(given) if isinstance(given, str) else None
    return settings.get(reference[1], given) if reference else given


def label(settings: Settings, names: Sequence[str]) -> str:
    """A configuration in words: the rule, and the settings ``names`` without seeds."""
    names = [name for name in names if not is_seed(name)] or ["rule"]
    short = [name.rpartition(".")[2] for name in names]
    values = [value(settings, name) for name in names]
    words = ", ".join(
        str(given) if name == "rule" else f"{last if short.count(last) == 1 else name}={given}"
        for name, last, given in zip(names, short, values, strict=True)
        if given is not None
    )
    # A run that has none of these settings.
    return words or str(value(settings, "rule"))
