"""Root search: one contract, one strategy a file."""

from dtd_cli.roots.closed_form import ClosedForm
from dtd_cli.roots.contract import RootFinder
from dtd_cli.roots.hit_and_run import HitAndRun
from dtd_cli.roots.interpolation import Interpolation
from dtd_cli.roots.line import LineSearch
from dtd_cli.roots.metropolis import Metropolis
from dtd_cli.roots.milp import Milp
from dtd_cli.roots.polytope import PolytopeSearch
from dtd_cli.roots.prescribed import Prescribed
from dtd_cli.roots.random_search import RandomSearch

ROOT_FINDERS: dict[str, type[RootFinder]] = {
    finder.name: finder
    for finder in (
        ClosedForm,
        LineSearch,
        RandomSearch,
        Interpolation,
        Metropolis,
        HitAndRun,
        PolytopeSearch,
        Milp,
        Prescribed,
    )
}
"""The name of a strategy in the configuration, and the strategy."""

__all__ = ["ROOT_FINDERS", "RootFinder"]
