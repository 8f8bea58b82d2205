r"""Clear one auction: local congestion and area balance in one problem, with exact prices.

.. math::

   \max \sum_d v_d\, h\, s_d - \sum_j c_j x_j \quad \text{s.t.} \quad
   \sum_{i \in a} \Delta_{it} + \text{links} + \text{transfers}
      = s^{\uparrow}_{at} - s^{\downarrow}_{at} + \delta_{at}, \quad
   -s_q \sum_i H_{qi} \Delta_{it} \ge s_{qt}, \quad
   \Bigl|\sum_i H_{qi} \Delta_{it}\Bigr| \le \text{headroom}_{qt}

and each bid form's own constraints (:mod:`market.core.offers`). Doing nothing satisfies every
row, and every column has finite bounds: the problem is always feasible and bounded, so a solver
that says otherwise has met a bug of ours.

The model below is the specification: one vector variable per bid form, sparse coefficients, no
loop over offers or half hours. Headroom rows are generated when a solution breaks them, and the
rule against charging and discharging at once becomes a binary only where a solution breaks it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from accounts.core.errors import BrokenInvariant
from market.core.faces import Linear, least_dual, least_primal, polished
from market.core.network import KW_PER_MW
from market.core.offers import storage
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import GRID, Programme, Rows, programme, with_headroom
from market.core.snapshot import Snapshot
from market.core.solver import solve_linear

ENGINE_VERSION: Final = "1"
ROUND_COUNT_MAX: Final = 100
HEADROOM_TOLERANCE_KW: Final = 1e-8
BOTH_TOLERANCE_KW: Final = 1e-6
PRICED_ROWS: Final = ("balance", "relief", "headroom_up", "headroom_down", "carried")
"""Row families whose duals are somebody's price; they decide between degenerate duals."""


