"""The bare solver on the very matrices of a clearing: what the engine is measured against.

Nothing here decides a result.
"""

from __future__ import annotations

import highspy
import numpy as np
import scipy.sparse as sp

from accounts.core.errors import ensure
from market.core.clearing import Clearing, linear_of, linear_problem
from market.core.faces import Linear
from market.core.integers import GAP_TOLERANCE_KJPY
from market.core.network import KW_PER_MW
from market.core.offers.terms import IntArray
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
    return _optimum_jpy(linear_of(clearing), np.zeros(0, dtype=np.int64))


def raw_mixed_optimum_jpy(clearing: Clearing) -> float:
    """Solve a clearing with its binaries free again, on the same rows, with HiGHS alone.

    Parameters
    ----------
    clearing
        As :func:`market.core.clearing.clear` returns it; pairs of which one amount must be zero
        are left out, so that it must not have needed a decision on any.
    """
    current = clearing.programme
    linear, _ = linear_problem(current, (current.lower_kw, current.upper_kw))
    return _optimum_jpy(linear, current.binary)


def _optimum_jpy(linear: Linear, binary: IntArray) -> float:
    count = np.ones(len(linear.cost))
    count[binary] = 1.0 / KW_PER_MW  # binaries count to one, everything else in thousands
    matrix = sp.csc_array(linear.matrix @ sp.diags_array(count))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
    model.col_cost_ = linear.cost * count
    model.col_lower_, model.col_upper_ = linear.lower / count, linear.upper / count
    model.row_upper_ = linear.rhs
    model.row_lower_ = np.where(linear.is_equal, linear.rhs, -highspy.kHighsInf)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = matrix.indptr
    model.a_matrix_.index_ = matrix.indices
    model.a_matrix_.value_ = matrix.data
    if len(binary):
        kinds = np.full(len(count), highspy.HighsVarType.kContinuous)
        kinds[binary] = highspy.HighsVarType.kInteger
        model.integrality_ = list(kinds)
    solver = highspy.Highs()
    for name, value in (
        ("output_flag", False),
        ("threads", 1),
        ("parallel", "off"),
        ("primal_feasibility_tolerance", FEASIBILITY_TOLERANCE),
        ("dual_feasibility_tolerance", FEASIBILITY_TOLERANCE),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", GAP_TOLERANCE_KJPY),
    ):
        solver.setOptionValue(name, value)
    solver.passModel(model)
    solver.run()
    status = solver.getModelStatus()
    ensure(status == highspy.HighsModelStatus.kOptimal, f"the bare solver stopped with {status}")
    return -float(solver.getInfo().objective_function_value) * KW_PER_MW
