"""A programme without what needs no solver: fixed columns, rows that are bounds, twin columns.

In MW and thousands of yen. What is left is split into *local* rows, which touch one bid only, and
*linking* rows. The local rows of a bid form a chain through time: each shares columns only with
those of the half hours before and after (stored energy, backlog, change of placement).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import scipy.sparse as sp

from market.core.fast.errors import RoadClosed
from market.core.network import KW_PER_MW
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import Programme

DENSE_ROWS: Final = ("balance", "relief", "headroom_up", "headroom_down")
"""Families whose rows are functions of all injections of a half hour."""
PAIR: Final = 2
LAZY_EXTRA: Final = (
    "sold_up", "sold_down", "carried", "trunk", "envelope", "STORAGE.cycles",
)  # fmt: skip
"""Families that may wait for a solution to come near them, beside headroom."""


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """What is left of a programme; n columns, chains S, half hours T.

    Parameters
    ----------
    column
        Original number of each column, (n,).
    lower, upper, cost
        Bounds [MW] and costs [kJPY/MW], (n,).
    fixed
        Value of every original column that is not left, (N,). [MW]
    chain_rows, chain_rhs, is_slack
        Local rows t·S + s, (T·S, n); unused places are empty rows. `is_slack` tells at-most rows.
    chain_source
        Family-stacked number of each local row among all local rows, −1 for unused, (T·S,).
    sent
        Injection of the columns, (P·T, n).
    """

    programme: Programme
    column: IntArray
    lower: FloatArray
    upper: FloatArray
    cost: FloatArray
    fixed: FloatArray
    chains: int
    chain_rows: sp.csr_array
    chain_rhs: FloatArray
    is_slack: np.ndarray[tuple[int], np.dtype[np.bool_]]
    is_used: np.ndarray[tuple[int], np.dtype[np.bool_]]
    chain_source: IntArray
    chain_of_column: IntArray
    sent: sp.csr_array
    local: Local
    twins: Twins

    @cached_property
    def sent_by_column(self) -> sp.csr_array:
        """Return `sent` the other way round, (n, P·T)."""
        return sp.csr_array(self.sent.T)

    @property
    def count(self) -> int:
        """Return the number of columns."""
        return len(self.cost)


@dataclass(frozen=True, kw_only=True)
class Local:
    """All local rows of the programme, stacked by family, before anything was left out."""

    names: tuple[str, ...]
    rows: tuple[IntArray, ...]
    """Rows of each family that are local."""
    matrix: sp.csr_array
    rhs: FloatArray
    is_equal: np.ndarray[tuple[int], np.dtype[np.bool_]]
    bid: IntArray


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Equalities a·x_p = a·x_q by which a private column p has gone into q; (k,) each."""

    row: IntArray
    gone: IntArray
    kept: IntArray
    coefficient: FloatArray


def bid_of_columns(current: Programme) -> IntArray:
    """Return a number per bid for each column, −1 for the grid's own, (n,)."""
    bid = np.full(current.size, -1)
    start = 0
    for name, block in current.forms.items():
        bid[current.slices[name]] = start + block.bid
        start += len(block.ids)
    return bid


