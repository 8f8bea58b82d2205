r"""The one optimum that is published, out of the many a linear problem may have.

For :math:`\min c^\top x` with :math:`Ax = b` or :math:`\le b` and bounds, any optimal pair
:math:`(x^*, y^*)` describes both optimal faces by complementary slackness:

- every optimal :math:`y` prices columns strictly inside their bounds at zero, the others with the
  sign of their bound, and leaves slack rows at zero;
- every optimal :math:`x` has its columns of non-zero reduced cost at their bound, and rows of
  non-zero dual tight.

On the dual face the point of least :math:`\sum_i v_i y_i^2` is taken, on the primal face the point
of least :math:`\sum_j w_j x_j^2`: each is unique in what it weighs, so it depends neither on the
order of the input nor on the road of the solver. Most auctions have few degenerate corners, so
only the connected parts of the problem that have freedom left are solved again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from market.core.errors import SolverFailed
from market.core.offers.terms import FloatArray
from market.core.solver import solve_quadratic

BoolArray = NDArray[np.bool_]

AT_BOUND: Final = 1e-9
ZERO_PRICE: Final = 1e-8
SNAPS: Final = (1e-5, 1e-6, 0.0)
ACCEPTED: Final = 1e-10
MARK_DIGITS: Final = 9
PRIVATE_WEIGHT_RATIO: Final = 1e-6
PRIVATE_RATIOS: Final = (0.0, 1e-9, 1e-6)
"""Weights tried in turn for duals that are nobody's price; more of it steadies the solver."""
PROJECTION_COUNT_MAX: Final = 5
REFINEMENT_COUNT: Final = 3
POLISHED: Final = 1e-12
POLISH_COUNT_MAX: Final = 3
REGULARISATION: Final = 1e-11


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear problem in the solver's units: rows first equal, then at most, as flagged."""

    matrix: sp.csr_array
    rhs: FloatArray
    is_equal: BoolArray
    lower: FloatArray
    upper: FloatArray
    cost: FloatArray


@dataclass(frozen=True)
class _Position:
    """Where an optimal pair stands: which bounds it touches, which prices are zero."""

    is_low: BoolArray
    is_high: BoolArray
    is_inside: BoolArray
    is_tight: BoolArray
    reduced_cost: FloatArray


def _position(linear: Linear, x: FloatArray, y: FloatArray) -> _Position:
    reach = AT_BOUND * np.maximum(1.0, np.abs(x))
    is_low, is_high = x <= linear.lower + reach, x >= linear.upper - reach
    left = linear.rhs - linear.matrix @ x
    return _Position(
        is_low=is_low,
        is_high=is_high,
        is_inside=~is_low & ~is_high,
        is_tight=linear.is_equal | (left <= AT_BOUND * np.maximum(1.0, np.abs(linear.rhs))),
        reduced_cost=linear.cost - linear.matrix.T @ y,
    )


def least_dual(
    linear: Linear,
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    *,
    moves: BoolArray | None = None,
) -> FloatArray:
    """Return the dual-optimal point of least weighted sum of squares.

    Parameters
    ----------
    linear
        The problem, m rows and n columns.
    x, y
        Any optimal pair; ``y`` is the change of the optimum per unit of right-hand side.
    weight
        Weight of each row in the sum, (m,); zero for duals that are nobody's price.
    moves
        Rows whose dual is known not to be the same in every optimum, (m,); found here if not.
    """
    at = _position(linear, x, y)
    if moves is not None:
        moving = np.flatnonzero(moves & at.is_tight)
        if not weight[moving].any():
            return y
        return _dual_point(linear, at, moving, y, weight)
    rows = np.flatnonzero(at.is_tight)
    inside = np.flatnonzero(at.is_inside)
    linked = abs(linear.matrix[rows][:, inside])
    labels = _components(linked)
    row_label, column_label = labels[: len(rows)], labels[len(rows) :]
    total = int(labels.max(initial=-1)) + 1
    spare = np.bincount(row_label, minlength=total) - np.bincount(column_label, minlength=total)
    moving = rows[spare[row_label] > 0]
    moving = moving[weight[moving] >= 0]
    if len(moving) == 0 or not weight[moving].any():
        return y
    return _dual_point(linear, at, moving, y, weight)


