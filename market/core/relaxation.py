"""The linear relaxation of a clearing, held in one solver that starts each time where it stopped.

Changing bounds or adding rows leaves the last basis dual feasible, so that the dual simplex needs
few iterations from there. Nothing here decides a price: those come from the problem that is left
when all integers are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import highspy
import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from market.core.errors import SolverNumerical
from market.core.network import KW_PER_MW
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.programme import LAZY_ROWS, Programme, with_lazy_rows
from market.core.rows import Rows
from market.core.solver import FEASIBILITY_TOLERANCE

SHARE_MOST: Final = 1.0
"""Columns that reach no further are shares and decisions, which stay in their own unit."""
ANSWERS: Final = (
    highspy.HighsModelStatus.kOptimal,
    highspy.HighsModelStatus.kInfeasible,
    highspy.HighsModelStatus.kObjectiveBound,
)


@dataclass(frozen=True)
class Point:
    """Solution of one linear problem.

    Parameters
    ----------
    cost_kjpy
        Its value.
    x_kw
        All columns, (n,).
    reduced_kjpy
        Change of the value per unit of each column, beyond what rows tell, (n,). [kJPY/unit]
    """

    cost_kjpy: float
    x_kw: FloatArray
    reduced_kjpy: FloatArray


class Relaxation:
    """A clearing without its integers.

    Parameters
    ----------
    base
        The problem, without lazy rows.
    keys
        Lazy rows to begin with.
    order
        Pairs of columns of which the second may not exceed the first, (k, 2).
    is_implied
        Columns whose own (lower, upper) bounds other rows imply already; they are left out.
    """

    def __init__(
        self,
        base: Programme,
        keys: Mapping[str, IntArray],
        order: IntArray,
        is_implied: tuple[BoolArray, BoolArray],
    ) -> None:
        self.base = base
        self.keys = dict(keys)
        self.solve_count = self.iteration_count = 0
        self._is_implied = is_implied
        reach = np.maximum(np.abs(base.lower_kw), np.abs(base.upper_kw))
        unit_kw = np.where(reach <= SHARE_MOST, 1.0, KW_PER_MW)
        self._of = _merged(base, unit_kw)
        self._count = int(self._of.max(initial=-1)) + 1
        self._spread = sp.csr_array(
            (unit_kw, (np.arange(base.size), self._of)), shape=(base.size, self._count)
        )
        self._lower_kw, self._upper_kw = base.lower_kw.copy(), base.upper_kw.copy()
        self._solver = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("parallel", "off"),
            ("random_seed", 0),
            ("primal_feasibility_tolerance", FEASIBILITY_TOLERANCE),
            ("dual_feasibility_tolerance", FEASIBILITY_TOLERANCE),
        ):
            self._solver.setOptionValue(name, value)
        self._solver.passModel(self._columns())
        for rows in with_lazy_rows(base, keys).rows.values():
            self.add_rows(rows)
        first, second = order.T
        row, one = np.arange(len(order)), np.ones(len(order))
        matrix = sp.csr_array(
            (np.r_[one, -one], (np.r_[row, row], np.r_[second, first])),
            shape=(len(order), base.size),
        )
        self.add_rows(Rows(matrix=matrix, rhs=np.zeros(len(order)), is_equal=False, keys=row))

    def _columns(self) -> highspy.HighsLp:
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self._count, 0
        model.col_cost_ = self._spread.T @ self.base.cost_jpy / KW_PER_MW
        model.col_lower_, model.col_upper_ = self._bounds()
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_ = np.zeros(self._count + 1, dtype=np.int32)
        return model

    def _bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the bounds of the solver's columns, in its units."""
        # Implied is what the book offers; a bound that a decision moved binds by itself alone.
        no_lower = self._is_implied[0] & (self._lower_kw == self.base.lower_kw)
        no_upper = self._is_implied[1] & (self._upper_kw == self.base.upper_kw)
        lower = np.full(self._count, -highspy.kHighsInf)
        upper = np.full(self._count, highspy.kHighsInf)
        unit_kw = self._spread.data
        np.maximum.at(lower, self._of, np.where(no_lower, -np.inf, self._lower_kw / unit_kw))
        np.minimum.at(upper, self._of, np.where(no_upper, np.inf, self._upper_kw / unit_kw))
        return lower, upper

    def add_rows(self, rows: Rows) -> None:
        """Add rows that are part of the problem, or follow from its integers."""
        if len(rows.rhs) == 0:
            return
        matrix = sp.csr_array(rows.matrix @ self._spread)
        matrix.eliminate_zeros()
        kept = np.flatnonzero(np.diff(matrix.indptr))
        if len(kept) == 0:
            return
        matrix, rhs = sp.csr_array(matrix[kept]), rows.rhs[kept]
        matrix.sort_indices()
        size = sp.csr_array(abs(rows.matrix[kept]) > 0) @ sp.diags_array(self._spread.data)
        scale = np.maximum(size.max(axis=1).toarray().ravel(), 1.0)
        matrix = sp.csr_array(sp.diags_array(1.0 / scale) @ matrix)
        right = rhs / scale
        left = right if rows.is_equal else np.full(len(kept), -highspy.kHighsInf)
        self._solver.addRows(
            len(kept),
            left,
            right,
            matrix.nnz,
            matrix.indptr[:-1].astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data,
        )

    def add(self, keys: Mapping[str, IntArray]) -> None:
        """Add lazy rows of keys not there yet."""
        new = {name: np.setdiff1d(keys[name], self.keys[name]) for name in LAZY_ROWS}
        found = with_lazy_rows(self.base, new).rows
        for name in LAZY_ROWS:
            self.add_rows(found[name])
            self.keys[name] = np.union1d(self.keys[name], new[name])

    def bound(self, lower_kw: FloatArray, upper_kw: FloatArray) -> None:
        """Set the bounds of all columns."""
        before = self._bounds()
        self._lower_kw, self._upper_kw = lower_kw, upper_kw
        lower, upper = self._bounds()
        changed = np.flatnonzero((lower != before[0]) | (upper != before[1]))
        if len(changed):
            self._solver.changeColsBounds(
                len(changed), changed.astype(np.int32), lower[changed], upper[changed]
            )

    @property
    def basis(self) -> Any:
        """Return the basis the next solve starts from."""
        return self._solver.getBasis()

    @basis.setter
    def basis(self, basis: Any) -> None:
        missing = self._solver.getNumRow() - len(basis.row_status)
        if missing:
            # Rows added since then do not bind yet.
            added = [highspy.HighsBasisStatus.kBasic] * missing
            basis.row_status = [*basis.row_status, *added]
        self._solver.setBasis(basis)

    def solve(self, most_kjpy: float = highspy.kHighsInf) -> Point | None:
        """Solve; return ``None`` if the value is above `most_kjpy`, or there is no solution.

        Raises
        ------
        SolverNumerical
            If the solver ends without a proof of either.
        """
        self._solver.setOptionValue("objective_bound", most_kjpy)
        status = self._run()
        if status not in ANSWERS:
            # A start from nothing takes another road, and presolves.
            self._solver.clearSolver()
            status = self._run()
        if status not in ANSWERS:
            raise SolverNumerical(f"a relaxation stopped with status {status}")
        if status != highspy.HighsModelStatus.kOptimal:
            return None
        found = self._solver.getSolution()
        return Point(
            cost_kjpy=float(self._solver.getInfo().objective_function_value),
            x_kw=self._spread @ np.array(found.col_value),
            reduced_kjpy=np.array(found.col_dual)[self._of],
        )

    def _run(self) -> Any:
        self._solver.run()
        self.solve_count += 1
        self.iteration_count += max(0, self._solver.getInfo().simplex_iteration_count)
        return self._solver.getModelStatus()


def _merged(base: Programme, unit_kw: FloatArray) -> IntArray:
    """Return a number for each column, the same for columns that equalities make the same.

    A shift with one offer and one destination places what it offers, for instance.
    """
    links = []
    for rows in base.rows.values():
        if rows.is_equal and rows.matrix.shape[0]:
            matrix = rows.matrix
            pair = np.flatnonzero((np.diff(matrix.indptr) == 2) & (rows.rhs == 0))  # noqa: PLR2004
            at = matrix.indptr[pair]
            column = np.stack([matrix.indices[at], matrix.indices[at + 1]], axis=1)
            opposed = matrix.data[at] == -matrix.data[at + 1]
            same_unit = unit_kw[column[:, 0]] == unit_kw[column[:, 1]]
            links.append(column[opposed & same_unit])
    joined = np.concatenate([*links, np.zeros((0, 2), dtype=np.int64)])
    graph = sp.csr_array(
        (np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(base.size, base.size)
    )
    return np.asarray(connected_components(graph, directed=False)[1])