def local_rows(current: Programme) -> Local:
    """Return the rows that touch the columns of one bid only."""
    bid = bid_of_columns(current)
    names, chosen, parts, rhs, equal, owner = [], [], [], [], [], []
    for name, rows in current.rows.items():
        if name in DENSE_ROWS or rows.matrix.shape[0] == 0:
            continue
        matrix = rows.matrix.copy()
        matrix.eliminate_zeros()
        length = np.diff(matrix.indptr)
        filled = np.flatnonzero(length)
        if len(filled) == 0:
            continue
        of_entry = bid[matrix.indices]
        low = np.minimum.reduceat(of_entry, matrix.indptr[filled])
        high = np.maximum.reduceat(of_entry, matrix.indptr[filled])
        is_local = (low == high) & (low >= 0)
        # What sells of a resource waits for a solution to come near, even if one bid does it.
        if name in LAZY_EXTRA:
            is_local &= length[filled] == 1
        if not is_local.any():
            continue
        mine = filled[is_local]
        names.append(name)
        chosen.append(mine)
        parts.append(matrix[mine])
        rhs.append(rows.rhs[mine] / KW_PER_MW)
        equal.append(np.full(len(mine), rows.is_equal))
        owner.append(low[is_local])
    if not names:
        empty = np.zeros(0, dtype=np.int64)
        return Local(
            names=(),
            rows=(),
            matrix=sp.csr_array((0, current.size)),
            rhs=np.zeros(0),
            is_equal=np.zeros(0, dtype=bool),
            bid=empty,
        )
    return Local(
        names=tuple(names),
        rows=tuple(chosen),
        matrix=sp.csr_array(sp.vstack(parts, format="csr")),
        rhs=np.concatenate(rhs),
        is_equal=np.concatenate(equal),
        bid=np.concatenate(owner),
    )


def reduced(current: Programme) -> Reduced:
    """Return the problem without fixed columns, single-column rows and twins.

    Raises
    ------
    RoadClosed
        If the local rows of some bid are no chain through time.
    """
    local = local_rows(current)
    lower, upper = current.lower_kw / KW_PER_MW, current.upper_kw / KW_PER_MW
    cost = current.cost_jpy.copy()
    matrix, rhs = local.matrix, local.rhs.copy()
    is_free = upper > lower
    fixed = np.where(is_free, 0.0, lower)
    rhs -= matrix @ fixed
    matrix = _without(matrix, ~is_free)
    single = np.flatnonzero((np.diff(matrix.indptr) == 1) & ~local.is_equal)
    _tighten(matrix, rhs, single, lower, upper)
    length = np.diff(matrix.indptr)
    left = np.ones(len(rhs), dtype=bool)
    left[single] = False
    left &= length > 0
    twins = _twins(current, matrix, rhs, local, left)
    lower[twins.kept] = np.maximum(lower[twins.kept], lower[twins.gone])
    upper[twins.kept] = np.minimum(upper[twins.kept], upper[twins.gone])
    np.add.at(cost, twins.kept, cost[twins.gone])
    left[twins.row] = False
    is_free[twins.gone] = False
    is_free &= upper > lower
    column = np.flatnonzero(is_free)
    return _chained(current, column, (lower, upper, cost, fixed), local, (matrix, rhs, left), twins)


