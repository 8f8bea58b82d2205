"""Rows that tie bids together, and the dense system that is left of them.

Balance, relief and headroom rows are functions of the injections of one half hour: they are kept
as factors (row × place) and never spread over columns. Other rows (what a resource sells, what a
path carries) are few at a time and sparse.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from market.core.fast.chains import NEIGHBOUR_COUNT, Chains, Response, Tridiagonal
from market.core.fast.reduction import Reduced
from market.core.network import KW_PER_MW
from market.core.offers.terms import FloatArray, IntArray

VANISHED: Final = 1e-100
BUSY_RATIO: Final = 0.9
"""Share of chains that answer at all, below which the others are left out of products."""
SEGMENT: Final = 8
"""Half hours over which products of chain factors are formed pair by pair."""


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Rows that are functions of injections, in order of their half hour.

    Parameters
    ----------
    family, key
        Which row of the programme each is, (m,).
    t
        Half hour, (m,).
    place
        Coefficient per unit sent from each place, (m, P).
    grid
        Coefficients of the grid's own columns, (m, n).
    rhs, is_equal
        (m,). [MW]
    """

    family: np.ndarray[tuple[int], np.dtype[np.str_]]
    key: IntArray
    t: IntArray
    place: FloatArray
    grid: sp.csr_array
    rhs: FloatArray
    is_equal: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """Other linking rows."""

    family: np.ndarray[tuple[int], np.dtype[np.str_]]
    key: IntArray
    """Position of the row within its family's rows."""
    matrix: sp.csr_array
    rhs: FloatArray
    is_equal: np.ndarray[tuple[int], np.dtype[np.bool_]]


def dense_rows(problem: Reduced, chosen: list[tuple[str, IntArray]]) -> Dense:
    """Return rows by family and key (relief: position in the family's rows)."""
    current = problem.programme
    count = current.snapshot.interval_count
    h = current.sensitivity.place
    parts: list[tuple[str, IntArray, IntArray, FloatArray, sp.csr_array, FloatArray, bool]] = []
    for name, keys in chosen:
        if len(keys) == 0:
            continue
        if name == "balance":
            rows = current.rows[name]
            area, t = np.divmod(keys, count)
            place = (current.snapshot.place_area[None, :] == area[:, None]).astype(np.float64)
            grid, rhs = _grid_part(problem, rows.matrix[keys]), rows.rhs[keys]
        elif name == "relief":
            rows = current.rows[name]
            group, t = np.divmod(rows.keys[keys], count)
            place = current.relief_sign[group][:, None] * h[current.relief_element[group]]
            grid, rhs = _grid_part(problem, rows.matrix[keys]), rows.rhs[keys]
        else:
            sign = 1.0 if name == "headroom_up" else -1.0
            element, t = np.divmod(keys, count)
            place = sign * h[element]
            grid = _link_part(problem, element, t, sign)
            room = current.headroom.up_kw if sign > 0 else current.headroom.down_kw
            rhs = room.ravel()[keys]
        parts.append((name, keys, t, place, grid, rhs, name == "balance"))
    t = np.concatenate([p[2] for p in parts])
    order = np.argsort(t, kind="stable")
    return Dense(
        family=np.concatenate([np.full(len(p[1]), p[0]) for p in parts])[order],
        key=np.concatenate([p[1] for p in parts])[order],
        t=t[order],
        place=np.concatenate([p[3] for p in parts])[order],
        grid=sp.csr_array(sp.csr_array(sp.vstack([p[4] for p in parts], format="csr"))[order]),
        rhs=np.concatenate([p[5] for p in parts])[order] / KW_PER_MW,
        is_equal=np.concatenate([np.full(len(p[1]), p[6]) for p in parts])[order],
    )


