"""Clear again what differs in numbers: one solver kept, with its basis and its network rows.

Costs, quantities, needs and limits may change from run to run at no other cost than new simplex
iterations. Where the shape changes too, the run starts anew. The optimum is the cold one's; which
of several equally good ones, and which of several possible prices, is not settled here: published
results come from :func:`market.core.clearing.clear`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import highspy
import numpy as np
import scipy.sparse as sp

from accounts.core.errors import BrokenInvariant
from market.core.clearing import ROUND_COUNT_MAX, Clearing, broken_rows, linear_problem
from market.core.corner import cornered
from market.core.errors import SolverNumerical
from market.core.faces import Linear
from market.core.network import KW_PER_MW
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import LAZY_ROWS, Programme, programme, with_lazy_rows
from market.core.snapshot import Snapshot
from market.core.solver import COUNT_MAX, EXACT

NEAR_RATIO: Final = 0.98
FAMILY_STRIDE: Final = 1 << 40
"""Rows are known by the number of their family times this, plus their key."""
NO_ROWS: Final[Mapping[str, IntArray]] = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}


class Rerun:
    """A solver that remembers: basis, factors of the network, and the rows that ever mattered."""

    def __init__(self) -> None:
        self._solver = highspy.Highs()
        for name, value in {**EXACT, "output_flag": False}.items():
            self._solver.setOptionValue(name, value)
        self._keys: dict[str, IntArray] = dict(NO_ROWS)
        self._last: Programme | None = None
        self._rows = np.zeros(0, dtype=np.int64)
        self._matrix = sp.csr_array((0, 0))

    @property
    def iteration_count(self) -> int:
        """Return the simplex iterations of the last solve."""
        return int(self._solver.getInfo().simplex_iteration_count)

    def clear(self, snapshot: Snapshot) -> Clearing:
        """Return an optimum of an auction without integers, unrounded and unsettled in ties.

        Parameters
        ----------
        snapshot
            Any; those before with the same network and columns make it cheap.

        Raises
        ------
        SolverFailed
            If the solver ends without an optimum within the rules' iterations.
        """
        return self.solve(self._composed(snapshot))

    def adopt(self, found: Clearing) -> None:
        """Start from a clearing without integers, by whatever road it was found.

        Its optimum is turned into a basis, which takes a while: best done when nobody waits.

        Raises
        ------
        SolverNumerical
            If no basis is found; the next run then starts cold.
        """
        current = found.programme
        self._last = current
        self._keys = {name: current.rows[name].keys for name in LAZY_ROWS}
        linear, slices = linear_problem(current, (found.lower_kw, found.upper_kw))
        self._passed(linear, _row_names(current))
        y = np.concatenate([found.dual_jpy_per_kw[name] for name in slices])
        cornered(self._solver, linear, found.x_kw / KW_PER_MW, y)

    def solve(self, base: Programme) -> Clearing:
        """Return an optimum of a problem that is composed already; see :meth:`clear`.

        Parameters
        ----------
        base
            Without lazy rows; perhaps one of before with other bounds and costs.
        """
        limit = min(base.snapshot.rules.iteration_limit, COUNT_MAX)
        self._solver.setOptionValue("simplex_iteration_limit", limit)
        for number in range(ROUND_COUNT_MAX):
            current = with_lazy_rows(base, self._keys)
            linear, slices = linear_problem(current, (base.lower_kw, base.upper_kw))
            at = self._solve(linear, _row_names(current), has_new_numbers=number == 0)
            solution = self._solver.getSolution()
            x_kw = np.clip(solution.col_value, linear.lower, linear.upper) * KW_PER_MW
            broken = broken_rows(current, x_kw)
            if not any(map(len, broken.values())):
                y = np.array(solution.row_dual)[at]
                worth_jpy = -float(current.cost_jpy @ x_kw)
                return Clearing(
                    programme=current,
                    x_kw=x_kw,
                    dual_jpy_per_kw={name: y[part] for name, part in slices.items()},
                    lower_kw=base.lower_kw,
                    upper_kw=base.upper_kw,
                    objective_jpy=worth_jpy,
                    bound_jpy=worth_jpy,
                )
            near = _near_rows(current, x_kw)
            self._keys = {
                name: np.unique(np.concatenate([current.rows[name].keys, broken[name], near[name]]))
                for name in self._keys
            }
        raise BrokenInvariant("network rows come from a finite set, yet they did not end")

    def _composed(self, snapshot: Snapshot) -> Programme:
        last = self._last
        is_known = last is not None and is_same_grid(last.snapshot, snapshot)
        flows = last.sensitivity if last is not None and is_known else None
        self._last = programme(snapshot, flows=flows)
        if not is_known:
            self._keys, self._rows = dict(NO_ROWS), self._rows[:0]
        return self._last

    def _solve(self, linear: Linear, rows: IntArray, *, has_new_numbers: bool) -> IntArray:
        """Solve from what is known, and return where the solver holds each row."""
        at = self._revised(linear, rows, has_new_numbers=has_new_numbers)
        if at is None:
            at = self._passed(linear, rows)
        self._solver.run()
        status = self._solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverNumerical(f"the kept solver stopped with {status}")
        return at

    def _passed(self, linear: Linear, rows: IntArray) -> IntArray:
        """Give the solver the problem afresh."""
        self._solver.passModel(_model(linear))
        self._rows, self._matrix = rows, linear.matrix
        return np.arange(len(rows))

    def _revised(self, linear: Linear, rows: IntArray, *, has_new_numbers: bool) -> IntArray | None:
        """Bring the solver's problem up to date; None where it is another problem."""
        if len(self._rows) == 0 or linear.matrix.shape[1] != self._matrix.shape[1]:
            return None
        order = np.argsort(self._rows)
        place = np.minimum(np.searchsorted(self._rows[order], rows), len(order) - 1)
        at = order[place]
        is_old = self._rows[at] == rows
        old, new = np.flatnonzero(is_old), np.flatnonzero(~is_old)
        if not _same_matrix(linear.matrix[old], self._matrix[at[old]]):
            return None
        lower = np.where(linear.is_equal, linear.rhs, -highspy.kHighsInf)
        if has_new_numbers:
            columns = np.arange(len(linear.cost), dtype=np.int32)
            self._solver.changeColsCost(len(columns), columns, linear.cost)
            self._solver.changeColsBounds(len(columns), columns, linear.lower, linear.upper)
            # A row that is not needed this time stays, without a limit.
            bounds = np.full((2, len(self._rows)), highspy.kHighsInf)
            bounds[0] = -highspy.kHighsInf
            bounds[:, at[old]] = lower[old], linear.rhs[old]
            held = np.arange(len(self._rows), dtype=np.int32)
            self._solver.changeRowsBounds(len(held), held, bounds[0], bounds[1])
        if len(new):
            more = linear.matrix[new].tocsr()
            self._solver.addRows(
                len(new),
                lower[new],
                linear.rhs[new],
                more.nnz,
                more.indptr,
                more.indices,
                more.data,
            )
            at[new] = len(self._rows) + np.arange(len(new))
            self._rows = np.concatenate([self._rows, rows[new]])
            self._matrix = sp.csr_array(sp.vstack([self._matrix, more], format="csr"))
        return at


