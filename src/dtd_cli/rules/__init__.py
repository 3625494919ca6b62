"""Rules of deep Taylor decomposition: one file a rule (theory, section 3)."""

from dtd_cli.rules.gamma import Gamma
from dtd_cli.rules.pinv import PseudoInverse
from dtd_cli.rules.rule import Rule
from dtd_cli.rules.w2 import WSquared
from dtd_cli.rules.x import X
from dtd_cli.rules.z_box import ZBox
from dtd_cli.rules.z_plus import ZPlus
from dtd_cli.rules.zero import Zero

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

__all__ = ["RULES", "Rule"]
