"""Deep Taylor Decomposition that follows the theory: exact roots, orders and ledgers."""

from dtd import roots, rules
from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.estimators import MonteCarlo
from dtd.explainer import DTD
from dtd.networks.files import load
from dtd.networks.network import Network

__all__ = ["DTD", "Domain", "InvalidSetting", "MonteCarlo", "Network", "load", "roots", "rules"]
