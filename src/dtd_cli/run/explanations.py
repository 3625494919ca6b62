"""The explanations of a run: every method, and the recursion with every further root search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from dtd.explainer.explained import Explained
from dtd.explainer.explainer import DTD
from dtd.explainer.results import Result
from dtd.relevance.paths.all import PATHS
from dtd_cli.config.config import Config
from dtd_cli.records.paths import MethodPaths
from dtd_cli.run.preparation import Prepared, by_method


class Way(NamedTuple):
    """One way to explain: a method, and the label of a further root search where it is one."""

    method: str
    roots: str = ""


Explanations = Mapping[Way, Result]
"""All explanations of a run, in the order of its tables."""


def explainers(config: Config, prepared: Prepared) -> dict[Way, DTD]:
    """What explains the samples, for each way."""
    methods = by_method(config, prepared.explainer)
    return {Way(method): explainer for method, explainer in methods.items()} | {
        Way("recursive", label): explainer for label, explainer in prepared.compared.items()
    }


def explain(ways: Mapping[Way, DTD], x: Tensor, target: object) -> dict[Way, Result]:
    """The samples ``x`` (n, d) explained in every way, of each what ``target`` says."""
    results = {way: explainer.explain(x, target) for way, explainer in ways.items()}
    return {way: _labelled(result, way) for way, result in results.items()}


def paths(config: Config, prepared: Prepared) -> Iterator[MethodPaths]:
    """The paths of every method that has some, some samples at a time."""
    methods = config.relevance.methods if config.relevance.paths else []
    for method in (method for method in methods if method in PATHS):
        for output, problem, samples in prepared.explainer.problems(prepared.x, prepared.targets):
            numbers = samples.cpu().numpy()
            done = 0
            for of_size in PATHS[method](problem):
                count = len(of_size)
                signed = of_size if output.sign > 0 else of_size.opposite()
                yield MethodPaths(method, output.unit, numbers[done : done + count], signed)
                done += count


def _labelled(result: Result, way: Way) -> Result:
    """The result of a further search under its label, with that search alone.

    The roots of the other layers are those of the first recursion.
    """
    if not way.roots:
        return result
    return replace(result, parts=tuple(_first_search(part, way.roots) for part in result.parts))


def _first_search(part: Explained, label: str) -> Explained:
    search, *_ = part.explanation.evidence[0]
    evidence = {0: (replace(search, finder=label),)}
    return replace(part, roots=label, explanation=replace(part.explanation, evidence=evidence))
