"""What a caller chooses by a name or an object, made into the objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch

from dtd.domains import Domain
from dtd.errors import FIRST_LAYER_ALONE, InvalidSetting, check_seed, shown
from dtd.ranges import COUNT, Range
from dtd.relevance.series.integral import Integral
from dtd.relevance.series.series import Series
from dtd.relevance.series.taylor import Taylor
from dtd.roots import ROOT_FINDERS, RootChoice, RootFinder
from dtd.rules import RULES, Rule

T = TypeVar("T")


def named(
    argument: str,
    value: object,
    kind: type[T],
    options: Mapping[str, type[T]],
    what: str,
    remark: str = "",
) -> T:
    """The object itself, or the one that a name stands for, with its default settings.

    Args:
        argument: what the caller calls it.
        value: the object, or its name.
        kind: the class of such objects.
        options: the classes by their names.
        what: the object, as a message puts it.
        remark: what a message adds to the names.

    Raises:
        InvalidSetting: there is no such object, or it has settings without a default.
    """
    if isinstance(value, kind):
        return _with_plain_numbers(value)
    if isinstance(value, type) and issubclass(value, kind):
        raise InvalidSetting(argument, value.__name__, f"give an object: {value.__name__}()")
    if not isinstance(value, str) or value not in options:
        allowed = f"allowed are {', '.join(options)}, or {what}{remark}"
        raise InvalidSetting(argument, shown(value), allowed)
    chosen: Any = options[value]
    needed = [
        field.name
        for field in fields(chosen)
        if field.default is MISSING and field.default_factory is MISSING
    ]
    if needed:
        raise InvalidSetting(argument, value, f"allowed is {what} with its {' and '.join(needed)}")
    made: T = chosen()
    return made


def _with_plain_numbers(settings: T) -> T:
    """The settings, with Python's numbers in place of numpy's, which torch does not take."""
    made: Any = settings
    values = {field.name: getattr(made, field.name) for field in fields(made)}
    plain = {name: value.item() for name, value in values.items() if isinstance(value, np.generic)}
    return replace(made, **plain) if plain else settings


def rule_of(argument: str, value: object) -> Rule:
    """A rule, or the one of this name.

    Raises:
        InvalidSetting: there is no such rule.
    """
    what, remark = "a dtd.rules object", f"; {FIRST_LAYER_ALONE}"
    return named(argument, value, Rule, RULES, what, remark)  # type: ignore[type-abstract]


def roots_of(argument: str, value: object) -> RootChoice:
    """Roots, or those of this name with the default settings.

    Raises:
        InvalidSetting: there are no such roots.
    """
    what = "a dtd.roots object"
    return named(argument, value, RootChoice, ROOT_FINDERS, what)  # type: ignore[type-abstract]


def search_of(argument: str, value: object) -> RootFinder:
    """A root search, or the one of this name with its default settings.

    Raises:
        InvalidSetting: there is no such search, or these roots are not searched.
    """
    roots = roots_of(argument, value)
    if not isinstance(roots, RootFinder):
        raise InvalidSetting(
            argument, roots.name, "these roots are for all layers; allowed is roots=prescribed"
        )
    return roots


def rules_of(rule: object, input_rule: object, depth: int) -> list[tuple[str, Rule]]:
    """The rule of each layer from the input up, and the argument that it comes from.

    Raises:
        InvalidSetting: there is no such rule, or there are not as many as layers.
    """
    if isinstance(rule, list | tuple):
        if len(rule) != depth:
            raise InvalidSetting(
                "rule", f"{len(rule)} rules", f"allowed is one, or one for each of {depth} layers"
            )
        if input_rule is not None:
            raise InvalidSetting("input_rule", shown(input_rule), "allowed beside a single rule")
        return [("rule", rule_of("rule", one)) for one in rule]
    hidden = ("rule", rule_of("rule", rule))
    first = hidden if input_rule is None else ("input_rule", rule_of("input_rule", input_rule))
    return [first, *[hidden] * (depth - 1)]


def domain_of(domain: object, size: int) -> Domain:
    """Where the inputs may lie, with bounds for every input; the reals where nothing is said.

    Raises:
        InvalidSetting: it is no domain, empty, or not of this size.
    """
    if domain is None:
        return Domain.real(size)
    if not isinstance(domain, Domain):
        raise InvalidSetting(
            "domain",
            shown(domain),
            "allowed is dtd.Domain.real(), .nonnegative() or .box(low, high)",
        )
    try:
        low, high = (bound.expand(size) for bound in (domain.low, domain.high))
    except RuntimeError as error:
        bounds = max(domain.low.numel(), domain.high.numel())
        raise InvalidSetting(
            "domain", f"{bounds} bounds", f"allowed is one, or one for each of {size} inputs"
        ) from error
    domain.check_order("domain", "Domain")
    return Domain(low, high)


def series_of(degree: object) -> Series | None:
    """What of each Taylor series is distributed; None is the linear term.

    Raises:
        InvalidSetting: there is no such degree.
    """
    if degree == "inf" or (isinstance(degree, float) and degree == math.inf):
        return Integral()
    if degree not in COUNT:
        raise InvalidSetting("degree", shown(degree), f'allowed is {COUNT}, or "inf"')
    highest = int(degree)  # type: ignore[call-overload]
    return Taylor(highest) if highest > 1 else None


def generator_of(seed: object) -> torch.Generator:
    """A generator of its own: of a seed, or in the state of another generator.

    Raises:
        InvalidSetting: it is neither, or no generator takes the seed.
    """
    if isinstance(seed, torch.Generator):
        if seed.device.type != "cpu":
            raise InvalidSetting("seed", f"a generator on {seed.device}", "allowed is one on cpu")
        return seed.clone_state()
    if seed not in Range(-math.inf, integer=True):
        raise InvalidSetting("seed", shown(seed), "allowed is an integer or a torch.Generator")
    number = int(seed)  # type: ignore[call-overload]
    check_seed("seed", number)
    return torch.Generator().manual_seed(number)
