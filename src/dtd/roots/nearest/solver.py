"""Minima of linear and mixed-integer programs, by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dtd.roots.contract import Outcome
from dtd.roots.nearest.model import Model
from dtd.roots.nearest.target import Vector

if TYPE_CHECKING:
    from highspy import Highs

_SERIAL: dict[str, bool | str | float] = {
    "output_flag": False,
    "parallel": "off",
    "simplex_strategy": 1,
}
"""One thread: the answers do not depend on the machine."""
# Heuristics look for points that are nearer than the known root, and mostly there is none.
# Cuts below the root node cost more than the nodes that they save.
_PROOF: dict[str, bool | str | float] = {
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_allow_cut_separation_at_nodes": False,
}


@dataclass(frozen=True, eq=False)
class Minimum:
    """The best ``point`` that was found, all variables, and no cost is below ``bound``."""

    outcome: Outcome
    bound: float
    point: Vector | None


class Relaxation:
    """A model whose integers may be any numbers. Each minimum is sought from the last one."""

    def __init__(self, model: Model) -> None:
        self._size = len(model.low)
        # Presolve would forget where the last one is.
        self._solver = _loaded(model, integer=False, presolve="off")

    def minimum(self, columns: slice, cost: Vector) -> float:
        """The minimum of ``cost v``, v the variables of these columns; -inf where unknown."""
        whole = np.zeros(self._size)
        whole[columns] = cost
        outcome = _solve(self._solver, whole)
        known = outcome is Outcome.OPTIMAL
        return self._solver.getInfo().objective_function_value if known else -np.inf


def integer_minimum(model: Model, cost: Vector, gap: float, time_limit: float) -> Minimum:
    """The minimum of ``cost v``, to the relative ``gap``, in so many seconds."""
    from highspy import SolutionStatus

    solver = _loaded(model, integer=True, mip_rel_gap=gap, time_limit=time_limit, **_PROOF)
    outcome = _solve(solver, cost)
    info = solver.getInfo()
    feasible = info.primal_solution_status == SolutionStatus.kSolutionStatusFeasible
    point = np.array(solver.getSolution().col_value) if feasible else None
    # Without integers there is no tree, and the minimum itself is the bound.
    linear = outcome is Outcome.OPTIMAL and not model.integer.any()
    bound = info.objective_function_value if linear else info.mip_dual_bound
    return Minimum(outcome, bound, point)


def _loaded(model: Model, *, integer: bool, **options: bool | str | float) -> Highs:
    # Slow to import, and most runs have no program.
    from highspy import Highs, HighsLp, HighsVarType, MatrixFormat

    solver = Highs()  # type: ignore[no-untyped-call]
    for name, value in (_SERIAL | options).items():
        solver.setOptionValue(name, value)
    lp = HighsLp()
    lp.num_row_, lp.num_col_ = model.rows.shape
    lp.col_cost_ = np.zeros(lp.num_col_)
    lp.col_lower_, lp.col_upper_ = model.low, model.high
    lp.row_lower_, lp.row_upper_ = model.row_low, model.row_high
    held = model.rows != 0
    lp.a_matrix_.format_ = MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.append(0, held.sum(1).cumsum())
    lp.a_matrix_.index_ = held.nonzero()[1]
    lp.a_matrix_.value_ = model.rows[held]
    if integer:
        kinds = np.array([HighsVarType.kContinuous, HighsVarType.kInteger])
        lp.integrality_ = kinds[model.integer.astype(int)].tolist()
    solver.passModel(lp)
    return solver


def _solve(solver: Highs, cost: Vector) -> Outcome:
    from highspy import HighsModelStatus as Status

    solver.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
    solver.run()
    outcomes = {
        Status.kOptimal: Outcome.OPTIMAL,
        Status.kTimeLimit: Outcome.TIME_LIMIT,
        Status.kInfeasible: Outcome.INFEASIBLE,
    }
    return outcomes.get(solver.getModelStatus(), Outcome.FAILED)
