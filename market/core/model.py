"""The clearing problem in CVXPY: one vector variable per bid form, one constraint per row family.

This is the specification of what is solved, and the road that small books take.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np

from market.core.network import KW_PER_MW
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import Programme
from market.core.rows import Rows


class Model:
    """The model of one round, in MW and thousands of yen.

    Parameters
    ----------
    current
        The problem.
    lower_kw, upper_kw
        Bounds of its columns, perhaps tighter than its own, (n,).
    exclusive
        Pairs of the problem's exclusive amounts that get a binary; empty for a linear problem.
    is_mixed
        Whether the problem's own binary columns are to be integral.
    """

    def __init__(
        self,
        current: Programme,
        bounds_kw: tuple[FloatArray, FloatArray],
        exclusive: IntArray,
        *,
        is_mixed: bool = False,
    ) -> None:
        self.current = current
        lower_mw, upper_mw = bounds_kw[0] / KW_PER_MW, bounds_kw[1] / KW_PER_MW
        self.parts = {
            name: cp.Variable(
                part.stop - part.start, name=name, bounds=[lower_mw[part], upper_mw[part]]
            )
            for name, part in current.slices.items()
            if part.stop > part.start
        }
        self.rows = {
            name: self._constraint(rows) for name, rows in current.rows.items() if rows.matrix.nnz
        }
        cost_kjpy = sum(
            current.cost_jpy[current.slices[name]] @ variable
            for name, variable in self.parts.items()
        )
        integral = self._integral() if is_mixed else []
        self.problem = cp.Problem(
            cp.Minimize(cost_kjpy),
            [*self.rows.values(), *integral, *self._one_side_at_a_time(upper_mw, exclusive)],
        )

    def _product(self, matrix: object) -> cp.Expression:
        """Return matrix @ x over the parts it touches."""
        terms = []
        for name, variable in self.parts.items():
            part = matrix[:, self.current.slices[name]]  # type: ignore[index]
            if part.nnz:
                terms.append(part @ variable)
        return sum(terms[1:], start=terms[0])

    def _constraint(self, rows: Rows) -> cp.Constraint:
        left, right = self._product(rows.matrix), rows.rhs / KW_PER_MW
        return left == right if rows.is_equal else left <= right

    def _integral(self) -> list[cp.Constraint]:
        """Return that binary columns, which like all others count in thousands, are 0 or 1."""
        binary = self.current.binary
        if len(binary) == 0:
            return []
        chosen = np.zeros(self.current.size, dtype=bool)
        chosen[binary] = True
        constraints = []
        for name, variable in self.parts.items():
            mine = np.flatnonzero(chosen[self.current.slices[name]])
            if len(mine):
                unit = cp.Variable(len(mine), boolean=True, name=f"{name} accepted")
                constraints.append(KW_PER_MW * variable[mine] == unit)
        return constraints

    def _one_side_at_a_time(self, upper_mw: FloatArray, exclusive: IntArray) -> list[cp.Constraint]:
        if len(exclusive) == 0:
            return []
        first = self.current.exclusive.first[exclusive]
        second = self.current.exclusive.second[exclusive]
        is_first = cp.Variable(len(exclusive), boolean=True, name="is_first")
        return [
            self._product(first) <= cp.multiply(first @ upper_mw, is_first),
            self._product(second) <= cp.multiply(second @ upper_mw, 1 - is_first),
        ]

    def x_mw(self) -> FloatArray:
        """Return all columns in order."""
        x = np.zeros(self.current.size)
        for name, variable in self.parts.items():
            x[self.current.slices[name]] = variable.value
        return x

    def duals(self, row_slices: dict[str, slice], count: int) -> FloatArray:
        """Return the change of the optimum per unit of right-hand side, all rows in order."""
        y = np.zeros(count)
        for name, constraint in self.rows.items():
            y[row_slices[name]] = -np.atleast_1d(constraint.dual_value)
        return y
