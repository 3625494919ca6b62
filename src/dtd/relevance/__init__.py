"""Relevance: the exact recursion, what it is compared with, and the ledger.

``recursion`` defines R_l, with ``plan`` for the rule and the roots of each layer. ``slopes`` give
∇⁺h_j at a root; where that is a limit only, ``limits`` take it. ``series`` have the higher degrees,
``paths`` the relevance of single paths, and ``methods`` explain samples by all of these.

Nothing here names a rule: one whose relevance carries the activation as a factor derives from
``dtd.rules.rule.FactorRule``, and ``slopes.forward`` then gives its slopes.
"""

from collections.abc import Callable

from dtd.relevance.explanation import Explanation
from dtd.relevance.methods.baselines import gradient_x_input
from dtd.relevance.methods.exact import recursive
from dtd.relevance.methods.sampled import sampled
from dtd.relevance.methods.simple_taylor import simple_taylor
from dtd.relevance.methods.train_free import train_free
from dtd.relevance.problem import Problem

METHODS: dict[str, Callable[[Problem], Explanation]] = {
    "recursive": recursive,
    "train_free": train_free,
    "gradient_x_input": gradient_x_input,
    "simple_taylor": simple_taylor,
}
"""The name of a method in the configuration, and the method."""

__all__ = ["METHODS", "Explanation", "Problem", "recursive", "sampled"]
