"""Rules of deep Taylor decomposition: one file a rule (theory, section 3.1)."""

from dtd.rules.gamma import Gamma
from dtd.rules.pinv import PseudoInverse
from dtd.rules.rule import FactorRule, Rule, Term
from dtd.rules.w2 import WSquared
from dtd.rules.x import X
from dtd.rules.z_box import ZBox
from dtd.rules.z_plus import ZPlus
from dtd.rules.zero import Zero

RULES: dict[str, type[Rule]] = {
    "z+": ZPlus,
    "w2": WSquared,
    "zB": ZBox,
    "gamma": Gamma,
    "x": X,
    "zero": Zero,
    "pinv": PseudoInverse,
}
"""The name of a rule in the configuration, and the rule."""

__all__ = [
    "RULES",
    "FactorRule",
    "Gamma",
    "PseudoInverse",
    "Rule",
    "Term",
    "WSquared",
    "X",
    "ZBox",
    "ZPlus",
    "Zero",
]