@dataclass(frozen=True, kw_only=True)
class Clearing:
    """The optimum of one snapshot, unrounded.

    Parameters
    ----------
    programme
        The problem that was solved, with the headroom rows it needed.
    x_kw
        Every column, (n,). [kW; stored energy in kWh]
    dual_jpy_per_kw
        Per row family, the change of the minimised cost per unit of right-hand side. [JPY/kW]
    upper_kw
        Upper bounds with the sides fixed on which a store may not act, (n,).
    objective_jpy
        Value of needs served less cost of bids accepted.
    bound_jpy
        Proven upper bound of any clearing of this snapshot.
    """

    programme: Programme
    x_kw: FloatArray
    dual_jpy_per_kw: dict[str, FloatArray]
    upper_kw: FloatArray
    objective_jpy: float
    bound_jpy: float

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot cleared."""
        return self.programme.snapshot


def clear(snapshot: Snapshot) -> Clearing:
    """Choose the awards of greatest value, and price them.

    Parameters
    ----------
    snapshot
        The auction; see :class:`market.core.snapshot.Snapshot` for axes and units.

    Returns
    -------
    Clearing
        Unrounded optimum. Degenerate prices are those of least sum of squares, tied awards are
        shared in the ratio of the quantities offered (:mod:`market.core.faces`).

    Raises
    ------
    SolverFailed
        A subclass says how: work limit, numerical trouble, or (our bug) infeasible, unbounded.

    References
    ----------
    .. [1] F. C. Schweppe, M. C. Caramanis, R. D. Tabors and R. E. Bohn, "Spot Pricing of
       Electricity". Boston: Kluwer, 1988.
    .. [2] R. P. O'Neill et al., "Efficient market-clearing prices in markets with
       nonconvexities", European Journal of Operational Research 164(1), 2005.
    """
    base = programme(snapshot)
    pairs = {
        "headroom_up": np.zeros(0, dtype=np.int64),
        "headroom_down": np.zeros(0, dtype=np.int64),
    }
    exclusive = np.zeros(0, dtype=np.int64)
    for _ in range(ROUND_COUNT_MAX):
        found = _optimum(with_headroom(base, pairs), exclusive)
        broken, both = _broken_headroom(found), _both_ways(found)
        if not any(map(len, (*broken.values(), both))):
            # Only now is it worth choosing among optima; the choice may break rows not yet there.
            found = _least(found)
            broken, both = _broken_headroom(found), _both_ways(found)
            if not any(map(len, (*broken.values(), both))):
                return found
        pairs = {name: np.union1d(pairs[name], broken[name]) for name in pairs}
        exclusive = np.union1d(exclusive, both)
    raise BrokenInvariant("rows and binaries come from finite sets, yet they did not end")


def _optimum(current: Programme, exclusive: IntArray) -> Clearing:
    """Solve one round; `exclusive` are the store pairs that get a binary."""
    rules, upper_kw = current.snapshot.rules, current.upper_kw
    bound_kjpy = None
    if len(exclusive):
        model = _Model(current, upper_kw, exclusive)
        bound_kjpy = solve_linear(model.problem, rules).bound
        upper_kw = _with_sides_fixed(current, exclusive, model.x_mw() * KW_PER_MW)
    model = _Model(current, upper_kw, exclusive[:0])
    solve_linear(model.problem, rules)
    linear, row_slices = _linear(current, upper_kw)
    x = np.clip(model.x_mw(), linear.lower, linear.upper)
    y = model.duals(row_slices, len(linear.rhs))
    return Clearing(
        programme=current,
        x_kw=x * KW_PER_MW,
        dual_jpy_per_kw={name: y[part] for name, part in row_slices.items()},
        upper_kw=upper_kw,
        objective_jpy=-float(current.cost_jpy @ x) * KW_PER_MW,
        bound_jpy=_dual_bound_jpy(linear, y) if bound_kjpy is None else -bound_kjpy * KW_PER_MW,
    )


def _least(found: Clearing) -> Clearing:
    """Return the optimum to be published: least prices, then awards that share ties."""
    current = found.programme
    linear, row_slices = _linear(current, found.upper_kw)
    x = found.x_kw / KW_PER_MW
    y = np.concatenate([found.dual_jpy_per_kw[name] for name in row_slices])
    y = least_dual(linear, x, y, _price_weight(row_slices, len(y)))
    x = least_primal(linear, x, y, _award_weight(current, found.upper_kw))
    x = polished(linear, x)
    x = _with_stored_energy(current, x * KW_PER_MW) / KW_PER_MW
    objective_jpy = -float(current.cost_jpy @ x) * KW_PER_MW
    is_linear = bool((found.upper_kw == current.upper_kw).all())
    bound_jpy = _dual_bound_jpy(linear, y) if is_linear else found.bound_jpy
    return replace(
        found,
        x_kw=x * KW_PER_MW,
        dual_jpy_per_kw={name: y[part] for name, part in row_slices.items()},
        objective_jpy=objective_jpy,
        bound_jpy=max(bound_jpy, objective_jpy),
    )


def _with_stored_energy(current: Programme, x_kw: FloatArray) -> FloatArray:
    """Return the columns with every store's energy as its charge and discharge leave it."""
    snapshot, part = current.snapshot, current.slices["storage"]
    pairs = len(snapshot.storage.pair_t)
    exact = x_kw.copy()
    exact[part.start + 2 * pairs : part.stop] = storage.stored_energy_kwh(
        snapshot.storage, x_kw[part], snapshot.interval_h
    )
    return exact


