"""The library's face: a network, and how its outputs are explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from dtd.domains import Domain
from dtd.errors import InvalidSetting, shown
from dtd.explainer import arguments
from dtd.explainer.estimators import Estimator, Forecast, estimator_of
from dtd.explainer.explained import Explained, check_squares
from dtd.explainer.model import placed, reading_of
from dtd.explainer.notes import notes_on
from dtd.explainer.objections import (
    check_affine,
    check_integral,
    check_rule,
    check_search,
    check_together,
    check_visits,
)
from dtd.explainer.output import Output
from dtd.explainer.relevance_function import RelevanceFunction
from dtd.explainer.results import Contents, Result
from dtd.explainer.root_point import RootPoint
from dtd.explainer.samples import Place, samples_of
from dtd.explainer.targets import Targets, one_target, targets
from dtd.networks.modules.reading import Reading
from dtd.networks.network import Network
from dtd.numerics.gradients import outside_inference
from dtd.progress import Track, untracked
from dtd.ranges import COUNT, check_choice, check_flag, index_of
from dtd.relevance import METHODS, Explanation, Problem
from dtd.relevance.opposite import opposite
from dtd.relevance.plan import Scheme
from dtd.relevance.recursion import Recursion
from dtd.relevance.series.series import Series
from dtd.roots import RootChoice, RootFinder
from dtd.rules import Rule

_WITH_RULES = "recursive", "train_free"
"""The methods by which the rule of the input distributes relevance."""


@dataclass(frozen=True, eq=False)
class DTD:
    """Deep Taylor Decomposition of a network, ready to explain samples.

    Raises:
        InvalidSetting: an argument has a value that it cannot have.
    """

    model: nn.Module | Network
    """Read once and never changed."""
    rule: str | Rule | Sequence[str | Rule] = "z+"
    """One for all layers, or a list with one for each layer from the input up."""
    input_rule: str | Rule | None = None
    """The rule of the first layer, where it is another than ``rule``."""
    roots: str | RootChoice = "closed_form"
    input_roots: str | RootChoice | None = None
    """The root search in the input, where it is another than ``roots``."""
    domain: Domain | None = None
    """Where the inputs may lie; the reals where nothing is said."""
    method: str = "recursive"
    estimator: str | Estimator = "enumeration"
    degree: float | str = 1
    """The degree of the Taylor series of every relevance function; ``inf``, as a number or in
    quotation marks: the integral."""
    root_dependence: str = "exact"
    """``exact``: roots move with their anchors; ``constant``: their derivative counts as zero."""
    seed: int | torch.Generator = 0
    """Of all that is drawn; of a generator its state is used, and not changed."""
    max_points: int = 100_000
    """Root points that are held in memory together."""
    max_visits: int = 100_000_000
    """A recursion that would visit more points is refused; higher degrees count by their cost."""
    taylor_roots: str | RootChoice = "milp"
    """The search for a root of f itself, for the method ``simple_taylor``."""
    interactions: bool = False
    """Whether the recursion has the degree-2 matrices too."""
    forward_passes: bool = True
    """Without, every slope is computed by automatic differentiation."""
    dtype: torch.dtype = torch.float64
    device: torch.device | str | None = None
    """Where the relevances are computed; the model's own where nothing is said."""
    track: Track = field(default=untracked, repr=False)
    """Shows how far the work is."""
    input_shape: Sequence[int] | None = None
    """Of one sample, as (channels, height, width), for a module whose weights do not tell it."""

    @outside_inference
    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("root_dependence", self.root_dependence, ("exact", "constant"))
        COUNT.check("max_points", self.max_points)
        COUNT.check("max_visits", self.max_visits)
        check_flag("interactions", self.interactions)
        check_flag("forward_passes", self.forward_passes)
        if not any(self.dtype is allowed for allowed in (torch.float64, torch.float32)):
            raise InvalidSetting(
                "dtype", shown(self.dtype), "allowed are torch.float64, torch.float32"
            )
        if not callable(self.track):
            raise InvalidSetting(
                "track", shown(self.track), "allowed is a function, as dtd.progress.untracked"
            )
        self._check_searches()
        # From above: a rule that is for the first layer alone says so, and not what else it needs.
        for layer, (argument, rule) in reversed([*enumerate(self._rules)]):
            check_rule(argument, rule, self.network, layer, self.scheme.domains[layer])
        problem = self._problem(Output(0), self._nothing())
        if problem.series is not None and problem.series.degree is None:
            check_integral(self.network)
        if self.interactions and self.method != "recursive":
            raise InvalidSetting("interactions", True, "they are those of method=recursive")
        self._estimator.check(problem)

    @outside_inference
    @torch.no_grad()
    def explain(self, x: object, target: object = None) -> Result:
        """The relevances of all layers for the samples, with ledgers and roots.

        Args:
            x: samples, (B, d), or (B, *shape) for images and for a module that flattens them first;
                a tensor on the network's device, an array or nested lists.
            target: an output, a sequence of B outputs, a tuple of two outputs whose difference is
                explained, or None for each sample's largest output.

        Raises:
            InvalidSetting: the samples or the target are not possible, or it would take too long.
        """
        samples = samples_of(x, self._reading, self.scheme.domains[0], self._place)
        path = self.network.activations(samples.flatten(1))
        explained = targets(self.network, path, target)
        self._reading.check(self.network, path)
        self._check_cost(int(explained.explained.sum()))
        check_squares(path, explained.explained.nonzero().squeeze(1))
        batches = self.track(self._batches(explained), self.method)
        parts = tuple(self._part(output, [a[rows] for a in path], rows) for output, rows in batches)
        shapes = self.network.shapes
        notes = notes_on(samples, self.scheme.rules[0]) if self.method in _WITH_RULES else ()
        return Result(
            samples, explained.f, explained.relevance, shapes, parts, self._contents, notes
        )

    def attribute(self, x: object, target: object = None) -> Tensor:
        """R_0 of the samples, of their shape; see :meth:`explain`."""
        return self.explain(x, target).attribution

    def root_point(self, x: object, layer: int, unit: int, target: object = None) -> RootPoint:
        """The roots in layer ``layer`` of unit ``unit`` of the layer above, on the samples' path.

        Raises:
            InvalidSetting: there is no such layer or unit, or the method has no roots there.
        """
        return self.explain(x, target).root_point(layer, unit)

    @outside_inference
    def relevance_function(self, layer: int, target: object) -> Callable[[Tensor], Tensor]:
        """R_l as a function of the activations of layer l, (N, d_l) -> (N, d_l), differentiable.

        Its values agree with :meth:`explain` up to rounding. The derivative contains that of the
        roots, but for searches whose roots are constants (∂ã/∂a = 0): ``interpolation``,
        ``metropolis``, ``hit_and_run``, ``polytope`` and ``milp``, and with
        ``root_dependence="constant"`` all.

        Raises:
            InvalidSetting: there is no such layer or output, or the relevance is no function of
                the activations alone.
        """
        layer = index_of("layer", layer, self.network.depth, "a layer")
        if self.method != "recursive":
            raise InvalidSetting(
                "method", self.method, "relevance functions are those of the method recursive"
            )
        output = one_target(self.network, target)
        self._check_cost(1)
        nothing = self._nothing()
        recursions = {
            sign: self._problem(replace(output, sign=sign), nothing).recursion for sign in (1, -1)
        }
        return RelevanceFunction(layer, recursions, self._place)

    def problems(self, x: Tensor, explained: Targets) -> Iterator[tuple[Output, Problem, Tensor]]:
        """What is explained together: the output, what is decomposed, and its rows in ``x`` (B, d).

        Samples with the same explained output; where roots are made for a sample, each alone.

        Raises:
            InvalidSetting: there are no such roots for a sample.
        """
        for output, batch in self._batches(explained):
            yield output, self._problem(output, x[batch]), batch

    def recursion(self, output: Output, x: Tensor) -> Recursion:
        """The relevance functions of what is decomposed, f or -f, for samples ``x`` (B, d) that
        share their searches.

        Raises:
            InvalidSetting: there are no such roots for these samples.
        """
        return self._problem(output, x).recursion

    def points_visited(self, samples: int) -> int:
        """At how many points relevance functions are evaluated for so many samples, at most."""
        return samples * self._points_visited

    @cached_property
    def _points_visited(self) -> int:
        """The same for one sample."""
        if self.method != "recursive":
            return 0
        return self._estimator.points_visited(self._problem(Output(0), self._nothing()))

    @outside_inference
    def forecast(self, x: Tensor, explained: Targets) -> Forecast | None:
        """What sampling paths for samples ``x`` (B, d) will cost; None where none are sampled."""
        if self.method != "recursive":
            return None
        _, problem, _ = next(self.problems(x, explained))
        forecast = self._estimator.forecast(problem)
        samples = int(explained.explained.sum())
        return forecast and forecast._replace(seconds=samples * forecast.seconds)

    @cached_property
    def network(self) -> Network:
        """The network of the model, as the library reads it."""
        return placed(self._reading.network, self.dtype, self.device)

    @cached_property
    def _reading(self) -> Reading:
        return reading_of(self.model, self.input_shape)

    @cached_property
    def scheme(self) -> Scheme:
        """How every layer is decomposed, from the input up.

        The search of the input layer draws from the seed itself, the others have generators of
        their own.
        """
        generator = arguments.generator_of(self.seed)
        depth, (size, *hidden) = self.network.depth, self.network.widths[:-1]
        seeds = torch.randint(2**62, (depth,), generator=generator.clone_state()).tolist()
        domains = [arguments.domain_of(self.domain, size), *map(Domain.nonnegative, hidden)]
        return Scheme(
            [rule for _, rule in self._rules],
            [self._input_roots, *[self._roots] * (depth - 1)],
            [domain.to(*self._place) for domain in domains],
            [generator, *map(arguments.generator_of, seeds[: depth - 1])],
        )

    @property
    def _place(self) -> Place:
        return self.dtype, self.network.device

    @cached_property
    def _rules(self) -> list[tuple[str, Rule]]:
        return arguments.rules_of(self.rule, self.input_rule, self.network.depth)

    @cached_property
    def _roots(self) -> RootChoice:
        return arguments.roots_of("roots", self.roots)

    @cached_property
    def _input_roots(self) -> RootChoice:
        if self.input_roots is None:
            return self._roots
        return arguments.roots_of("input_roots", self.input_roots)

    @cached_property
    def _taylor_roots(self) -> RootFinder:
        return arguments.search_of("taylor_roots", self.taylor_roots)

    @cached_property
    def _series(self) -> Series | None:
        return arguments.series_of(self.degree)

    @cached_property
    def _estimator(self) -> Estimator:
        return estimator_of(self.estimator)

    def _nothing(self) -> Tensor:
        """No samples."""
        return torch.empty(0, self.network.widths[0], dtype=self.dtype, device=self.network.device)

    def _check_searches(self) -> None:
        check_together(self._roots, self._input_roots)
        check_search("roots", self._roots, self.network)
        check_search("input_roots", self._input_roots, self.network)
        if self.method == "simple_taylor":
            check_affine("taylor_roots", self._taylor_roots, self.network)

    def _problem(self, output: Output, x: Tensor) -> Problem:
        return Problem(
            output.decomposed(self.network),
            output.unit,
            x,
            scheme=self.scheme,
            max_points=int(self.max_points),
            taylor_plan=self.scheme.of_f(self._taylor_roots),
            moving_roots=self.root_dependence == "exact",
            series=self._series,
            interactions=self.interactions,
            forward_passes=self.forward_passes,
            track=self.track,
        )

    def _batches(self, explained: Targets) -> list[tuple[Output, Tensor]]:
        """What is explained together: the output, and the rows of the samples."""
        return [
            (output, batch)
            for output, samples in explained.groups()
            for batch in self._roots.batches(samples)
        ]

    def _part(self, output: Output, path: Sequence[Tensor], rows: Tensor) -> Explained:
        """The explanation of samples with these activations (n, d_l) in all layers.

        They are these ``rows`` of the batch.
        """
        explanation = self._explain(self._problem(output, path[0]))
        signed = explanation if output.sign > 0 else opposite(explanation)
        return Explained(self.method, output, rows, path, signed)

    def _explain(self, problem: Problem) -> Explanation:
        if self.method == "recursive":
            return self._estimator.explain(problem, self.scheme.generators[0].initial_seed())
        return METHODS[self.method](problem)

    def _check_cost(self, samples: int) -> None:
        check_visits(self.network, samples, self.points_visited(samples), self.max_visits)

    @property
    def _contents(self) -> Contents:
        recursive = self.method == "recursive"
        highest = 1 if self._series is None else self._series.degree or 1
        return Contents(
            degrees=highest if recursive and not self._estimator.estimates else 0,
            interactions=bool(self.interactions),
            stderr=recursive and self._estimator.estimates,
        )
