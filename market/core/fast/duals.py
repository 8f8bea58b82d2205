"""Prices of the rows that touch one bid only, those left out of the reduced problem included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.fast.finish import Settled
from market.core.fast.reduction import Local, Reduced
from market.core.network import KW_PER_MW
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import Programme


def own_duals(
    current: Programme,
    problem: Reduced,
    optimum: tuple[Settled, FloatArray],
    dual: dict[str, FloatArray],
) -> None:
    """Fill in the duals of local rows: those kept, then twins, then rows that became bounds."""
    local, twins, (found, x) = problem.local, problem.twins, optimum
    value = np.zeros(len(local.rhs))
    used = problem.chain_source >= 0
    value[problem.chain_source[used]] = found.y_own[used]
    spread(local, value, dual)
    left = _reduced_cost(current, dual)
    lower, upper = current.lower_kw / KW_PER_MW, current.upper_kw / KW_PER_MW
    # A twin's own reduced cost is zero unless its own bound holds; where both hold, they share.
    total = left[twins.gone] + left[twins.kept]
    gone_holds = np.where(
        total > 0, x[twins.gone] <= lower[twins.gone], x[twins.gone] >= upper[twins.gone]
    )
    kept_holds = np.where(
        total > 0, x[twins.kept] <= lower[twins.kept], x[twins.kept] >= upper[twins.kept]
    )
    own = np.where(gone_holds, np.where(kept_holds, 0.5 * total, total), 0.0)
    value[twins.row] = (left[twins.gone] - own) / twins.coefficient
    left[twins.gone], left[twins.kept] = own, total - own
    single = _singles(problem)
    left = left[single.column]
    at = x[single.column]
    holds = np.where(
        single.value > 0,
        (left < 0) & (at < upper[single.column]),
        (left > 0) & (at > lower[single.column]),
    )
    value[single.row[holds]] = left[holds] / single.value[holds]
    spread(local, value, dual)


def spread(local: Local, value: Any, found: dict[str, Any]) -> None:
    """Write values of the stacked local rows to their families."""
    start = 0
    for name, rows in zip(local.names, local.rows, strict=True):
        found[name][rows] = value[start : start + len(rows)]
        start += len(rows)


@dataclass(frozen=True)
class _Singles:
    row: IntArray
    column: IntArray
    value: FloatArray


def _singles(problem: Reduced) -> _Singles:
    """Return the at-most rows of one free column, one row per column: the tightest."""
    local = problem.local
    base = problem.programme
    is_free = base.upper_kw > base.lower_kw
    matrix = local.matrix.copy()
    matrix.data[~is_free[matrix.indices]] = 0.0
    matrix.eliminate_zeros()
    row = np.flatnonzero((np.diff(matrix.indptr) == 1) & ~local.is_equal)
    at = matrix.indptr[row]
    column, value = matrix.indices[at], matrix.data[at]
    room = (local.rhs - local.matrix @ problem.fixed)[row] / value
    order = np.lexsort((np.where(value > 0, room, -room), value < 0, column))
    marks = np.stack([column[order], value[order] < 0])
    first = np.ones(len(order), dtype=bool)
    first[1:] = (marks[:, 1:] != marks[:, :-1]).any(axis=0)
    chosen = order[first]
    return _Singles(row[chosen], column[chosen], value[chosen])


def _reduced_cost(current: Programme, dual: Mapping[str, FloatArray]) -> FloatArray:
    left = current.cost_jpy.copy()
    for name, rows in current.rows.items():
        if rows.matrix.nnz:
            left -= rows.matrix.T @ dual[name]
    return left