def _grid_part(problem: Reduced, matrix: sp.csr_array) -> sp.csr_array:
    """Return the grid's own columns of full rows, over the columns left.

    Loads served at places inject: they come with the places.
    """
    start = problem.programme.slices["grid"].start
    first = int(np.searchsorted(problem.column, start))
    part = sp.csr_array(matrix[:, problem.column[first:]])
    injects = np.diff(problem.sent_by_column.indptr)[first:] > 0
    part.data[injects[part.indices]] = 0.0
    part.eliminate_zeros()
    part = sp.coo_array(part)
    return sp.csr_array(
        (part.data, (part.row, part.col + first)), shape=(matrix.shape[0], problem.count)
    )


def _link_part(problem: Reduced, element: IntArray, t: IntArray, sign: float) -> sp.csr_array:
    current = problem.programme
    links = current.sensitivity.link
    empty = sp.csr_array((len(element), problem.count))
    if links.shape[1] == 0:
        return empty
    count = current.snapshot.interval_count
    number = np.full(current.size, -1)
    number[problem.column] = np.arange(problem.count)
    start = current.grid["link"].start
    column = number[start + np.arange(links.shape[1])[None, :] * count + t[:, None]]
    row = np.broadcast_to(np.arange(len(element))[:, None], column.shape)
    value = sign * links[element]
    ok = column >= 0
    return sp.csr_array((value[ok], (row[ok], column[ok])), shape=empty.shape)


def sparse_rows(problem: Reduced, chosen: list[tuple[str, IntArray]]) -> Sparse:
    """Return other linking rows by family and position."""
    current = problem.programme
    parts = [(name, keys) for name, keys in chosen if len(keys)]
    if not parts:
        return Sparse(
            family=np.zeros(0, dtype=np.str_),
            key=np.zeros(0, dtype=np.int64),
            matrix=sp.csr_array((0, problem.count)),
            rhs=np.zeros(0),
            is_equal=np.zeros(0, dtype=bool),
        )
    full = sp.vstack([current.rows[name].matrix[keys] for name, keys in parts], format="csr")
    rhs = np.concatenate([current.rows[name].rhs[keys] for name, keys in parts]) / KW_PER_MW
    return Sparse(
        family=np.concatenate([np.full(len(keys), name) for name, keys in parts]),
        key=np.concatenate([keys for _, keys in parts]),
        matrix=sp.csr_array(sp.csr_array(full)[:, problem.column]),
        rhs=rhs - full @ problem.fixed,
        is_equal=np.concatenate(
            [np.full(len(keys), current.rows[name].is_equal) for name, keys in parts]
        ),
    )


def _flush(values: FloatArray) -> FloatArray:
    """Set to zero, in place, what is on its way to numbers that processors are slow with."""
    values[np.abs(values) < VANISHED] = 0.0
    return values


