"""Root search: one contract, one strategy a file."""

from dtd.roots.closed_form import ClosedForm
from dtd.roots.contract import RootChoice, RootFinder
from dtd.roots.hit_and_run import HitAndRun
from dtd.roots.interpolation import Interpolation
from dtd.roots.line import LineSearch as Line
from dtd.roots.metropolis import Metropolis
from dtd.roots.milp import Milp
from dtd.roots.polytope import PolytopeSearch as Polytope
from dtd.roots.prescribed import Prescribed
from dtd.roots.random_search import RandomSearch as Random

ROOT_FINDERS: dict[str, type[RootChoice]] = {
    finder.name: finder
    for finder in (
        ClosedForm,
        Line,
        Random,
        Interpolation,
        Metropolis,
        HitAndRun,
        Polytope,
        Milp,
        Prescribed,
    )
}
"""The name of a strategy in the configuration, and the strategy."""

__all__ = [
    "ROOT_FINDERS",
    "ClosedForm",
    "HitAndRun",
    "Interpolation",
    "Line",
    "Metropolis",
    "Milp",
    "Polytope",
    "Prescribed",
    "Random",
    "RootChoice",
    "RootFinder",
]
