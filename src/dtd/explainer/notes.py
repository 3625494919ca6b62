"""What makes a result doubtful, in sentences that name a remedy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dtd.explainer.objections import rule_name
from dtd.relevance.explanation import StandardErrors
from dtd.rules import Rule

FEW_PATHS = 10
"""A standard error that rests on fewer paths is hardly known."""


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
