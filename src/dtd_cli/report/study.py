"""All runs of a report together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from dtd_cli.report import settings
from dtd_cli.report.results import Results
from dtd_cli.report.run import Run


@dataclass(frozen=True)
class Study:
    """All runs, and what was found in those that are done.

    ``results`` holds those of the runs by their number; ``differing`` are the settings that tell
    runs apart; ``repeats`` the numbers of runs that a later one repeats.
    """

    runs: Sequence[Run]
    results: dict[int, Results]
    differing: Sequence[str]
    repeats: frozenset[int]

    @classmethod
    def of(cls, runs: Sequence[Run], results: dict[int, Results]) -> Study:
        """Find out what the runs have in common."""
        differing = settings.varied([run.settings for run in runs if run.complete])
        last = {}
        for number in results:
            last[tuple(runs[number].settings.get(name) for name in differing)] = number
        return cls(runs, results, differing, frozenset(results) - frozenset(last.values()))

    @cached_property
    def counted(self) -> dict[int, Results]:
        """The results that the statistics are made of: each configuration and seed once."""
        return {n: result for n, result in self.results.items() if n not in self.repeats}

    @cached_property
    def labels(self) -> dict[int, str]:
        """The configuration of each counted run in a few words."""
        return self.short_labels(self.counted, self.differing)

    def short_labels(self, numbers: Iterable[int], names: Sequence[str]) -> dict[int, str]:
        """What tells these runs apart in some settings, in a few words."""
        own = [self.runs[number].settings for number in numbers]
        return dict(zip(numbers, settings.short_labels(own, names), strict=True))

    def full_label(self, number: int) -> str:
        """The configuration of a run with all that differs."""
        return settings.label(self.runs[number].settings, self.differing)

    def named(self, names: Sequence[str]) -> pd.DataFrame:
        """The settings of all runs: a row a run, a column a setting."""
        rows = [[settings.value(run.settings, name) for name in names] for run in self.runs]
        return pd.DataFrame(rows, columns=list(names), dtype=object)