def is_same_grid(one: Snapshot, other: Snapshot) -> bool:
    """Return whether network, places and elements, hence all sensitivities, are the same."""
    return (
        _equal(one.network, other.network)
        and _equal(one.place_bus, other.place_bus)
        and _equal(one.elements.branch, other.elements.branch)
        and _equal(one.elements.published_kw_per_kw, other.elements.published_kw_per_kw)
    )


def _near_rows(current: Programme, x_kw: FloatArray) -> dict[str, IntArray]:
    """Return headroom rows that are almost used up: the next run may well need them."""
    flow_kw, room = current.flow_kw(x_kw), current.headroom
    return {
        "headroom_up": np.flatnonzero((flow_kw > NEAR_RATIO * room.up_kw).ravel()),
        "headroom_down": np.flatnonzero((-flow_kw > NEAR_RATIO * room.down_kw).ravel()),
        "deliver_flow": np.zeros(0, dtype=np.int64),
    }


def _row_names(current: Programme) -> IntArray:
    """Return a number for each row, the same from run to run."""
    return np.concatenate(
        [number * FAMILY_STRIDE + rows.keys for number, rows in enumerate(current.rows.values())]
    )


def _same_matrix(one: sp.csr_array, other: sp.csr_array) -> bool:
    return one.shape == other.shape and all(
        np.array_equal(getattr(one, part), getattr(other, part))
        for part in ("indptr", "indices", "data")
    )


def _equal(one: Any, other: Any) -> bool:
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return all(_equal(getattr(one, name), getattr(other, name)) for name in names)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def _model(linear: Linear) -> highspy.HighsLp:
    matrix = linear.matrix.tocsc()
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = matrix.shape[1], matrix.shape[0]
    model.col_cost_ = linear.cost
    model.col_lower_, model.col_upper_ = linear.lower, linear.upper
    model.row_upper_ = linear.rhs
    model.row_lower_ = np.where(linear.is_equal, linear.rhs, -highspy.kHighsInf)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = matrix.indptr
    model.a_matrix_.index_ = matrix.indices
    model.a_matrix_.value_ = matrix.data
    return model
