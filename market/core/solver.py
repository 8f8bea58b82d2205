"""The one place that calls a solver, and the taxonomy of how that can fail.

Work limits are counts (iterations, nodes), one thread and a fixed seed: the same problem takes
the same road every time. Wall-clock limits only ever kill the whole process, from outside.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import metadata
from typing import Final

import cvxpy as cp

from market.core.errors import (
    SolverFailed,
    SolverInfeasible,
    SolverLimit,
    SolverNumerical,
    SolverUnbounded,
)
from market.core.rules import ClearingRules

SOLVER_NAME: Final = "HiGHS"
COUNT_MAX: Final = 2**31 - 1  # the solver's counters are 32-bit
FEASIBILITY_TOLERANCE: Final = 1e-10  # the least the solver takes
QUADRATIC_TOLERANCE: Final = 1e-10
QUADRATIC_TOLERANCE_REDUCED: Final = 1e-7
STATIC_REGULARISATION: Final = 1e-12
DYNAMIC_REGULARISATION: Final = 1e-14
FAILURES: Final[dict[str, type[SolverFailed]]] = {
    cp.INFEASIBLE: SolverInfeasible,
    cp.settings.INFEASIBLE_OR_UNBOUNDED: SolverInfeasible,
    cp.UNBOUNDED: SolverUnbounded,
    cp.USER_LIMIT: SolverLimit,
}
GAP_TOLERANCE_KJPY: Final = 1e-9
SOLVED: Final = (cp.OPTIMAL,)


@dataclass(frozen=True)
class Outcome:
    """What a solve says beside the values left in the variables.

    Parameters
    ----------
    objective
        Value of the minimised objective, in the problem's own unit.
    bound
        Proven lower bound of that objective; equal to it for a linear problem.
    """

    objective: float
    bound: float


def solver_version() -> str:
    """Return the version of the solver that decides results."""
    return metadata.version("highspy")


def solve_linear(problem: cp.Problem, rules: ClearingRules) -> Outcome:
    """Solve a linear or mixed-integer problem to optimality, within the rules' work limits.

    Raises
    ------
    SolverFailed
        A subclass that says how; the variables' values are undefined then.
    """
    options: dict[str, object] = {
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "simplex_iteration_limit": min(rules.iteration_limit, COUNT_MAX),
        "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    }
    if problem.is_mixed_integer():
        options |= {
            "mip_max_nodes": min(rules.node_limit, COUNT_MAX),
            "mip_rel_gap": 0.0,
            "mip_abs_gap": GAP_TOLERANCE_KJPY,
            "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        }
    _run(problem, solver=cp.HIGHS, options=options)
    if not problem.is_mixed_integer():
        return Outcome(float(problem.value), float(problem.value))
    info = problem.solver_stats.extra_stats
    return Outcome(float(problem.value), min(float(info.mip_dual_bound), float(problem.value)))


def solve_quadratic(problem: cp.Problem) -> None:
    """Solve a small convex quadratic problem; its values come close to, not onto, the answer.

    Raises
    ------
    SolverFailed
        A subclass that says how.
    """
    options: dict[str, object] = {
        "tol_gap_abs": QUADRATIC_TOLERANCE,
        "tol_gap_rel": QUADRATIC_TOLERANCE,
        "tol_feas": QUADRATIC_TOLERANCE,
        "reduced_tol_gap_abs": QUADRATIC_TOLERANCE_REDUCED,
        "reduced_tol_gap_rel": QUADRATIC_TOLERANCE_REDUCED,
        "reduced_tol_feas": QUADRATIC_TOLERANCE_REDUCED,
        "static_regularization_constant": STATIC_REGULARISATION,
        "dynamic_regularization_eps": DYNAMIC_REGULARISATION,
        "max_threads": 1,
    }
    _run(problem, solver=cp.CLARABEL, options=options, accepted=(cp.OPTIMAL, cp.OPTIMAL_INACCURATE))


def _run(
    problem: cp.Problem,
    *,
    solver: str,
    options: dict[str, object],
    accepted: tuple[str, ...] = SOLVED,
) -> None:
    try:
        with warnings.catch_warnings():
            # An inaccurate answer is told by its status, which is read below.
            warnings.simplefilter("ignore")
            problem.solve(solver=solver, **options)
    except cp.SolverError as found:
        raise SolverNumerical(f"{solver} gave up: {found}") from found
    if problem.status not in accepted:
        failure = FAILURES.get(problem.status, SolverNumerical)
        raise failure(f"{solver} stopped with status {problem.status}")


def warm_up() -> None:
    """Solve a problem of one variable with each solver: the first auction then pays no import."""
    x = cp.Variable(1, bounds=[0.0, 1.0])
    _run(cp.Problem(cp.Minimize(cp.sum(x)), [x >= 0.0]), solver=cp.HIGHS, options={"threads": 1})
    _run(cp.Problem(cp.Minimize(cp.sum_squares(x))), solver=cp.CLARABEL, options={})
