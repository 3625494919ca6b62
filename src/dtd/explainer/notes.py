"""What makes a result doubtful, in sentences that name a remedy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dtd.explainer.objections import rule_name
from dtd.explainer.reach import Largest
from dtd.relevance.explanation import StandardErrors
from dtd.rules import Rule

FEW_PATHS = 10
"""A standard error that rests on fewer paths is hardly known."""
FAR = 10
"""Relevance or a residual of more than so many times f is said to be far beyond it."""


def notes_on(samples: Tensor, rule: Rule) -> tuple[str, ...]:
    """What makes relevances of the samples (B, ...) doubtful by this rule of the input."""
    least = float(samples.min())
    if not rule.for_nonnegative or least >= 0:
        return ()
    seen, box = f"x goes down to {least:.3g}", " with domain=dtd.Domain.box(low, high)"
    return (negative_inputs(rule, seen, box),)


def notes_on_errors(errors: Sequence[StandardErrors | None]) -> tuple[str, ...]:
    """What makes standard errors doubtful, of one part of the samples each, if they have some."""
    paths = [torch.stack(each.paths).amin(0) for each in errors if each is not None]
    if not paths:
        return ()
    few = torch.cat(paths) < FEW_PATHS
    if not few.any():
        return ()
    return (
        f"standard errors rest on fewer than {FEW_PATHS} paths in some layer of "
        f"{int(few.sum())} of {len(few)} samples, and may be far too small there (stderr_paths); "
        "take more paths, by a larger paths= or a smaller stderr= of estimator=dtd.MonteCarlo",
    )


def notes_on_loss(method: str, nothing: int, explained: int, ledger: str) -> tuple[str, ...]:
    """The note that a method has no relevance in the input for most samples, where it is so.

    Args:
        method: the method.
        nothing: for how many samples it has none.
        explained: of how many samples.
        ledger: what says in which layer the relevance is lost.
    """
    if 2 * nothing <= explained:
        return ()
    return (
        f"for {nothing} of {explained} samples no relevance arrives in the input, so there is "
        f"nothing to be seen in it; {ledger} says in which layer it is lost; "
        f"{_INSTEAD_OF_NOTHING.get(method, _OTHER_RULE)}",
    )


def notes_on_size(
    method: str, largest: Largest | None, source: Callable[[], str] = lambda: ""
) -> tuple[str, ...]:
    """The note that a relevance of a method is far beyond f, where it is so.

    Args:
        method: the method.
        largest: its largest relevance, if it has one.
        source: says where this relevance comes from, in words to be added; only then it is asked.
    """
    if largest is None or largest.share <= FAR:
        return ()
    return (
        f"of sample {largest.sample}, unit {largest.neuron} of layer {largest.layer} has "
        f"{largest.share:.2g} times |f(x)| as its relevance{source()}; {other_way(method)}",
    )


def other_way(method: str) -> str:
    """What to do about numbers of a method that are far beyond f."""
    return _INSTEAD.get(method, _OTHER_SEARCH)


_OTHER_RULE = "take another rule, degree=inf, or a network of fewer layers"
_INSTEAD_OF_NOTHING = {
    "train_free": "take another rule",
    "simple_taylor": "take other taylor_roots",
    "gradient_x_input": "each input is zero, or the output does not change with it; take other "
    "inputs, or another method",
}
_OTHER_SEARCH = (
    "take another rule or search (roots=polytope proves its roots), or conclude nothing from it"
)
_INSTEAD = {
    "train_free": "take another rule, or conclude nothing from it",
    "simple_taylor": "take other taylor_roots, or conclude nothing from it",
    "gradient_x_input": "large parts of both signs cancel there; compare it with another method",
}
"""What to do about methods that are no recursion."""


def negative_inputs(rule: Rule, seen: str, box: str) -> str:
    """The warning that a rule is for inputs that are never negative.

    Args:
        rule: of the input.
        seen: which inputs are negative.
        box: what the rule zB needs besides.
    """
    return (
        f"the rule {rule_name(rule)} of the input is for inputs that are never negative, and "
        f"{seen}: its relevances may be far beyond f(x); take input_rule=w2, or input_rule=zB{box}"
    )
