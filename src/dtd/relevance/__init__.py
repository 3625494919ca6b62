"""Relevance: the exact recursion, what it is compared with, and the ledger.

Where to look; the numbers are sections of docs/theory.md:

- R_l is defined in ``recursion`` (2.1), by the rule and the roots that ``plan`` has for each layer.
- ∇⁺h_j at a root comes from ``slopes`` (2.2). ``slopes.needed`` says where it is a limit only
  (2.3), ``AutomaticSlopes.at`` has it taken there, and ``limits`` takes it (2.4).
- ``series`` has the higher degrees (5.3) and the integral (5.4), ``paths`` the relevance of single
  paths (5.5) and what is estimated from them (5.6), ``ledger`` what is lost (6).
- ``methods`` explains samples by all of these (5.1).

No file here names a rule. One whose relevance carries the activation as a factor (3.2) derives from
``dtd.rules.rule.FactorRule`` and says its masks; ``slopes.forward`` then gives its slopes (3.3).
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
