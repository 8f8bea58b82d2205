"""The one place that calls a solver, and the taxonomy of how that can fail.

Work limits are counts (iterations, nodes), one thread and a fixed seed: the same problem takes
the same road every time. Wall-clock limits only ever kill the whole process, from outside.

What a solver says is not taken for granted:

- *infeasible*, *unbounded* and *numerical* trouble go to the second solver, an interior point with
  crossover to a vertex; what comes out is checked by the certificate like everything else. Only
  where both say the same is it believed. An auction is never infeasible (doing nothing keeps every
  row, which :mod:`market.core.idle` proves without a solver) nor unbounded (every column has
  bounds): either is our bug.
- a *limit* of nodes may leave a solution that is good enough: it is handed on with its proven
  bound, and the gap decides. A limit of iterations leaves nothing to publish.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

import cvxpy as cp
import numpy as np

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
INTERIOR_ITERATION_MAX: Final = 1_000
CURVED_ITERATION_MAX: Final = 100_000
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
SOLUTION_FEASIBLE: Final = 2  # HiGHS's name for a point that keeps every row
SOLVED: Final = (cp.OPTIMAL,)
ALMOST_SOLVED: Final = (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
REPEATABLE: Final[Mapping[str, object]] = {"threads": 1, "parallel": "off", "random_seed": 0}
EXACT: Final[Mapping[str, object]] = {
    **REPEATABLE,
    "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
}
INTERIOR: Final[Mapping[str, object]] = {
    "solver": "ipm",
    "run_crossover": "on",
    "ipm_iteration_limit": INTERIOR_ITERATION_MAX,
}


@dataclass(frozen=True)
class Outcome:
    """What a solve says beside the values left in the variables.

    Parameters
    ----------
    objective
        Value of the minimised objective, in the problem's own unit.
    bound
        Proven lower bound of that objective; equal to it for a linear problem.
    is_limited
        Whether the node limit ended the search before the gap was closed: publishable only if the
        gap is within the rules.
    road
        Which solver answered.
    """

    objective: float
    bound: float
    is_limited: bool = False
    road: str = "simplex"


@dataclass(frozen=True)
class Road:
    """One way to solve a problem; `accepted` statuses count as solved."""

    name: str
    solver: str
    options: Mapping[str, object]
    accepted: tuple[str, ...] = SOLVED


def solver_version() -> str:
    """Return the version of the solver that decides results."""
    return metadata.version("highspy")


def solve_linear(
    problem: cp.Problem,
    rules: ClearingRules,
) -> Outcome:
    """Solve a linear or mixed-integer problem to optimality, within the rules' work limits.

    Parameters
    ----------
    problem
        To be minimised; its variables hold the answer afterwards.
    rules
        Work limits.

    Returns
    -------
    Outcome
        Optimal, or the best a node limit allowed (`is_limited`).

    Raises
    ------
    SolverInfeasible, SolverUnbounded
        Both solvers say so. Either would be our bug: see :mod:`market.core.idle`.
    SolverLimit
        The work limit was reached with nothing to show.
    SolverNumerical
        Both solvers failed, or contradict each other.
    """
    is_mixed = bool(problem.is_mixed_integer())
    first, second = _roads(rules, is_mixed=is_mixed)
    road = first
    try:
        solve_on(problem, first)
    except SolverLimit:
        if not (is_mixed and _has_solution(problem)):
            raise
        return _outcome(problem, first, is_mixed=True, is_limited=True)
    except SolverFailed as found:
        road = second
        try:
            _run_again(problem, second, found)
        except SolverUnbounded as again:
            raise SolverUnbounded(f"{again}; without bounds: {_open(problem)}") from again
    return _outcome(problem, road, is_mixed=is_mixed)


def _run_again(problem: cp.Problem, road: Road, found: SolverFailed) -> None:
    """Ask the second solver; only where both say the same of the problem is it believed."""
    try:
        solve_on(problem, road)
    except SolverLimit:
        raise
    except SolverFailed as again:
        said = f"{found}; then {again}"
        agreed = type(again) if type(again) is type(found) else SolverNumerical
        raise agreed(said) from again


def _open(problem: cp.Problem) -> str:
    """Return the names of the variables that lack a finite bound."""
    names = [v.name() for v in problem.variables() if not np.isfinite(v.get_bounds()).all()]
    return ", ".join(names) or "none"


def _roads(rules: ClearingRules, *, is_mixed: bool) -> tuple[Road, Road]:
    """Return the first and the second way to solve within the rules' limits."""
    limits: dict[str, object] = {
        "simplex_iteration_limit": min(rules.iteration_limit, COUNT_MAX),
    }
    if not is_mixed:
        first = Road("simplex", cp.HIGHS, {**EXACT, **limits})
        return first, Road("interior point", cp.HIGHS, {**EXACT, **limits, **INTERIOR})
    limits |= {
        "mip_max_nodes": min(rules.node_limit, COUNT_MAX),
        "mip_rel_gap": 0.0,
        "mip_abs_gap": GAP_TOLERANCE_KJPY,
        "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    }
    first = Road("branch and bound", cp.HIGHS, {**EXACT, **limits})
    plain = {"presolve": "off", "mip_heuristic_effort": 0.0}
    return first, Road("branch and bound, unreduced", cp.HIGHS, {**EXACT, **limits, **plain})


def _outcome(
    problem: cp.Problem, road: Road, *, is_mixed: bool, is_limited: bool = False
) -> Outcome:
    objective = float(problem.value)
    bound = objective
    if is_mixed:
        bound = min(float(problem.solver_stats.extra_stats.mip_dual_bound), objective)
    return Outcome(objective, bound, is_limited=is_limited, road=road.name)


def _has_solution(problem: cp.Problem) -> bool:
    """Return whether a limit left a feasible point in the variables."""
    statistics = problem.solver_stats
    if statistics is None or problem.value is None or not np.isfinite(problem.value):
        return False
    found = statistics.extra_stats
    return bool(found.primal_solution_status == SOLUTION_FEASIBLE and np.isfinite(found.mip_gap))


def convex_roads(problem: cp.Problem) -> list[Road]:
    """Return the ways to solve a linear or convex quadratic problem, the most exact first."""
    if problem.is_lp():
        return [
            Road("simplex", cp.HIGHS, EXACT),
            Road("interior point", cp.HIGHS, {**EXACT, **INTERIOR}),
        ]
    close = {f"tol_{name}": QUADRATIC_TOLERANCE for name in ("gap_abs", "gap_rel", "feas")}
    active: dict[str, object] = {
        **EXACT,
        "qp_iteration_limit": CURVED_ITERATION_MAX,
        # what the solver adds to the Hessian for its own comfort would be seen in the answer
        "qp_regularization_value": 0.0,
    }
    return [
        Road("active set", cp.HIGHS, active),
        Road("interior point", cp.CLARABEL, {**close, "max_threads": 1}, ALMOST_SOLVED),
        Road("interior point, coarse", cp.CLARABEL, {"max_threads": 1}, ALMOST_SOLVED),
    ]


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
    solve_on(problem, Road("interior point", cp.CLARABEL, options, ALMOST_SOLVED))


def solve_on(problem: cp.Problem, road: Road) -> None:
    """Solve on one road; the answer is left in the variables.

    Raises
    ------
    SolverFailed
        A subclass that says how.
    """
    try:
        with warnings.catch_warnings():
            # An inaccurate answer is told by its status, which is read below.
            warnings.simplefilter("ignore")
            # nested, because one of the solver's own options is called "solver"
            nested = road.solver == cp.HIGHS
            options = {"highs_options": dict(road.options)} if nested else road.options
            problem.solve(solver=road.solver, **options)
    except cp.SolverError as found:
        raise SolverNumerical(f"{road.solver} ({road.name}) gave up: {found}") from found
    if problem.status not in road.accepted:
        failure = FAILURES.get(problem.status, SolverNumerical)
        raise failure(f"{road.solver} ({road.name}) stopped with status {problem.status}")


def warm_up() -> None:
    """Solve a problem of one variable with each solver: the first auction then pays no import."""
    x = cp.Variable(1, bounds=[0.0, 1.0])
    solve_on(
        cp.Problem(cp.Minimize(cp.sum(x)), [x >= 0.0]), Road("simplex", cp.HIGHS, {"threads": 1})
    )
    solve_on(cp.Problem(cp.Minimize(cp.sum_squares(x))), Road("interior point", cp.CLARABEL, {}))
