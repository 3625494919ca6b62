"""Root searches: one contract, one strategy a file (theory, section 4)."""

from dtd_cli.roots.closed_form import ClosedForm
from dtd_cli.roots.contract import RootFinder
from dtd_cli.roots.line import LineSearch
from dtd_cli.roots.prescribed import Prescribed
from dtd_cli.roots.random_search import RandomSearch

ROOT_FINDERS: dict[str, type[RootFinder]] = {
    finder.name: finder for finder in (ClosedForm, RandomSearch, LineSearch, Prescribed)
}
"""The name of a strategy in the configuration, and the strategy."""

__all__ = ["ROOT_FINDERS", "RootFinder"]