def _dual_point(
    linear: Linear, at: _Position, moving: NDArray[np.int64], y: FloatArray, weight: FloatArray
) -> FloatArray:
    fixed = y.copy()
    fixed[moving] = 0.0
    part = linear.matrix[moving].T.tocsr()  # (n, moving)
    touched = np.flatnonzero(np.diff(part.indptr))
    left = (linear.cost - linear.matrix.T @ fixed)[touched]
    part = part[touched]
    inside = at.is_inside[touched]
    is_box = at.is_low[touched] & at.is_high[touched]
    low = at.is_low[touched] & ~is_box
    high = at.is_high[touched] & ~is_box
    signed = ~linear.is_equal[moving]
    # z = left − part y, zero inside, ≥ 0 at the lower bound, ≤ 0 at the upper; y ≤ 0 on "at most".
    equal, equal_rhs = part[inside], left[inside]
    identity = sp.eye_array(len(moving), format="csr")[np.flatnonzero(signed)]
    most = sp.vstack([part[low], -part[high], identity], format="csr")
    most_rhs = np.concatenate([left[low], -left[high], np.zeros(int(signed.sum()))])
    found = _least_point(
        equal,
        equal_rhs,
        most,
        most_rhs,
        weight=weight[moving],
        start=y[moving],
    )
    result = y.copy()
    result[moving] = found
    return result


