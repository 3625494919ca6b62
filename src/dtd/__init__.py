"""Deep Taylor Decomposition that follows the theory: exact roots, orders and ledgers.

Names are imported when they are first used: a command line that only says what there is does not
wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dtd import roots, rules
    from dtd.domains import Domain
    from dtd.errors import InvalidSetting
    from dtd.explainer.estimators import MonteCarlo
    from dtd.explainer.explainer import DTD
    from dtd.networks.loading import load
    from dtd.networks.network import Network

__all__ = ["DTD", "Domain", "InvalidSetting", "MonteCarlo", "Network", "load", "roots", "rules"]

_HOMES = {
    "DTD": "explainer.explainer",
    "Domain": "domains",
    "InvalidSetting": "errors",
    "MonteCarlo": "explainer.estimators",
    "Network": "networks.network",
    "load": "networks.loading",
}
_PACKAGES = ("roots", "rules")


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"dtd.{name}")
    if name in _HOMES:
        return getattr(import_module(f"dtd.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'dtd' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
