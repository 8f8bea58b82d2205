"""The bare solver on the very matrices of a clearing: what the engine is measured against.

Nothing here decides a result.
"""

from __future__ import annotations

import highspy
import numpy as np

from accounts.core.errors import ensure
from market.core.clearing import Clearing, linear_of
from market.core.network import KW_PER_MW
from market.core.solver import FEASIBILITY_TOLERANCE


def raw_optimum_jpy(clearing: Clearing) -> float:
    """Solve a clearing's last linear problem with HiGHS alone, and return its optimum.

    Parameters
    ----------
    clearing
        As :func:`market.core.clearing.clear` returns it; without binaries, or with them fixed.

    Returns
    -------
    float
        Value of needs served less cost of bids accepted, as the engine's ``objective_jpy``.
    """
    linear = linear_of(clearing)
    matrix = linear.matrix.tocsc()
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
    model.col_cost_ = clearing.programme.cost_jpy
    model.col_lower_, model.col_upper_ = linear.lower, linear.upper
    model.row_upper_ = linear.rhs
    model.row_lower_ = np.where(linear.is_equal, linear.rhs, -highspy.kHighsInf)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = matrix.indptr
    model.a_matrix_.index_ = matrix.indices
    model.a_matrix_.value_ = matrix.data
    solver = highspy.Highs()
    for name, value in (
        ("output_flag", False),
        ("threads", 1),
        ("parallel", "off"),
        ("primal_feasibility_tolerance", FEASIBILITY_TOLERANCE),
        ("dual_feasibility_tolerance", FEASIBILITY_TOLERANCE),
    ):
        solver.setOptionValue(name, value)
    solver.passModel(model)
    solver.run()
    status = solver.getModelStatus()
    ensure(status == highspy.HighsModelStatus.kOptimal, f"the bare solver stopped with {status}")
    return -float(solver.getInfo().objective_function_value) * KW_PER_MW