def least_primal(linear: Linear, x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the primal-optimal point of least weighted sum of squares.

    With ``weight = 1 / offered`` equal offers share in the ratio of what they offer.

    Parameters
    ----------
    linear, x, y
        As in :func:`least_dual`.
    weight
        Weight of each column in the sum, (n,).
    """
    at = _position(linear, x, y)
    free = np.flatnonzero((np.abs(at.reduced_cost) <= ZERO_PRICE) & (linear.upper > linear.lower))
    is_priced = linear.is_equal | (np.abs(y) > ZERO_PRICE)
    tight = np.flatnonzero(is_priced)
    loose = np.flatnonzero(~is_priced & at.is_tight)
    labels = _components(abs(linear.matrix[tight][:, free]))
    column_label = labels[len(tight) :]
    total = int(labels.max(initial=-1)) + 1
    has_freedom = np.zeros(total, dtype=bool)
    has_freedom[column_label[~at.is_inside[free]]] = True
    touching = linear.matrix[loose][:, free]
    has_freedom[column_label[np.unique(touching.indices)]] = True
    moving = free[has_freedom[column_label]]
    if len(moving) == 0 or not weight[moving].any():
        return x
    fixed = x.copy()
    fixed[moving] = 0.0
    part = linear.matrix[:, moving].tocsr()
    left = linear.rhs - linear.matrix @ fixed
    touched = np.flatnonzero(np.diff(part.indptr))
    held = touched[is_priced[touched]]
    bound = touched[~is_priced[touched]]
    identity = sp.eye_array(len(moving), format="csr")
    most = sp.vstack([part[bound], identity, -identity], format="csr")
    most_rhs = np.concatenate([left[bound], linear.upper[moving], -linear.lower[moving]])
    private = PRIVATE_WEIGHT_RATIO * weight[moving].max()
    found = _least_point(
        part[held],
        left[held],
        most,
        most_rhs,
        weight=np.maximum(weight[moving], private),
        start=x[moving],
    )
    result = x.copy()
    result[moving] = found
    return result


def polished(linear: Linear, x: FloatArray) -> FloatArray:
    """Return a point within its bounds, moved onto the rows it misses by a solver's tolerance.

    Bounds are met exactly, by cutting off what lies beyond them; what that leaves of the rows is
    taken up by the columns inside their bounds, by as little as possible. If it can not be, the
    point within the bounds is returned.
    """
    best = np.clip(x, linear.lower, linear.upper)
    worst = _row_excess(linear, best)
    for _ in range(POLISH_COUNT_MAX):
        if worst.max(initial=0.0) <= POLISHED:
            break
        reach = AT_BOUND * np.maximum(1.0, np.abs(best))
        inside = np.flatnonzero((best > linear.lower + reach) & (best < linear.upper - reach))
        left = linear.rhs - linear.matrix @ best
        rows = np.flatnonzero(linear.is_equal | (left <= AT_BOUND))
        missing = np.where(linear.is_equal, left, np.minimum(left, 0.0))[rows]
        moved = best.copy()
        moved[inside] += _least_correction(linear.matrix[rows][:, inside].tocsr(), missing)
        moved = np.clip(moved, linear.lower, linear.upper)
        found = _row_excess(linear, moved)
        if not found.max(initial=0.0) < worst.max(initial=0.0):
            break
        best, worst = moved, found
    return np.asarray(best)


def _row_excess(linear: Linear, x: FloatArray) -> FloatArray:
    """Return by how much each row is missed, (m,)."""
    left = linear.rhs - linear.matrix @ x
    return np.asarray(np.where(linear.is_equal, np.abs(left), np.maximum(-left, 0.0)))


def _components(linked: sp.csr_array) -> NDArray[np.int64]:
    """Return the part of the bipartite graph each row, then each column, belongs to."""
    graph = sp.block_array([[None, linked], [linked.T, None]], format="csr")
    if 0 in linked.shape:
        return np.arange(sum(linked.shape))
    return np.asarray(connected_components(graph, directed=False)[1])


def _least_point(
    equal: sp.csr_array,
    equal_rhs: FloatArray,
    most: sp.csr_array,
    most_rhs: FloatArray,
    *,
    weight: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Return the point of ``equal v = rhs, most v <= rhs`` of least weighted squares.

    The step away from `start` (a point of the face) is sought, so that the constraints have small
    right-hand sides. The interior-point answer is close, not exact: it is moved onto the equations
    and the inequalities it touches, which puts it on the face to the last digits. Should that
    fail, `start` stays: it is optimal too, only not the least.
    """
    most, room = _distinct(most, np.maximum(most_rhs - most @ start, 0.0))
    near_rows = room <= _reach(most, weight, start)
    everything = np.ones(len(room), dtype=bool)
    for rows, private in ((near_rows, 0.0), *((everything, ratio) for ratio in PRIVATE_RATIOS)):
        near = _near_point(equal, (most[rows], room[rows]), weight, private, start)
        if near is None or (most @ near > room)[~rows].any():
            continue
        for snap in SNAPS:
            exact = _onto(equal, equal_rhs - equal @ start, most, room, near, snap)
            if exact is not None:
                return np.asarray(start + exact)
    return start


def _reach(most: sp.csr_array, weight: FloatArray, start: FloatArray) -> FloatArray:
    """Return how far a step to the least point can move each row at most, (k,).

    The least point is no longer than the start; for what has no weight this is a guess, and the
    answer is held against all rows afterwards.
    """
    longest = float(np.sqrt(weight @ start**2) / np.sqrt(weight[weight > 0].min()))
    return np.asarray(2.0 * max(longest, 1.0) * abs(most).sum(axis=1))


def _near_point(
    equal: sp.csr_array,
    most: tuple[sp.csr_array, FloatArray],
    weight: FloatArray,
    private: float,
    start: FloatArray,
) -> FloatArray | None:
    """Return the interior-point answer: the step to the least point, or ``None``."""
    step = cp.Variable(len(start))
    scale = np.sqrt(np.maximum(weight, private * weight.max()))
    constraints = [equal @ step == 0.0] if equal.shape[0] else []
    if most[0].shape[0]:
        constraints.append(most[0] @ step <= most[1])
    squares = cp.sum_squares(cp.multiply(scale, step + start))
    try:
        solve_quadratic(cp.Problem(cp.Minimize(squares), constraints))
    except SolverFailed:
        return None
    return np.asarray(step.value, dtype=np.float64)


def _distinct(most: sp.csr_array, room: FloatArray) -> tuple[sp.csr_array, FloatArray]:
    """Keep the tightest of rows with equal coefficients: most offers differ in their ask only."""
    along = np.arange(most.shape[1])
    marks = np.stack([most @ np.cos(along + 0.5), most @ np.sin(1.7 * along + 0.3)], axis=1)
    order = np.lexsort((room, *np.round(marks, MARK_DIGITS).T))
    ordered = np.round(marks, MARK_DIGITS)[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    kept = np.sort(order[is_first])
    return most[kept], room[kept]


def _onto(
    equal: sp.csr_array,
    equal_rhs: FloatArray,
    most: sp.csr_array,
    room: FloatArray,
    near: FloatArray,
    snap: float,
) -> FloatArray | None:
    """Move a point onto the equations and onto the inequalities it touches or breaks."""
    point, held = near, np.zeros(len(room), dtype=bool)
    for _ in range(PROJECTION_COUNT_MAX):
        held |= room - most @ point <= snap
        matrix = sp.vstack([equal, most[held]], format="csr")
        point = near + _least_correction(
            matrix, np.concatenate([equal_rhs, room[held]]) - matrix @ near
        )
        off = np.max(np.abs(equal @ point - equal_rhs), initial=0.0)
        if max(off, np.max(most @ point - room, initial=0.0)) <= ACCEPTED:
            return np.asarray(point)
    return None


def _least_correction(matrix: sp.csr_array, residual: FloatArray) -> FloatArray:
    """Return the smallest change that removes the residual, dependent rows allowed."""
    rows, columns = matrix.shape
    change = np.zeros(columns)
    if rows == 0:
        return change
    system = sp.block_array(
        [[sp.eye_array(columns), matrix.T], [matrix, -REGULARISATION * sp.eye_array(rows)]],
        format="csc",
    )
    lu = splu(system)
    for _ in range(REFINEMENT_COUNT):
        left = residual - matrix @ change
        change = change + lu.solve(np.concatenate([np.zeros(columns), left]))[:columns]
    return change
