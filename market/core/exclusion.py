r"""Rows that hold because of two amounts one is zero, though linear problems do not know it.

For exclusive amounts with limits :math:`a` and :math:`b`, the hull of what either alone can be is

.. math:: \frac{x}{a} + \frac{y}{b} \le 1 .

Where an equality binds the two to a state, as :math:`\beta y - \alpha x + e_t - \kappa e_{t-1} = 0`
does for charge x and discharge y of a store, exclusion means :math:`\alpha x = \max(s, 0)` with
:math:`s = e_t - \kappa e_{t-1}`: a store that charges cannot have sold what it held. So with any
one term of s at its bound,

.. math:: \alpha x \le \bar e_t - \kappa e_{t-1}, \qquad
          \alpha x \le e_t - \kappa \underline{e}_{t-1}, \qquad \text{likewise for } \beta y .

The bounds are loosened where zero would not satisfy the row. None of these rows is part of the
problem; they only tighten its relaxation where a solution breaks them [1]_.

References
----------
.. [1] D. Pozo, "Convex hull formulations for linear modeling of energy storage systems", IEEE
   Transactions on Power Systems 38(6), 2023.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp

from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.programme import Programme
from market.core.rows import Rows

STATE_TERMS_MAX: Final = 4
"""Equalities with more columns are no equations of a state."""


def exclusion_rows(base: Programme) -> Rows:
    """Return all such rows of a problem's exclusive pairs; `keys` numbers them.

    Parameters
    ----------
    base
        The problem.
    """
    shared, state = _shared_limits(base), _states(base)
    matrix = sp.csr_array(sp.vstack([shared[0], state[0]], format="csr"))
    return Rows(
        matrix=matrix,
        rhs=np.concatenate([shared[1], state[1]]),
        is_equal=False,
        keys=np.arange(matrix.shape[0]),
    )


def _shared_limits(base: Programme) -> tuple[sp.csr_array, FloatArray]:
    """Return x + (a / b) y ≤ a for all pairs that can both be positive."""
    first, second = base.exclusive.first, base.exclusive.second
    first_kw, second_kw = first @ base.upper_kw, second @ base.upper_kw
    chosen = np.flatnonzero((first_kw > 0) & (second_kw > 0))
    ratio = sp.diags_array(first_kw[chosen] / second_kw[chosen])
    return sp.csr_array(first[chosen] + ratio @ second[chosen]), first_kw[chosen]


def _states(base: Programme) -> tuple[sp.csr_array, FloatArray]:
    """Return the rows that follow from equations of states, for pairs of single columns."""
    equations, rhs = _equations(base)
    first, second = base.exclusive.first, base.exclusive.second
    single = np.flatnonzero((np.diff(first.indptr) == 1) & (np.diff(second.indptr) == 1))
    ends = np.stack(
        [first.indices[first.indptr[single]], second.indices[second.indptr[single]]], axis=1
    )
    by_column = sp.csr_array(abs(equations).T)
    met = sp.coo_array(by_column[ends[:, 0]].multiply(by_column[ends[:, 1]]))
    entries: list[tuple[IntArray, FloatArray, float]] = []
    for pair, row in zip(met.coords[0].tolist(), met.coords[1].tolist(), strict=True):
        part = slice(equations.indptr[row], equations.indptr[row + 1])
        column, value = equations.indices[part], equations.data[part]
        is_pair = np.isin(column, ends[pair])
        if np.prod(value[is_pair]) < 0:
            for target in ends[pair]:
                entries += _of_target(base, (column, value, float(rhs[row])), is_pair, int(target))
    if not entries:
        return sp.csr_array((0, base.size)), np.zeros(0)
    number = np.repeat(np.arange(len(entries)), [len(entry[0]) for entry in entries])
    matrix = sp.csr_array(
        (
            np.concatenate([entry[1] for entry in entries]),
            (number, np.concatenate([entry[0] for entry in entries])),
        ),
        shape=(len(entries), base.size),
    )
    return matrix, np.array([entry[2] for entry in entries])


def _of_target(
    base: Programme, equation: tuple[IntArray, FloatArray, float], is_pair: BoolArray, target: int
) -> list[tuple[IntArray, FloatArray, float]]:
    """Return (columns, coefficients, limit) of the rows that bound one of a pair by its state."""
    column, value, rhs = equation
    sign = np.sign(value[column == target][0])
    value, rhs = sign * value, float(sign * rhs)
    is_target, others = column == target, np.flatnonzero(~is_pair)
    low = np.minimum(value * base.lower_kw[column], value * base.upper_kw[column])
    high = np.maximum(value * base.lower_kw[column], value * base.upper_kw[column])
    found = []
    for other in others:
        kept = is_target.copy()
        kept[others[others != other]] = True
        # Zero must satisfy the row whatever the states are: nothing may be forced by it.
        slack = max(-low[other], float(high[kept & ~is_target].sum()) - rhs)
        found.append((column[kept], value[kept], rhs + slack))
    return found


def _equations(base: Programme) -> tuple[sp.csr_array, FloatArray]:
    """Return the equalities of bids that have few columns."""
    chosen = [
        rows
        for name, rows in base.rows.items()
        if rows.is_equal and name.partition(".")[0] in base.forms
    ]
    if not chosen:
        return sp.csr_array((0, base.size)), np.zeros(0)
    matrix = sp.csr_array(sp.vstack([rows.matrix for rows in chosen], format="csr"))
    rhs = np.concatenate([rows.rhs for rows in chosen])
    is_short = np.diff(matrix.indptr) <= STATE_TERMS_MAX
    return sp.csr_array(matrix[is_short]), rhs[is_short]
