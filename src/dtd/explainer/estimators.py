"""How the sum over all roots of the exact recursion is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from dtd.errors import InvalidSetting
from dtd.explainer.arguments import named
from dtd.explainer.objections import rule_name
from dtd.ranges import POSITIVE, Range
from dtd.relevance import Explanation, Problem, recursive, sampled
from dtd.relevance.cost import points_visited
from dtd.relevance.methods.sampled import cost
from dtd.relevance.paths.budget import Budget
from dtd.rules import RULES
from dtd.rules.rule import FactorRule


class Forecast(NamedTuple):
    """What sampling will cost, as far as a few paths of the first sample say."""

    paths: int
    """For each sample and layer; where a standard error is wanted, about how many are the most."""
    seconds: float
    varies: bool
    """Whether the number is another one for each sample and layer."""


class Estimator(Protocol):
    """How the recursion of a problem is computed, or estimated."""

    @property
    def estimates(self) -> bool:
        """Whether relevances come with standard errors."""

    @property
    def stderr(self) -> float | None:
        """The standard error of each layer's sum that is wanted, relative to it; None without."""

    def check(self, problem: Problem) -> None:
        """Refuse a problem that is not for this estimator.

        Raises:
            InvalidSetting: with what is allowed instead.
        """

    def points_visited(self, problem: Problem) -> int:
        """At how many points relevance functions are evaluated for one sample, at most."""

    def forecast(self, problem: Problem) -> Forecast | None:
        """What sampling its paths will cost; None where none are."""

    def explain(self, problem: Problem, seed: int) -> Explanation:
        """The explanation by the recursion; ``seed`` is that of what is drawn."""


@dataclass(frozen=True)
class Enumeration:
    """Every root is visited: the relevances are exact."""

    estimates: ClassVar[bool] = False
    stderr: ClassVar[None] = None

    def check(self, problem: Problem) -> None:
        """Nothing is refused: all problems can be enumerated."""

    def points_visited(self, problem: Problem) -> int:
        """How many points the recursion visits: all roots, and those of their searches."""
        return points_visited(problem)

    def forecast(self, problem: Problem) -> None:
        """Nothing is sampled."""

    def explain(self, problem: Problem, seed: int) -> Explanation:
        """The exact recursion."""
        return recursive(problem)


@dataclass(frozen=True)
class MonteCarlo:
    """Relevances are estimated from random paths, with standard errors.

    ``paths`` are drawn for each sample and layer, 2000 where nothing is said. With ``stderr`` they
    are as many as the sum of the layer's relevances needs for a standard error of this size,
    relative to it; then ``paths`` is the most, 100000 where nothing is said.
    """

    estimates: ClassVar[bool] = True

    paths: int | None = None
    stderr: float | None = None

    def __post_init__(self) -> None:
        if self.paths is not None:
            _ENOUGH.check("paths", self.paths)
        if self.stderr is not None:
            POSITIVE.check("stderr", self.stderr)

    @property
    def budget(self) -> Budget:
        """How many paths are drawn for each sample and layer."""
        default = _PATHS if self.stderr is None else _MOST
        return Budget(default if self.paths is None else int(self.paths), self.stderr)

    def check(self, problem: Problem) -> None:
        """Refuse all but degree 1 by rules that carry the factor.

        Raises:
            InvalidSetting: with what is allowed instead.
        """
        if problem.series is not None or problem.interactions or not problem.moving_roots:
            raise _refused(
                "paths estimate degree 1, without interactions, with root_dependence=exact"
            )
        if not problem.forward_passes:
            raise _refused("paths are followed by forward passes, and forward_passes=False")
        scheme = problem.scheme
        for l, (roots, rule) in enumerate(zip(scheme.roots, scheme.rules, strict=True)):
            if roots.factor_mask(rule) is None:
                raise _refused(
                    f"paths are sampled with the rules {_CARRYING} and closed_form roots in every "
                    f"layer, and layer {l} has {rule_name(rule)} with {roots.name}"
                )

    def points_visited(self, problem: Problem) -> int:
        """None: how many paths are drawn is said beforehand."""
        return 0

    def forecast(self, problem: Problem) -> Forecast:
        """From a few paths of the first sample."""
        return Forecast(*cost(problem, self.budget), self.stderr is not None)

    def explain(self, problem: Problem, seed: int) -> Explanation:
        """The estimate from the paths that ``seed`` draws."""
        return sampled(problem, self.budget, seed)


_PATHS, _MOST = 2000, 100_000
_ENOUGH = Range(10, integer=True)
"""From a few paths nobody can say how far their mean is off."""
_CARRYING = ", ".join(name for name, rule in RULES.items() if issubclass(rule, FactorRule))


def _refused(reason: str) -> InvalidSetting:
    return InvalidSetting(
        "estimator", "monte_carlo", f"{reason}; allowed with others is estimator=enumeration"
    )


ESTIMATORS: dict[str, type[Enumeration] | type[MonteCarlo]] = {
    "enumeration": Enumeration,
    "monte_carlo": MonteCarlo,
}
"""The name of an estimator, and the estimator."""


def estimator_of(value: object) -> Estimator:
    """An estimator, or the one of this name with its default settings.

    Raises:
        InvalidSetting: there is no such estimator.
    """
    kind: Any = Enumeration | MonteCarlo
    estimator: Estimator = named("estimator", value, kind, ESTIMATORS, "a dtd.MonteCarlo")
    return estimator