def _products(
    step: FloatArray, bounds: list[int], shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Return, per segment, the products of steps from t past its end, and from its start to t."""
    to_end, from_start = np.ones(shape), np.ones(shape)
    for first, last in itertools.pairwise(bounds):
        if last < shape[0]:
            to_end[last - 1] = step[last - 1]
        for k in range(last - 2, first - 1, -1):
            to_end[k] = step[k] * to_end[k + 1]
        for k in range(first + 1, last):
            from_start[k] = step[k - 1] * from_start[k - 1]
    return _flush(to_end), _flush(from_start)


class Linking:
    """The linking rows of one set, and their system for given weights."""

    def __init__(self, problem: Reduced, chains: Chains, dense: Dense, sparse: Sparse) -> None:
        self.dense, self.sparse, self.chains = dense, sparse, chains
        self.count, self.places = chains.count, dense.place.shape[1]
        self.m_dense, self.m = len(dense.rhs), len(dense.rhs) + len(sparse.rhs)
        self.rhs = np.concatenate([dense.rhs, sparse.rhs])
        self.is_equal = np.concatenate([dense.is_equal, sparse.is_equal])
        self.start = np.searchsorted(dense.t, np.arange(self.count + 1))
        self.sent, self.sent_t = problem.sent, problem.sent_by_column
        self.grid_t = sp.csr_array(dense.grid.T)
        self.sparse_t = sp.csr_array(sparse.matrix.T)
        self._read_singles(problem)
        self.answer_of = np.asarray((chains.direction.T @ dense.place.T).T)  # (m_dense, S)
        self._read_sparse()

    def _read_singles(self, problem: Reduced) -> None:
        """Sort columns without rows of their own by what they inject where."""
        sent = self.sent_t
        length = np.diff(sent.indptr)
        single = np.flatnonzero((problem.chain_of_column < 0) & (length == 1))
        at = sent.indptr[single]
        self.single_map = sp.csr_array(
            (sent.data[at] ** 2, (sent.indices[at], single)), shape=(sent.shape[1], sent.shape[0])
        )
        self.many = np.flatnonzero((problem.chain_of_column < 0) & (length > 1))
        self.many_rows: sp.csr_array | None = None
        if len(self.many):
            self.many_rows = self._spread(sent[self.many])

    def _spread(self, injected: sp.csr_array) -> sp.csr_array:
        """Return dense rows' coefficients of a few columns, (m_dense, k)."""
        parts = []
        for t in range(self.count):
            rows = slice(self.start[t], self.start[t + 1])
            here = injected[:, t :: self.count]
            parts.append(sp.csr_array(self.dense.place[rows] @ here.T.toarray()))
        return sp.csr_array(sp.vstack(parts, format="csr"))

    def _read_sparse(self) -> None:
        """Find how each sparse row meets each chain, and the dense coefficients of the rest."""
        matrix, chains = self.sparse.matrix, self.chains
        entries = sp.coo_array(matrix)
        chain = np.full(matrix.shape[1], -1)
        touched = sp.coo_array(chains.rows)
        chain[touched.col] = touched.row % chains.size if chains.size else 0
        of_entry = chain[entries.col]
        inside = of_entry >= 0
        key = entries.row[inside].astype(np.int64) * max(chains.size, 1) + of_entry[inside]
        self.meet, number = np.unique(key, return_inverse=True)
        self.meet_row, self.meet_chain = np.divmod(self.meet, max(chains.size, 1))
        # Functional of each meeting over columns, (R, n).
        self.functional = sp.csr_array(
            (entries.data[inside], (number, entries.col[inside])),
            shape=(len(self.meet), matrix.shape[1]),
        )
        self.outside = sp.csr_array(
            (entries.data[~inside], (entries.row[~inside], entries.col[~inside])),
            shape=matrix.shape,
        )
        self.outside_columns = np.unique(self.outside.indices)
        spread = self._spread(self.sent_t[self.outside_columns])
        self.outside_dense = sp.csr_array(spread + self.dense.grid[:, self.outside_columns])
        self.collect = sp.csr_array(
            (np.ones(len(self.meet)), (self.meet_row, np.arange(len(self.meet)))),
            shape=(matrix.shape[0], len(self.meet)),
        )
        order = np.argsort(self.meet_chain, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(self.meet_chain[order])) + 1)
        pairs = [(np.repeat(g, len(g)), np.tile(g, len(g))) for g in groups if len(g)]
        self.pair_a = (
            np.concatenate([a for a, _ in pairs]) if pairs else np.zeros(0, dtype=np.int64)
        )
        self.pair_b = (
            np.concatenate([b for _, b in pairs]) if pairs else np.zeros(0, dtype=np.int64)
        )
        self.meet_answer = self.answer_of[:, self.meet_chain]
        self._read_met_columns()

    def _read_met_columns(self) -> None:
        """Pair each meeting with all columns of its chain that inject."""
        chains = self.chains
        order = np.argsort(chains.channel_chain, kind="stable")
        first = np.searchsorted(chains.channel_chain[order], np.arange(chains.size + 1))
        length = np.diff(first)[self.meet_chain]
        self.met_by = np.repeat(np.arange(len(self.meet)), length)
        offset = np.arange(len(self.met_by)) - np.repeat(np.cumsum(length) - length, length)
        self.met_column = chains.channel[order[first[self.meet_chain][self.met_by] + offset]]

    def times(self, x: FloatArray) -> FloatArray:
        """Return the rows' values, (m,)."""
        sent = (self.sent @ x).reshape(self.places, self.count)
        found = np.empty(self.m)
        for t in range(self.count):
            rows = slice(self.start[t], self.start[t + 1])
            found[rows] = self.dense.place[rows] @ sent[:, t]
        found[: self.m_dense] += self.dense.grid @ x
        found[self.m_dense :] = self.sparse.matrix @ x
        return found

    def transposed(self, y: FloatArray) -> FloatArray:
        """Return the columns' values, (n,)."""
        place = np.empty((self.places, self.count))
        for t in range(self.count):
            rows = slice(self.start[t], self.start[t + 1])
            place[:, t] = y[rows] @ self.dense.place[rows]
        found = self.sent_t @ place.ravel() + self.grid_t @ y[: self.m_dense]
        if self.m > self.m_dense:
            found += self.sparse_t @ y[self.m_dense :]
        return np.asarray(found)

    def system(
        self, theta: FloatArray, slack: FloatArray, inner: Tridiagonal, answer: Response
    ) -> FloatArray:
        """Return the upper triangle of A Θ Aᵀ with all chains eliminated, (m, m).

        Parameters
        ----------
        theta, slack
            Weights of columns (n,) and of the linking rows' slacks, 0 for equalities, (m,).
        inner, answer
            The chains for these weights.
        """
        found = np.zeros((self.m, self.m), order="F")
        busy = self.chains.busy(theta)
        of_chain = self.answer_of
        if len(busy) < BUSY_RATIO * self.chains.size:
            answer, of_chain = answer.of(busy), np.ascontiguousarray(of_chain[:, busy])
        self._same_half_hour(found, theta, answer, of_chain)
        self._across(found, answer, of_chain)
        grid = self.dense.grid
        weighted = sp.coo_array(grid @ sp.diags_array(theta) @ self.grid_t)
        found[weighted.row, weighted.col] += weighted.data
        if self.many_rows is not None:
            many = sp.coo_array(
                self.many_rows @ sp.diags_array(theta[self.many]) @ self.many_rows.T
            )
            found[many.row, many.col] += many.data
        if self.m > self.m_dense:
            self._sparse_part(found, theta, inner)
        found[np.arange(self.m), np.arange(self.m)] += slack
        return found

    def _same_half_hour(
        self, found: FloatArray, theta: FloatArray, answer: Response, answer_of: FloatArray
    ) -> None:
        weight = (self.single_map @ theta).reshape(self.places, self.count)
        own = answer.alpha + answer.sigma * answer.beta**2 * answer.diagonal
        for t in range(self.count):
            rows = slice(self.start[t], self.start[t + 1])
            place, of_chain = self.dense.place[rows], answer_of[rows]
            found[rows, rows] = (place * weight[:, t]) @ place.T + (of_chain * own[t]) @ of_chain.T

    def _across(self, found: FloatArray, answer: Response, answer_of: FloatArray) -> None:
        """Add what chains tie between different half hours, upper triangle only."""
        size = answer_of.shape[1]
        if size == 0:
            return
        step, count = -answer.below, self.count
        t = self.dense.t
        scaled = answer_of * answer.beta[t]
        bounds = [*range(0, count, SEGMENT), count]
        to_end, from_start = _products(step, bounds, (count, size))
        left = scaled * (answer.sigma * to_end)[t]
        right = scaled * (from_start * answer.diagonal)[t]
        for j in range(1, len(bounds) - 1):
            columns = slice(self.start[bounds[j]], self.start[bounds[j + 1]])
            here = right[columns]
            for i in range(j - 1, -1, -1):
                rows = slice(self.start[bounds[i]], self.start[bounds[i + 1]])
                found[rows, columns] = left[rows] @ here.T
                if i:
                    here = _flush(here * to_end[bounds[i]])
        for first, last in itertools.pairwise(bounds):
            self._within(found, scaled, answer, step, (first, last))

    def _within(
        self,
        found: FloatArray,
        scaled: FloatArray,
        answer: Response,
        step: FloatArray,
        span: tuple[int, int],
    ) -> None:
        for early in range(*span):
            rows = slice(self.start[early], self.start[early + 1])
            if rows.start == rows.stop:
                continue
            product = scaled[rows] * answer.sigma
            for late in range(early + 1, span[1]):
                product = _flush(product * step[late - 1])
                columns = slice(self.start[late], self.start[late + 1])
                found[rows, columns] = (product * answer.diagonal[late]) @ scaled[columns].T

    def _sparse_part(self, found: FloatArray, theta: FloatArray, inner: Tridiagonal) -> None:
        below = slice(self.m_dense, self.m)
        above = slice(0, self.m_dense)
        kept = self.outside_columns
        outside = sp.csr_array(self.outside[:, kept] @ sp.diags_array(theta[kept]))
        found[above, below] = (self.outside_dense @ outside.T).toarray()
        corner = (outside @ self.outside[:, kept].T).toarray()
        if len(self.meet):
            chains = self.chains
            weighted = sp.csr_array(self.functional @ sp.diags_array(theta))  # (R, n)
            into = sp.coo_array(weighted @ chains.columns)  # (R, T·S)
            right = np.zeros((chains.count, len(self.meet)))
            right[into.col // chains.size, into.row] = into.data
            solved = Tridiagonal(
                inner.pivot[:, self.meet_chain], inner.below[:, self.meet_chain]
            ).solve(right)
            self._meet_dense(found, above, below, theta, weighted, solved)
            values = self._meet_pairs(weighted, right, solved)
            np.add.at(corner, (self.meet_row[self.pair_a], self.meet_row[self.pair_b]), values)
        found[below, below] = corner

    def _meet_dense(
        self,
        found: FloatArray,
        above: slice,
        below: slice,
        theta: FloatArray,
        weighted: sp.csr_array,
        solved: FloatArray,
    ) -> None:
        """Add K between each meeting and the injections of its chain, seen by the dense rows."""
        chains = self.chains
        answer = np.zeros((chains.count, len(self.meet)))
        # E Θ e: only columns that both inject and are met.
        scale = np.zeros(weighted.shape[1])
        scale[chains.channel] = chains.channel_scale
        t = np.zeros(weighted.shape[1], dtype=np.int64)
        t[chains.channel] = chains.channel_t
        entries = sp.coo_array(weighted)
        np.add.at(answer, (t[entries.col], entries.row), entries.data * scale[entries.col])
        # E Θ Aᵀ N⁻¹ A Θ e: each injecting column has at most two own rows.
        columns = chains.columns
        for k in range(NEIGHBOUR_COUNT):
            at = columns.indptr[self.met_column] + k
            has = at < columns.indptr[self.met_column + 1]
            column, meet, at = self.met_column[has], self.met_by[has], at[has]
            weight = columns.data[at] * theta[column] * scale[column]
            value = weight * solved[columns.indices[at] // chains.size, meet]
            np.subtract.at(answer, (t[column], meet), value)
        full = self.meet_answer * answer[self.dense.t]
        found[above, below] += np.asarray((self.collect @ full.T).T)

    def _meet_pairs(
        self, weighted: sp.csr_array, right: FloatArray, solved: FloatArray
    ) -> FloatArray:
        """Return K between meetings of the same chain."""
        direct = sp.csr_array(weighted @ self.functional.T)
        a, b = self.pair_a, self.pair_b
        found = np.asarray(direct[a, b]).ravel()
        return np.asarray(found - np.einsum("tk,tk->k", right[:, a], solved[:, b]))