def _without(
    matrix: sp.csr_array, gone: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> sp.csr_array:
    kept = matrix.copy()
    kept.data[gone[kept.indices]] = 0.0
    kept.eliminate_zeros()
    return kept


def _tighten(
    matrix: sp.csr_array, rhs: FloatArray, single: IntArray, lower: FloatArray, upper: FloatArray
) -> None:
    at = matrix.indptr[single]
    column, value = matrix.indices[at], matrix.data[at]
    bound = rhs[single] / value
    above, below = value > 0, value < 0
    np.minimum.at(upper, column[above], bound[above])
    np.maximum.at(lower, column[below], bound[below])


def _twins(
    current: Programme,
    matrix: sp.csr_array,
    rhs: FloatArray,
    local: Local,
    left: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Twins:
    """Find equalities of two columns, of which one appears nowhere else."""
    uses = np.bincount(matrix.indices, minlength=current.size)
    for name, rows in current.rows.items():
        if name in DENSE_ROWS:
            continue
        if name not in local.names:
            uses += np.bincount(rows.matrix.indices, minlength=current.size)
            continue
        others = np.setdiff1d(np.arange(rows.matrix.shape[0]), local.rows[local.names.index(name)])
        uses += np.bincount(rows.matrix[others].indices, minlength=current.size)
    uses += np.bincount(current.sent.indices, minlength=current.size)
    two = np.flatnonzero((np.diff(matrix.indptr) == PAIR) & local.is_equal & left & (rhs == 0.0))
    at = matrix.indptr[two]
    first, second = matrix.indices[at], matrix.indices[at + 1]
    a, b = matrix.data[at], matrix.data[at + 1]
    opposite = a == -b
    first_goes = opposite & (uses[first] == 1)
    second_goes = opposite & ~first_goes & (uses[second] == 1)
    chosen = first_goes | second_goes
    gone = np.where(first_goes, first, second)[chosen]
    kept = np.where(first_goes, second, first)[chosen]
    # A column may take up one twin only.
    once = np.unique(kept, return_index=True)[1]
    return Twins(
        row=two[chosen][once],
        gone=gone[once],
        kept=kept[once],
        coefficient=np.where(first_goes, a, b)[chosen][once],
    )


def _chained(
    current: Programme,
    column: IntArray,
    columns: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    local: Local,
    rows: tuple[sp.csr_array, FloatArray, np.ndarray[tuple[int], np.dtype[np.bool_]]],
    twins: Twins,
) -> Reduced:
    lower, upper, cost, fixed = columns
    matrix, rhs, left = rows
    count = current.snapshot.interval_count
    used = np.flatnonzero(left)
    part = sp.csr_array(matrix[used][:, column])
    bids, chain = np.unique(local.bid[used], return_inverse=True)
    sent = sp.csr_array(current.sent[:, column])
    t = _row_times(part, chain, _column_times(sent, count), count)
    place = t * len(bids) + chain
    size = count * len(bids)
    if len(np.unique(place)) != len(place):
        raise RoadClosed("some bid has two rows of its own in one half hour")
    selector = sp.csr_array(
        (np.ones(len(used)), (place, np.arange(len(used)))), shape=(size, len(used))
    )
    source = np.full(size, -1)
    source[place] = used
    is_used, is_slack, full_rhs = (
        np.zeros(size, dtype=bool),
        np.zeros(size, dtype=bool),
        np.zeros(size),
    )
    is_used[place] = True
    is_slack[place] = ~local.is_equal[used]
    full_rhs[place] = rhs[used]
    chain_rows = sp.csr_array(selector @ part)
    of_column = np.full(len(column), -1)
    entries = sp.coo_array(part)
    of_column[entries.col] = chain[entries.row]
    return Reduced(
        programme=current,
        column=column,
        lower=lower[column],
        upper=upper[column],
        cost=cost[column],
        fixed=fixed,
        chains=len(bids),
        chain_rows=chain_rows,
        chain_rhs=full_rhs,
        is_slack=is_slack,
        is_used=is_used,
        chain_source=source,
        chain_of_column=of_column,
        sent=sent,
        local=local,
        twins=twins,
    )


def _column_times(sent: sp.csr_array, count: int) -> IntArray:
    """Return the half hour in which a column injects, −1 for none, (n,)."""
    entries = sp.coo_array(sent)
    t = np.full(sent.shape[1], -1)
    t[entries.col] = entries.row % count
    if (t[entries.col] != entries.row % count).any():
        raise RoadClosed("some column injects in several half hours")
    return t


def _row_times(part: sp.csr_array, chain: IntArray, column_t: IntArray, count: int) -> IntArray:
    """Return the half hour of each local row: the last in which its columns inject."""
    t = np.full(part.shape[0], -1)
    entries = sp.coo_array(part)
    np.maximum.at(t, entries.row, column_t[entries.col])
    order = np.argsort(chain, kind="stable")
    for _ in range(count):
        unknown = np.flatnonzero(t < 0)
        if len(unknown) == 0:
            break
        where = np.empty(len(order), dtype=np.int64)
        where[order] = np.arange(len(order))
        before = order[np.maximum(where[unknown] - 1, 0)]
        after = order[np.minimum(where[unknown] + 1, len(order) - 1)]
        ok_before = (chain[before] == chain[unknown]) & (before != unknown) & (t[before] >= 0)
        ok_after = (chain[after] == chain[unknown]) & (after != unknown) & (t[after] >= 0)
        t[unknown] = np.where(ok_before, t[before] + 1, np.where(ok_after, t[after] - 1, -1))
    if (t < 0).any() or (t >= count).any():
        raise RoadClosed("some bid's own rows belong to no half hour")
    return t
