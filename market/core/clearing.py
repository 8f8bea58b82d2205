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

The model (:mod:`market.core.model`) is the specification: one vector variable per bid form, sparse
coefficients, no loop over offers or half hours. Headroom rows are generated when a solution breaks
them, and the rule against charging and discharging at once becomes a binary only where a solution
breaks it. Prices are the duals of the problem that is left when all integers are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from accounts.core.errors import BrokenInvariant
from market.core import reserves
from market.core.faces import BoolArray, Linear, least_dual, least_primal, polished
from market.core.fast.errors import RoadClosed
from market.core.fast.kept import Kept
from market.core.fast.optimum import fast_optimum
from market.core.fast.threads import one_thread
from market.core.integers import Decision, decide, gap_allowed_jpy, one_sided_kw
from market.core.model import Model
from market.core.network import KW_PER_MW
from market.core.offers.forms import FORMS
from market.core.offers.terms import FloatArray, IntArray
from market.core.pivotal import pivotal_test
from market.core.programme import GRID, LAZY_ROWS, Programme, programme, with_lazy_rows
from market.core.snapshot import Snapshot
from market.core.solver import solve_linear

ENGINE_VERSION: Final = "2"
ROUND_COUNT_MAX: Final = 100
SIDES_ROUND_COUNT_MAX: Final = 10
LARGE_COLUMN_COUNT: Final = 20_000
"""From here on the fast road (:mod:`market.core.fast`) is tried first."""
PROVED_OFF: Final = 1e-9
PROVED_GAP_RATIO: Final = 1e-9
HEADROOM_TOLERANCE_KW: Final = 1e-8
BOTH_TOLERANCE_KW: Final = 1e-6
PRICED_ROWS: Final = (
    "balance",
    "relief",
    "headroom_up",
    "headroom_down",
    "carried",
    "trunk",
    "compute",
    "reserve",
    "deliver_flow",
)
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
    lower_kw, upper_kw
        Bounds with all integer decisions fixed, (n,).
    objective_jpy
        Value of needs served less cost of bids accepted.
    bound_jpy
        Proven upper bound of any clearing of this snapshot.
    pivotal
        Where an owner was pivotal and its asks were lowered; see :mod:`market.core.pivotal`.
    """

    programme: Programme
    x_kw: FloatArray
    dual_jpy_per_kw: dict[str, FloatArray]
    lower_kw: FloatArray
    upper_kw: FloatArray
    objective_jpy: float
    bound_jpy: float
    pivotal: tuple[dict[str, Any], ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot cleared."""
        return self.programme.snapshot

    @property
    def is_held(self) -> BoolArray:
        """Return which columns an integer decision fixed, (n,)."""
        current = self.programme
        return np.asarray((self.lower_kw != current.lower_kw) | (self.upper_kw != current.upper_kw))

    def part_kw(self, name: str) -> FloatArray:
        """Return a part of the grid's columns, (entities, T)."""
        x_kw = self.x_kw[self.programme.grid[name]]
        return x_kw.reshape(-1, self.snapshot.interval_count)


