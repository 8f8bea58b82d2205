r"""A corner of the optimal face, and the simplex basis that stands for it, from any optimal pair.

A fast road ends in the midst of the optimal faces, where no basis is. From there it is not far: by
complementary slackness every column of non-zero reduced cost stays at its bound. With these fixed
any solution of what is left is optimal, so a first simplex run only has to find a corner of a much
smaller problem. The bounds are then given back; the prices of that corner may not suit every column
that was fixed, which a primal simplex run mends in a few steps without leaving the optimum [1]_.

References
----------
.. [1] N. Megiddo, "On Finding Primal- and Dual-Optimal Bases", ORSA Journal on Computing 3, 1991.
"""

from __future__ import annotations

from typing import Final

import highspy
import numpy as np

from market.core.errors import SolverNumerical
from market.core.faces import Linear
from market.core.offers.terms import FloatArray

AT_BOUND: Final = 1e-9
NO_PRICE: Final = 1e-9
PRIMAL_SIMPLEX: Final = 4
CHOOSE_SIMPLEX: Final = 0


def cornered(solver: highspy.Highs, linear: Linear, x: FloatArray, y: FloatArray) -> None:
    """Leave `solver`, which holds the problem `linear`, with an optimal basis.

    Parameters
    ----------
    solver
        With the problem passed to it, columns and rows in the same order.
    linear
        The problem.
    x, y
        An optimal pair: columns (n,), and the change of the optimum per unit of right-hand side
        (m,).

    Raises
    ------
    SolverNumerical
        If a run does not end with an optimum; the solver is then as good as fresh.
    """
    reduced = linear.cost - linear.matrix.T @ y
    reach = AT_BOUND * np.maximum(1.0, np.abs(x))
    at_low, at_high = x <= linear.lower + reach, x >= linear.upper - reach
    stays = (at_low | at_high) & (np.abs(reduced) > NO_PRICE) & (linear.lower < linear.upper)
    held = np.flatnonzero(stays).astype(np.int32)
    value = np.where(at_high & ~at_low, linear.upper, linear.lower)[held]
    solver.changeColsBounds(len(held), held, value, value)
    _run(solver)
    basis = solver.getBasis()
    solver.changeColsBounds(len(held), held, linear.lower[held], linear.upper[held])
    basis.col_status = _resting(basis.col_status, held, at_high & ~at_low)
    solver.setBasis(basis)
    solver.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)
    try:
        _run(solver)
    finally:
        solver.setOptionValue("simplex_strategy", CHOOSE_SIMPLEX)


def _resting(
    status: list[highspy.HighsBasisStatus],
    held: np.ndarray[tuple[int], np.dtype[np.int32]],
    is_high: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> list[highspy.HighsBasisStatus]:
    """Return the statuses with fixed columns resting at the bound they were fixed at."""
    kind = highspy.HighsBasisStatus
    found = list(status)
    for column in held.tolist():
        if found[column] != kind.kBasic:
            found[column] = kind.kUpper if is_high[column] else kind.kLower
    return found


def _run(solver: highspy.Highs) -> None:
    solver.run()
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        solver.clearSolver()
        raise SolverNumerical(f"no corner was found: {status}")
