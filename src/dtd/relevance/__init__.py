"""Relevance: the exact recursion, what it is compared with, and the ledger."""

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