@one_thread()
def clear(snapshot: Snapshot) -> Clearing:
    """Clear a snapshot.

    Parameters
    ----------
    snapshot
        The frozen input.

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
    tested = pivotal_test(snapshot)
    base = programme(tested.snapshot)
    keys: Mapping[str, IntArray] = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}
    exclusive = np.zeros(0, dtype=np.int64)
    decision: Decision | None = None
    large = cleared_fast(base)
    if large is not None:
        return replace(large[0], pivotal=tested.findings)
    for _ in range(ROUND_COUNT_MAX):
        found, decision = _round(base, keys, exclusive, decision)
        broken, both = broken_rows(found.programme, found.x_kw), both_ways(found)
        if not any(map(len, (*broken.values(), both))):
            # Only now is it worth choosing among optima; the choice may break rows not yet there.
            found = least(found)
            broken, both = broken_rows(found.programme, found.x_kw), both_ways(found)
            if not any(map(len, (*broken.values(), both))):
                return replace(found, pivotal=tested.findings)
        rows = found.programme.rows
        keys = {name: np.union1d(rows[name].keys, broken[name]) for name in keys}
        exclusive = np.union1d(exclusive, both)
    raise BrokenInvariant("rows and binaries come from finite sets, yet they did not end")


def cleared_fast(
    base: Programme, kept: Kept | None = None, *, keeps: bool = False
) -> tuple[Clearing, Kept | None] | None:
    """Return the optimum of a large book by the fast road, least prices and shared ties included.

    Parameters
    ----------
    base
        The problem without lazy rows.
    kept
        Of a run on a like book, to start from.
    keeps
        Whether to return what the next run may start from; it takes memory.

    Returns
    -------
    tuple[Clearing, Kept | None] | None
        `None` where the book is small or has integers,
        where the road does not know its shape, and where what it found does not prove itself: the
        plain road is always there.

    Notes
    -----
    Where prices far below zero let a store charge and discharge at once, the smaller side of each
    such pair is closed and the rest is found anew. That is a decision, not a search: it counts
    where what the first optimum promises beyond it is within the gap that the rules allow.
    """
    if base.size < LARGE_COLUMN_COUNT or len(base.binary):
        return None
    found = _on_the_fast_road(base, kept, keeps=keeps)
    if found is None or not len(both := both_ways(found[0])):
        return found
    bound_jpy, decided = found[0].bound_jpy, base
    for _ in range(SIDES_ROUND_COUNT_MAX):
        closed_kw = one_sided_kw(decided, both, found[0].x_kw, decided.upper_kw)
        decided = replace(decided, upper_kw=closed_kw)
        found = _on_the_fast_road(decided, None, keeps=False)
        if found is None:
            return None
        both = both_ways(found[0])
        if not len(both):
            return _within_gap(base, found[0], bound_jpy)
    return None


def _within_gap(
    base: Programme, found: Clearing, bound_jpy: float
) -> tuple[Clearing, Kept | None] | None:
    """Return a decided clearing with the bound it stays near, or None if it does not."""
    if bound_jpy - found.objective_jpy > gap_allowed_jpy(base, found.x_kw):
        return None
    whole = replace(
        found,
        programme=replace(found.programme, upper_kw=base.upper_kw),
        bound_jpy=max(bound_jpy, found.objective_jpy),
    )
    return whole, None


def _on_the_fast_road(
    base: Programme, kept: Kept | None, *, keeps: bool
) -> tuple[Clearing, Kept | None] | None:
    """Return the proved optimum of a problem without integers, or None."""
    keys = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}
    try:
        fast = fast_optimum(base, keys, _award_weight(base, base.upper_kw), kept)
    except RoadClosed:
        return None
    if not keeps:
        fast = replace(fast, kept=None)
    current = fast.programme
    linear, row_slices = linear_problem(current, (base.lower_kw, base.upper_kw))
    y = np.concatenate([fast.dual[name] for name in row_slices])
    moves = np.concatenate([fast.moves[name] for name in row_slices])
    y = least_dual(linear, fast.x_mw, y, _price_weight(row_slices, len(y)), moves=moves)
    x_kw = _with_states(current, np.clip(fast.x_mw, linear.lower, linear.upper) * KW_PER_MW)
    found = Clearing(
        programme=current,
        x_kw=x_kw,
        dual_jpy_per_kw={name: y[part] for name, part in row_slices.items()},
        lower_kw=base.lower_kw,
        upper_kw=base.upper_kw,
        objective_jpy=-float(current.cost_jpy @ x_kw),
        bound_jpy=_dual_bound_jpy(linear, y),
    )
    return (found, fast.kept) if _is_proved(found, linear, y) else None


def _is_proved(found: Clearing, linear: Linear, y: FloatArray) -> bool:
    """Tell whether an optimum keeps all rows, bounds and signs, and leaves no gap."""
    x = found.x_kw / KW_PER_MW
    beyond = linear.matrix @ x - linear.rhs
    off = max(
        float(np.abs(beyond[linear.is_equal]).max(initial=0.0)),
        float(beyond[~linear.is_equal].max(initial=0.0)),
        float(np.maximum(linear.lower - x, x - linear.upper).max(initial=0.0)),
        float(y[~linear.is_equal].max(initial=0.0)),
    )
    bids = found.programme.slices[GRID].start
    cost_jpy = max(abs(float(found.programme.cost_jpy[:bids] @ found.x_kw[:bids])), 1.0)
    gap_ratio = (found.bound_jpy - found.objective_jpy) / cost_jpy
    is_whole = not any(map(len, broken_rows(found.programme, found.x_kw).values()))
    return is_whole and off <= PROVED_OFF and abs(gap_ratio) <= PROVED_GAP_RATIO


def _round(
    base: Programme, keys: Mapping[str, IntArray], exclusive: IntArray, known: Decision | None
) -> tuple[Clearing, Decision | None]:
    """Solve one round; return its optimum, and the decision of all integers it rests on.

    Rows found later only lower what decisions are worth. So a decision that is worth with them
    what its bound says, up to the gap that rules allow, is still the best; only one that loses
    by them has to be searched for again.

    Parameters
    ----------
    base
        The problem, without lazy rows.
    keys
        Lazy rows known to be needed.
    exclusive
        Pairs of amounts whose side must be decided.
    known
        The decision of the round before.
    """
    if not (len(exclusive) or len(base.binary)):
        return _optimum(base, keys, None), None
    if known is not None:
        kept = known.kept(base, keys, exclusive)
        found = _optimum(base, kept.keys, kept)
        if found.bound_jpy - found.objective_jpy <= kept.allowed_jpy:
            return found, kept
    decision = decide(base, keys, exclusive, lambda x_kw: broken_rows(base, x_kw))
    return _optimum(base, decision.keys, decision), decision


def _optimum(base: Programme, keys: Mapping[str, IntArray], decision: Decision | None) -> Clearing:
    """Solve what is left of a round once all integers are decided.

    Parameters
    ----------
    base
        The problem, without lazy rows.
    keys
        The lazy rows.
    decision
        All integers; ``None`` where there are none.
    """
    rules, bounds_kw = base.snapshot.rules, (base.lower_kw, base.upper_kw)
    if decision is not None:
        bounds_kw = (decision.lower_kw, decision.upper_kw)
    current = with_lazy_rows(base, keys)
    model = Model(current, bounds_kw, np.zeros(0, dtype=np.int64))
    solve_linear(model.problem, rules)
    linear, row_slices = linear_problem(current, bounds_kw)
    x = np.clip(model.x_mw(), linear.lower, linear.upper)
    y = model.duals(row_slices, len(linear.rhs))
    objective_jpy = -float(current.cost_jpy @ x) * KW_PER_MW
    return Clearing(
        programme=current,
        x_kw=x * KW_PER_MW,
        dual_jpy_per_kw={name: y[part] for name, part in row_slices.items()},
        lower_kw=bounds_kw[0],
        upper_kw=bounds_kw[1],
        objective_jpy=objective_jpy,
        bound_jpy=(
            _dual_bound_jpy(linear, y)
            if decision is None
            else max(decision.bound_jpy, objective_jpy)
        ),
    )


def least(found: Clearing) -> Clearing:
    """Return the optimum to be published: least prices, then awards that share ties."""
    current = found.programme
    linear, row_slices = linear_problem(current, (found.lower_kw, found.upper_kw))
    x = found.x_kw / KW_PER_MW
    y = np.concatenate([found.dual_jpy_per_kw[name] for name in row_slices])
    y = least_dual(linear, x, y, _price_weight(row_slices, len(y)))
    x = least_primal(linear, x, y, _award_weight(current, found.upper_kw))
    x = polished(linear, x)
    x = _with_states(current, x * KW_PER_MW) / KW_PER_MW
    objective_jpy = -float(current.cost_jpy @ x) * KW_PER_MW
    bound_jpy = found.bound_jpy if found.is_held.any() else _dual_bound_jpy(linear, y)
    return replace(
        found,
        x_kw=x * KW_PER_MW,
        dual_jpy_per_kw={name: y[part] for name, part in row_slices.items()},
        objective_jpy=objective_jpy,
        bound_jpy=max(bound_jpy, objective_jpy),
    )


def _with_states(current: Programme, x_kw: FloatArray) -> FloatArray:
    """Return the columns with every state (stored energy, backlog) as its own equation leaves it.

    A solver meets these equations to its own tolerance, which for a small store is not small.
    """
    snapshot, exact = current.snapshot, x_kw.copy()
    for name, form in FORMS.items():
        if form.settled is not None:
            part = current.slices[name]
            exact[part] = form.settled(snapshot.books[name], x_kw[part], snapshot.interval_h)
    return exact


def linear_problem(
    current: Programme, bounds_kw: tuple[FloatArray, FloatArray]
) -> tuple[Linear, dict[str, slice]]:
    """Stack all rows, in MW and thousands of yen; also the rows of each family."""
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
            lower=bounds_kw[0] / KW_PER_MW,
            upper=bounds_kw[1] / KW_PER_MW,
            cost=current.cost_jpy,
        ),
        slices,
    )


def linear_of(clearing: Clearing) -> Linear:
    """Return the last linear problem of a clearing, in MW and thousands of yen."""
    return linear_problem(clearing.programme, (clearing.lower_kw, clearing.upper_kw))[0]


def _price_weight(row_slices: dict[str, slice], count: int) -> FloatArray:
    weight = np.zeros(count)
    for name in PRICED_ROWS:
        if name in row_slices:
            weight[row_slices[name]] = 1.0
    return weight


def _award_weight(current: Programme, upper_kw: FloatArray) -> FloatArray:
    """Return 1/offered for what bids sell, so that ties share pro rata; 0 for what follows."""
    weight = np.zeros(current.size)
    chosen = np.flatnonzero(current.is_shared & (upper_kw > 0))
    weight[chosen] = KW_PER_MW / upper_kw[chosen]
    return weight


def _dual_bound_jpy(linear: Linear, y: FloatArray) -> float:
    """Return the upper bound on value that any prices of right sign prove (weak duality)."""
    reduced = linear.cost - linear.matrix.T @ y
    at = np.where(reduced > 0, linear.lower, linear.upper)
    return -float(linear.rhs @ y + reduced @ at) * KW_PER_MW


def broken_rows(current: Programme, x_kw: FloatArray) -> dict[str, IntArray]:
    """Return the lazy rows that a solution breaks and that the problem does not have."""
    flow_kw = current.flow_kw(x_kw)
    room = current.headroom
    slack_kw = HEADROOM_TOLERANCE_KW + 1e-12 * np.abs(flow_kw)
    broken = {
        "headroom_up": np.flatnonzero((flow_kw > room.up_kw + slack_kw).ravel()),
        "headroom_down": np.flatnonzero((-flow_kw > room.down_kw + slack_kw).ravel()),
        "deliver_flow": reserves.broken_calls(
            current.snapshot,
            x_kw[current.slices["CAPACITY"]],
            flow_kw=flow_kw,
            place_kw_per_kw=current.sensitivity.place,
            headroom_kw=(room.up_kw, room.down_kw),
        ),
    }
    return {
        name: np.setdiff1d(keys, current.rows[name].keys) if name in current.rows else keys
        for name, keys in broken.items()
    }


def both_ways(found: Clearing) -> IntArray:
    """Return the exclusive pairs of which both amounts are positive."""
    pairs = found.programme.exclusive
    least_kw = np.minimum(pairs.first @ found.x_kw, pairs.second @ found.x_kw)
    return np.flatnonzero(least_kw > BOTH_TOLERANCE_KW)