class _Model:
    """The CVXPY model of one round, in MW and thousands of yen."""

    def __init__(self, current: Programme, upper_kw: FloatArray, exclusive: IntArray) -> None:
        self.current = current
        self.parts = {
            name: cp.Variable(
                part.stop - part.start,
                name=name,
                bounds=[current.lower_kw[part] / KW_PER_MW, upper_kw[part] / KW_PER_MW],
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
        self.problem = cp.Problem(
            cp.Minimize(cost_kjpy),
            [*self.rows.values(), *self._one_side_at_a_time(upper_kw, exclusive)],
        )

    def _constraint(self, rows: Rows) -> cp.Constraint:
        terms = []
        for name, variable in self.parts.items():
            part = rows.matrix[:, self.current.slices[name]]
            if part.nnz:
                terms.append(part @ variable)
        left = sum(terms[1:], start=terms[0])
        right = rows.rhs / KW_PER_MW
        return left == right if rows.is_equal else left <= right

    def _one_side_at_a_time(self, upper_kw: FloatArray, exclusive: IntArray) -> list[cp.Constraint]:
        if len(exclusive) == 0:
            return []
        pairs = len(self.current.snapshot.storage.pair_t)
        limit_mw = upper_kw[self.current.slices["storage"]] / KW_PER_MW
        is_charging = cp.Variable(len(exclusive), boolean=True, name="is_charging")
        store = self.parts["storage"]
        return [
            store[exclusive] <= cp.multiply(limit_mw[exclusive], is_charging),
            store[pairs + exclusive] <= cp.multiply(limit_mw[pairs + exclusive], 1 - is_charging),
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


def _linear(current: Programme, upper_kw: FloatArray) -> tuple[Linear, dict[str, slice]]:
    """Stack all rows, in the solver's units."""
    slices, start = {}, 0
    for name, rows in current.rows.items():
        slices[name] = slice(start, start + len(rows.rhs))
        start += len(rows.rhs)
    families = current.rows.values()
    return (
        Linear(
            matrix=sp.csr_array(sp.vstack([rows.matrix for rows in families], format="csr")),
            rhs=np.concatenate([rows.rhs for rows in families]) / KW_PER_MW,
            is_equal=np.concatenate([np.full(len(rows.rhs), rows.is_equal) for rows in families]),
            lower=current.lower_kw / KW_PER_MW,
            upper=upper_kw / KW_PER_MW,
            cost=current.cost_jpy,
        ),
        slices,
    )


def linear_of(clearing: Clearing) -> Linear:
    """Return the last linear problem of a clearing, in MW and thousands of yen."""
    return _linear(clearing.programme, clearing.upper_kw)[0]


def _price_weight(row_slices: dict[str, slice], count: int) -> FloatArray:
    weight = np.zeros(count)
    for name in PRICED_ROWS:
        weight[row_slices[name]] = 1.0
    return weight


def _award_weight(current: Programme, upper_kw: FloatArray) -> FloatArray:
    """Return 1/offered for what bids sell, so that ties share pro rata; 0 for what follows."""
    weight = np.zeros(current.size)
    pairs = len(current.snapshot.storage.pair_t)
    offers = len(current.snapshot.shifts.offer_pair)
    placed = len(current.snapshot.shifts.placed_pair)
    store, shift, grid = (current.slices[name].start for name in ("storage", "shifts", GRID))
    sold = [
        np.arange(store),
        np.arange(store, store + 2 * pairs),
        np.arange(shift, shift + offers + placed),
        np.arange(grid, current.size),
    ]
    chosen = np.concatenate(sold)
    chosen = chosen[upper_kw[chosen] > 0]
    weight[chosen] = KW_PER_MW / upper_kw[chosen]
    return weight


def _dual_bound_jpy(linear: Linear, y: FloatArray) -> float:
    """Return the upper bound on value that any prices of right sign prove (weak duality)."""
    reduced = linear.cost - linear.matrix.T @ y
    at = np.where(reduced > 0, linear.lower, linear.upper)
    return -float(linear.rhs @ y + reduced @ at) * KW_PER_MW


def _broken_headroom(found: Clearing) -> dict[str, IntArray]:
    current = found.programme
    flow_kw = current.flow_kw(found.x_kw)
    room = current.headroom
    slack_kw = HEADROOM_TOLERANCE_KW + 1e-12 * np.abs(flow_kw)
    broken = {
        "headroom_up": np.flatnonzero((flow_kw > room.up_kw + slack_kw).ravel()),
        "headroom_down": np.flatnonzero((-flow_kw > room.down_kw + slack_kw).ravel()),
    }
    return {name: np.setdiff1d(keys, current.rows[name].keys) for name, keys in broken.items()}


def _both_ways(found: Clearing) -> IntArray:
    """Return the store pairs that charge and discharge at once."""
    pairs = len(found.snapshot.storage.pair_t)
    store_kw = found.x_kw[found.programme.slices["storage"]]
    least_kw = np.minimum(store_kw[:pairs], store_kw[pairs : 2 * pairs])
    return np.flatnonzero(least_kw > BOTH_TOLERANCE_KW)


def _with_sides_fixed(current: Programme, exclusive: IntArray, x_kw: FloatArray) -> FloatArray:
    pairs = len(current.snapshot.storage.pair_t)
    charge = current.slices["storage"].start + exclusive
    discharge = charge + pairs
    is_charging = x_kw[charge] > x_kw[discharge]
    upper_kw = current.upper_kw.copy()
    upper_kw[discharge[is_charging]] = 0.0
    upper_kw[charge[~is_charging]] = 0.0
    return upper_kw
